"""Draw the figures of an evaluation, and the paper's Figures 1 and 2 for our data, as SVG.

`python -m infra.figures.evaluation --results FILE... --selection FILE --out docs/figures`: each part that is given.
Figure 1 needs no file. Events are marked where an epicentre is known: the paper's test events, and event folders where
they are on this machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely

from headscarp.io.inputs.earthquakes import REGIONS, EarthquakeRegistry
from headscarp.io.outputs.report.ranking import ranking_chart
from headscarp.io.outputs.report.results import Results
from headscarp.io.outputs.report.style import Chart, write_svg
from headscarp.io.outputs.report.world_map import Place, RegionCount, world_chart
from headscarp.pipeline.report import charts
from headscarp.tables.belts import BELTS
from headscarp.tables.regions import CASES, OROGENS

ROOT = Path(__file__).resolve().parents[2]
FIGURES, EVENTS = ROOT / "docs" / "figures", ROOT.parent / "shared" / "data" / "events"
COAST = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
"""Natural Earth's public-domain outlines, which pyogrio's package carries for its own tests."""
COAST_DEGREES = 0.4
"""Detail of the coastlines: a tenth of a millimetre in print."""
SAME_PLACE_DEGREES = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="results.json of each split")
    parser.add_argument("--selection", type=Path, help="trace that `headscarp select --trace` wrote")
    parser.add_argument("--events", type=Path, default=EVENTS, help="folder of event folders")
    parser.add_argument("--out", type=Path, default=FIGURES)
    given = parser.parse_args()
    for path in given.results:
        results = Results.parse(json.loads(path.read_text("utf-8")), str(path))
        for drawn in charts(results):
            write(drawn, given.out)
    if given.selection is not None:
        write(ranking_chart(json.loads(given.selection.read_text("utf-8"))), given.out)
    write(draw_events(given.events), given.out)


def write(drawn: Chart, folder: Path) -> None:
    path = folder / f"evaluation_{drawn.name.replace('-', '_')}.svg"
    write_svg(drawn, path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def draw_events(folder: Path) -> Chart:
    """The paper's Figure 1 for our data."""
    at_hand = dict(learnable(folder))
    registry = EarthquakeRegistry.load()
    places = [Place(name, x, y, region, at_hand=True) for name, x, y, region in at_hand.values()]
    places += [
        Place(case.name, case.longitude, case.latitude, case.region, at_hand=False)
        for case in CASES
        if not any(abs(case.longitude - p.longitude) < SAME_PLACE_DEGREES for p in places)
    ]
    counts = [count(registry, region, at_hand) for region in REGIONS]
    return world_chart(places, counts, belts=BELTS, orogens=dict(rings()), coast=list(coast()))


def learnable(folder: Path) -> Iterator[tuple[str, tuple[str, float, float, str]]]:
    """Key, and name, place and region, of registered earthquakes with an event folder that may be scored on."""
    registry = {quake.key: quake for quake in EarthquakeRegistry.load()}
    for path in sorted(folder.glob("*/event.json")):
        event: dict[str, Any] = json.loads(path.read_text("utf-8"))
        # `weak` labels are never scored on; without an inventory there is nothing to learn
        if (event.get("inventory") or {}).get("quality", "weak") == "weak" or event.get("synthetic"):
            continue
        quake = next((q for key, q in registry.items() if key.replace("_", "") in path.parent.name), None)
        if quake is not None:
            name = f"{quake.name.split(',')[0]} {quake.date.year}"
            yield quake.key, (name, event["longitude"], event["latitude"], quake.region)


def count(registry: EarthquakeRegistry, region: str, at_hand: Sequence[str] | dict[str, Any]) -> RegionCount:
    found = [quake for quake in registry if quake.region == region and quake.excluded is None]
    named = sum(quake.status == "named" for quake in found)
    return RegionCount(region, named, len(found) - named, sum(quake.key in at_hand for quake in found))


def rings() -> Iterator[tuple[str, np.ndarray]]:
    for name, text in OROGENS.items():
        yield name, np.array([vertex.split() for vertex in text.split(",")], dtype=float)


def coast() -> Iterator[np.ndarray]:
    """Coastlines where they are on this machine; the map is clear without."""
    path = Path(str(resources.files("pyogrio"))) / COAST
    if not path.exists():
        print(f"{path.name} is not in this environment: no coastlines")
        return
    countries = shapely.from_wkb(pyogrio.raw.read(path, columns=[])[2])
    land = shapely.simplify(shapely.union_all(shapely.buffer(countries, 0.01)), COAST_DEGREES)
    for part in (p for p in shapely.get_parts(land) if p.area > COAST_DEGREES):
        yield np.asarray(part.exterior.coords)


if __name__ == "__main__":
    main()
