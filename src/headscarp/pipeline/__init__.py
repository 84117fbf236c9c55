"""Use cases as plain functions, one verb per file."""
