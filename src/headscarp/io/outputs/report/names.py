"""Names of earthquakes for readers, where all that a file has is an id."""

from __future__ import annotations

from functools import cache

from headscarp.io.inputs.earthquakes import EarthquakeRegistry


def event_name(key: str) -> str:
    """Name and year of a registered earthquake by USGS id; any other id as it is."""
    return _names().get(key, key)


@cache
def _names() -> dict[str, str]:
    return {quake.usgs_id: f"{quake.name} {quake.date.year}" for quake in EarthquakeRegistry.load() if quake.usgs_id}
