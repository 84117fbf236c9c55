"""What is known of single inventories beyond what their folders say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FILLED: Final[Mapping[str, float]] = MappingProxyType({"us20002926": 0.141})
"""Share of the landslide pixels that is landslide, by event; 1 where nothing is said.

Gorkha's inventory at hand marks every 90 m cell that a landslide touches. How much of such cells is landslide was
measured on another inventory of small slides: the polygons of Kashmir 2005 cover 1.24 % of their mapped extent, and the
90 m cells they touch 8.81 % of it."""
