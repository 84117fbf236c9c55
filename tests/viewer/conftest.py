"""A real Chromium, catalogues to look at, and a bucket that serves them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.viewer.bucket import Bucket, serve
from tests.viewer.catalogues import Quake, write_catalogue
from tests.viewer.visitor import FLAGS, Visitor

QUAKE = Quake(missing={"lithology": "no source covers this place"})
SYNTHETIC = Quake(
    "syn1", "M 6.9 - Synthetic range", magnitude=6.9, longitude=85.2, latitude=28.1, versions=1, synthetic=True
)
OLD = Quake("old1", "M 7.8 - 36 km E of Khudi, Nepal", SYNTHETIC.time.replace(year=2015), 7.8, 84.73, 28.23, versions=1)
DATELINE = Quake(
    "date1", "M 7.0 - Fiji region", SYNTHETIC.time.replace(year=2020), 7.0, 179.98, -16.6, versions=1, usgs=False
)
COLLECTION = "coseismic-landslides"


def item_key(quake: Quake, version: int) -> str:
    """Key of a version's item in the public folder."""
    run = str(quake.run(version))
    return f"{COLLECTION}/{quake.id}/{run}/{run}.json"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of four quakes; published once, never changed."""
    return write_catalogue(tmp_path_factory.mktemp("published"), OLD, QUAKE, DATELINE, SYNTHETIC)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Closed with each module, so that no event loop is left to other tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def bucket(published: Path) -> Iterator[Bucket]:
    """The four quakes, to be read only."""
    with serve(published) as bucket:
        yield bucket


@pytest.fixture
def own_bucket(published: Path, tmp_path: Path) -> Iterator[Bucket]:
    """A copy of the four quakes that a test may change."""
    with serve(shutil.copytree(published, tmp_path / "catalog")) as bucket:
        yield bucket


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Someone at a desk; the page must neither throw nor break its own content policy."""
    with Visitor.at(browser, width=900, height=600) as visitor:
        yield visitor
        assert visitor.complaints == []
