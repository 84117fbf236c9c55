"""Code lists against those their authors publish."""

from __future__ import annotations

from headscarp.io.inputs.sources import SourceRegistry
from headscarp.tables.coseismic import COSEISMIC
from headscarp.tables.legends import GLIM, LEGENDS, WORLDCOVER, WRB

SOILGRIDS = """0 Acrisols, 1 Albeluvisols, 2 Alisols, 3 Andosols, 4 Arenosols, 5 Calcisols, 6 Cambisols, 7 Chernozems,
8 Cryosols, 9 Durisols, 10 Ferralsols, 11 Fluvisols, 12 Gleysols, 13 Gypsisols, 14 Histosols, 15 Kastanozems,
16 Leptosols, 17 Lixisols, 18 Luvisols, 19 Nitisols, 20 Phaeozems, 21 Planosols, 22 Plinthosols, 23 Podzols,
24 Regosols, 25 Solonchaks, 26 Solonetz, 27 Stagnosols, 28 Umbrisols, 29 Vertisols"""
"""Values of the map MostProbable of SoilGrids 2.0."""

HARTMANN_AND_MOOSDORF = {
    "su": "unconsolidated sediments", "vb": "basic volcanic rocks", "ss": "siliciclastic sedimentary rocks",
    "pb": "basic plutonic rocks", "sm": "mixed sedimentary rocks", "sc": "carbonate sedimentary rocks",
    "va": "acid volcanic rocks", "mt": "metamorphic rocks", "pa": "acid plutonic rocks",
    "vi": "intermediate volcanic rocks", "wb": "water bodies", "py": "pyroclastics",
    "pi": "intermediate plutonic rocks", "ev": "evaporites", "nd": "no data", "ig": "ice and glaciers",
}  # fmt: skip
"""First level of GLiM in the order of its gridded version."""

ESA = {
    10: "tree cover", 20: "shrubland", 30: "grassland", 40: "cropland", 50: "built-up",
    60: "bare or sparse vegetation", 70: "snow and ice", 80: "permanent water bodies", 90: "herbaceous wetland",
    95: "mangroves", 100: "moss and lichen",
}  # fmt: skip


def test_soil_groups_have_the_numbers_of_soilgrids_and_one() -> None:
    published = {int(number): name for number, name in (item.split() for item in SOILGRIDS.split(","))}
    assert len(published) == 30
    soil = SourceRegistry.load()["soil"]
    assert soil is not None and soil.offset == 1 and soil.scheme == "wrb" and soil.nodata == 255
    assert {number + 1: name for number, name in published.items()} == WRB


def test_rocks_are_those_of_glim() -> None:
    assert list(GLIM) == list(range(1, 17))
    assert list(GLIM.values()) == [f"{name} ({code})" for code, name in HARTMANN_AND_MOOSDORF.items()]


def test_land_cover_is_that_of_esa() -> None:
    assert dict(WORLDCOVER) == ESA
    cover = SourceRegistry.load()["land_cover"]
    assert cover is not None and cover.nodata == 0 and cover.offset is None and cover.scheme == "worldcover"


def test_every_class_row_has_a_legend_and_a_source_that_may_use_it() -> None:
    registry = SourceRegistry.load()
    rows = [row for row in COSEISMIC if row.kind == "categorical"]
    assert {row.legend for row in rows} == set(LEGENDS)
    for row in rows:
        spec = registry[row.source or ""]
        assert spec is None or spec.scheme == row.legend, row.name
        assert row.resampling in {"nearest", "mode"}, row.name
        assert 0 not in LEGENDS[row.legend or ""], row.name
