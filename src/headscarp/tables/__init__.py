"""Hazard tables: rows of data, one module per hazard."""
