"""Hazard models and ground motion that are closed formulas."""
