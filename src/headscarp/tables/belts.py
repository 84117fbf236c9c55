"""Where static blocks are worth making ahead of time: the two seismic belts as boxes of five degrees and more.

A cell of five degrees is in a belt if it holds land and comes within 300 km of a plate boundary of the belt's rule
(`tables.regions`) or touches one of its orogens. Boundaries and orogens are those of PB2002, Bird (2003),
https://doi.org/10.1029/2001GC000252, as published by H. Ahlenius, Nordpil and Bird under ODC-BY 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headscarp.core.grid import Bounds

Spans = Mapping[tuple[int, int], tuple[tuple[int, int], ...]]
"""(south, north) to the (west, east) of each box between these parallels, all in degrees."""

_ALPINE_HIMALAYAN: Spans = {
    (-5, 0): ((95, 100),),
    (0, 5): ((95, 100),),
    (5, 10): ((90, 100),),
    (10, 15): ((90, 100),),
    (15, 20): ((85, 115),),
    (20, 25): ((50, 60), (65, 75), (80, 115),),
    (25, 30): ((45, 110),),
    (30, 35): ((-20, -15), (-10, 130),),
    (35, 40): ((-35, -25), (-10, 130),),
    (40, 45): ((5, 130),),
    (45, 50): ((5, 30), (35, 45), (65, 110),),
    (50, 55): ((75, 110),),
}  # fmt: skip

_CIRCUM_PACIFIC: Spans = {
    (-55, -50): ((155, 160), (165, 170),),
    (-50, -45): ((-80, -70), (165, 175),),
    (-45, -40): ((-180, -175), (-80, -70), (165, 180),),
    (-40, -35): ((-75, -60), (170, 180),),
    (-35, -30): ((-180, -175), (-80, -60), (170, 175),),
    (-30, -25): ((-180, -175), (-110, -105), (-80, -60), (165, 170),),
    (-25, -20): ((-180, -170), (-75, -60), (160, 175),),
    (-20, -15): ((-180, -165), (-80, -60), (160, 180),),
    (-15, -10): ((-180, -165), (-80, -60), (105, 110), (115, 135), (140, 170), (175, 180),),
    (-10, -5): ((-85, -70), (100, 170),),
    (-5, 0): ((-95, -70), (95, 105), (115, 160),),
    (0, 5): ((-95, -65), (95, 105), (115, 135), (150, 155),),
    (5, 10): ((-90, -55), (90, 100), (120, 155),),
    (10, 15): ((-110, -105), (-95, -55), (90, 105), (115, 130), (135, 150),),
    (15, 20): ((-115, -60), (90, 125), (145, 150),),
    (20, 25): ((-115, -100), (-85, -70), (100, 135), (140, 155),),
    (25, 30): ((-120, -105), (115, 135), (140, 145),),
    (30, 35): ((-125, -110), (125, 140),),
    (35, 40): ((-125, -110), (130, 145),),
    (40, 45): ((-125, -105), (130, 150),),
    (45, 50): ((-130, -120), (-115, -105), (130, 155),),
    (50, 55): ((-180, -155), (-135, -120), (135, 145), (150, 180),),
    (55, 60): ((-170, -120), (135, 175),),
    (60, 65): ((-170, -120), (135, 180),),
    (65, 70): ((-170, -125), (135, 160),),
}  # fmt: skip


def _boxes(spans: Spans) -> tuple[Bounds, ...]:
    return tuple(Bounds(west, south, east, north) for (south, north), row in spans.items() for west, east in row)


BELTS: Mapping[str, tuple[Bounds, ...]] = MappingProxyType(
    {"alpine-himalayan": _boxes(_ALPINE_HIMALAYAN), "circum-pacific": _boxes(_CIRCUM_PACIFIC)}
)
"""Boxes by the name of the belt."""
