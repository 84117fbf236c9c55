"""Code lists of the categorical layers; code 0 is never used, it means unknown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GLIM = {
    1: "unconsolidated sediments (su)",
    2: "basic volcanic rocks (vb)",
    3: "siliciclastic sedimentary rocks (ss)",
    4: "basic plutonic rocks (pb)",
    5: "mixed sedimentary rocks (sm)",
    6: "carbonate sedimentary rocks (sc)",
    7: "acid volcanic rocks (va)",
    8: "metamorphic rocks (mt)",
    9: "acid plutonic rocks (pa)",
    10: "intermediate volcanic rocks (vi)",
    11: "water bodies (wb)",
    12: "pyroclastics (py)",
    13: "intermediate plutonic rocks (pi)",
    14: "evaporites (ev)",
    15: "no data (nd)",
    16: "ice and glaciers (ig)",
}
"""First level of the Global Lithological Map, https://doi.org/10.1029/2012GC004370."""

WORLDCOVER = {
    10: "tree cover",
    20: "shrubland",
    30: "grassland",
    40: "cropland",
    50: "built-up",
    60: "bare or sparse vegetation",
    70: "snow and ice",
    80: "permanent water bodies",
    90: "herbaceous wetland",
    95: "mangroves",
    100: "moss and lichen",
}
"""ESA WorldCover, https://doi.org/10.5281/zenodo.7254221."""

_WRB_GROUPS = """Acrisols Albeluvisols Alisols Andosols Arenosols Calcisols Cambisols Chernozems Cryosols Durisols
Ferralsols Fluvisols Gleysols Gypsisols Histosols Kastanozems Leptosols Lixisols Luvisols Nitisols Phaeozems Planosols
Plinthosols Podzols Regosols Solonchaks Solonetz Stagnosols Umbrisols Vertisols"""
WRB = dict(enumerate(_WRB_GROUPS.split(), start=1))
"""Reference soil groups in alphabetical order from 1; SoilGrids numbers the same groups from 0."""

LEGENDS: Mapping[str, Mapping[int, str]] = MappingProxyType({"glim": GLIM, "worldcover": WORLDCOVER, "wrb": WRB})
