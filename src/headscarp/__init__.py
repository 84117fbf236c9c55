"""headscarp: maps where an earthquake has probably set off landslides."""

__version__ = "0.1.0"
