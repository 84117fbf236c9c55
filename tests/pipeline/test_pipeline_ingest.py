"""One inventory into one event folder, that the training reads as it read the original."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image

from headscarp.errors import InvalidInput, NotAnEvent
from headscarp.io.inputs.folder import read_event_folder
from headscarp.io.inputs.inventory import Place, read_inventory
from headscarp.io.inputs.inventory_dates import InventoryOptions
from headscarp.io.outputs.inventory_figure import COLOURS, draw_inventory
from headscarp.pipeline.dataset import landslide_masks, mapped_extent
from headscarp.pipeline.ingest import content_digest, ingest, options_of_folder, subject_of_folder
from headscarp.pipeline.world import write_world
from headscarp.world.generate import make_world
from tests.io.inputs.inventories import PLACE, slide, write_vector


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(make_world(5, shape=(128, 128)), tmp_path_factory.mktemp("worlds") / "world")


def masks(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    event = read_event_folder(folder)
    assert event.inventory is not None
    return landslide_masks(event.inventory, mapped_extent(event).grid)


@pytest.mark.parametrize("name", ["us_us20002926_gorkha2015_30m", "us_usp000e12e_kashmir2005"])
def test_real_folders_keep_their_labels(name: str, shared_data: Path, tmp_path: Path) -> None:
    original = shared_data / "events" / name
    file, options = options_of_folder(read_event_folder(original))
    made = ingest(file, subject_of_folder(original), options, tmp_path / "made" / name)
    old, new = masks(original), masks(made.folder)
    assert old[0].sum() > 1000
    np.testing.assert_array_equal(old[0], new[0])
    if options.ignore is not None:
        np.testing.assert_array_equal(old[1], new[1])
    else:
        assert not (old[1] & ~new[1]).any()
    assert read_event_folder(made.folder).event == read_event_folder(original).event


def test_a_synthetic_world_comes_back_pixel_by_pixel(world: Path, tmp_path: Path) -> None:
    made = ingest(world / "landslides.tif", subject_of_folder(world), InventoryOptions(), tmp_path / "made")
    slides, ignored = masks(made.folder)
    with rasterio.open(world / "landslides.tif") as file:
        np.testing.assert_array_equal(slides, file.read(1) == 1)
    assert not ignored.any()
    described = json.loads((made.folder / "event.json").read_text())
    assert described["synthetic"] is True
    assert described["inventory"]["fates"][0]["fate"] == "accepted"


def test_what_lies_outside_the_extent_is_unknown(world: Path, tmp_path: Path) -> None:
    subject = subject_of_folder(world)
    west, south, east, north = subject.place.area
    most = shapely.box(west + 0.25 * (east - west), south, east, north)
    extent = write_vector(tmp_path / "extent.gpkg", [most], crs=subject.place.crs.to_string())
    made = ingest(world / "landslides.tif", subject, InventoryOptions(extent=extent), tmp_path / "made")
    slides, ignored = masks(made.folder)
    assert slides.any()
    assert (ignored | slides)[:, :31].all()
    assert not ignored[:, 33:].any()


def test_equal_input_gives_equal_bytes(world: Path, tmp_path: Path) -> None:
    subject = subject_of_folder(world)
    made = [ingest(world / "landslides.tif", subject, InventoryOptions(), tmp_path / name) for name in "ab"]
    assert content_digest(made[0].folder) == content_digest(made[1].folder)


def test_nothing_is_left_of_an_inventory_that_fails(world: Path, tmp_path: Path) -> None:
    far = write_vector(tmp_path / "far.gpkg", [slide(0)])
    with pytest.raises(InvalidInput, match="inside the DEM"):
        ingest(far, subject_of_folder(world), InventoryOptions(), tmp_path / "made")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["far.gpkg"]


def test_a_crash_while_writing_leaves_nothing(world: Path, tmp_path: Path) -> None:
    def crash(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(
            world / "landslides.tif", subject_of_folder(world), InventoryOptions(), tmp_path / "a" / "b", finish=crash
        )
    assert list((tmp_path / "a").iterdir()) == []


def test_a_folder_that_is_taken_is_left_alone(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="new or empty"):
        ingest(world / "landslides.tif", subject_of_folder(world), InventoryOptions(), world)
    with pytest.raises(NotAnEvent):
        subject_of_folder(tmp_path)


def test_layers_of_one_name_in_two_places_do_not_collide(world: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(world, tmp_path / "events" / "one"))
    (tmp_path / "events" / "shared").mkdir()
    shutil.copy(folder / "soil.tif", tmp_path / "events/shared/dem.tif")
    content = json.loads((folder / "event.json").read_text())
    content["layers"]["soil"]["href"] = "../shared/dem.tif"
    (folder / "event.json").write_text(json.dumps(content))
    made = ingest(folder / "landslides.tif", subject_of_folder(folder), InventoryOptions(), tmp_path / "made")
    layers = json.loads((made.folder / "event.json").read_text())["layers"]
    assert (layers["dem"]["href"], layers["soil"]["href"]) == ("dem.tif", "soil-dem.tif")
    assert (made.folder / "soil-dem.tif").read_bytes() == (world / "soil.tif").read_bytes()


class TestFigure:
    def colours(self, path: Path) -> set[tuple[int, ...]]:
        with Image.open(path) as picture:
            assert picture.width >= 700
            return {tuple(c) for _, c in picture.convert("RGB").getcolors(1 << 24) or []}

    def test_every_fate_is_drawn(self, tmp_path: Path) -> None:
        shapes = [
            slide(0),
            slide(3, 4),
            slide(6, 2),
            slide(2, 9),
            shapely.box(346_000, 3_832_000, 347_000, 3_832_000.4),
        ]
        path = write_vector(tmp_path / "a.gpkg", shapes, {"year": [2005, 2006, 2001, 2005, 2005]})
        found = read_inventory(path, PLACE, InventoryOptions(date_attributes=("year",)))
        draw_inventory(found, tmp_path / "a.png", title="M 7.6")
        assert set(COLOURS.values()) <= self.colours(tmp_path / "a.png")

    def test_a_single_small_landslide(self, tmp_path: Path) -> None:
        found = read_inventory(write_vector(tmp_path / "a.gpkg", [slide(0, size=20)]), PLACE, InventoryOptions())
        draw_inventory(found, tmp_path / "a.png", title="M 7.6", synthetic=True)
        assert COLOURS["accepted"] in self.colours(tmp_path / "a.png")

    def test_small_landslides_of_a_large_event_are_seen(self, tmp_path: Path) -> None:
        shapes = [slide(0, size=10), slide(1000, 1000, size=10)]
        place = Place(PLACE.crs, PLACE.area._replace(east=8e5, north=4.5e6), "the DEM", PLACE.origin)
        found = read_inventory(write_vector(tmp_path / "a.gpkg", shapes), place, InventoryOptions(extent="event"))
        draw_inventory(found, tmp_path / "a.png", title="M 7.6")
        assert COLOURS["accepted"] in self.colours(tmp_path / "a.png")
