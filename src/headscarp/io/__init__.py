"""Adapters to files, object stores and services."""
