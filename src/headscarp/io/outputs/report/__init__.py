"""The evaluation report: results as read from a file, charts as inline SVG, tables, and the page."""
