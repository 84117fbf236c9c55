"""Zarr cubes of control indicators."""
