"""Draw what the network says of each real event when it has learned from the others: the paper's Figure 3 for our data.

`python -m infra.figures.predictions --scratch .cache/train`, after `make models` or an evaluation of split `events`
with that scratch folder. Means of 16 x 16 px (480 m), coloured as the map page; no inventory is drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from headscarp.core.learning.calibration import cell_means
from headscarp.core.manifest import Manifest
from headscarp.core.palette import COVERAGE

ROOT = Path(__file__).resolve().parents[2]
CELL_PX = 16
CELL_KM = CELL_PX * 0.03
SCENES = {"usp000e12e": "Kashmir 2005", "us20002926": "Gorkha 2015", "wenchuan2008": "Wenchuan 2008"}
ABOVE = 1.0
"""Upper edge of the last class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, default=ROOT / ".cache" / "train")
    parser.add_argument("--model", default="headscarp-small")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures" / "evaluation_predictions.png")
    given = parser.parse_args()
    curve = Manifest.load(ROOT / "model_store" / given.model).calibration
    if curve is None:
        raise SystemExit(f"{given.model}: expected a calibrated bundle")
    maps = {name: curve(held_out(given.scratch, given.model, name)) for name in SCENES}
    draw({name: cell_means(values, cell_px=CELL_PX)[0] for name, values in maps.items()}).savefig(given.out, dpi=110)
    print(f"{given.out.name}: {given.out.stat().st_size / 1000:.0f} kB")


def held_out(scratch: Path, model: str, scene: str) -> NDArray[np.float32]:
    """The latest map of a scene by a network that never saw it."""
    found = sorted(scratch.glob(f"events/{model}-*/*/{scene}.npy"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"{scratch}: expected maps of {scene} by {model}, found none; run `make models` first")
    return np.asarray(np.load(found[-1]))


def draw(cells: dict[str, NDArray[np.float64]]) -> Figure:
    """One panel an event, all at one scale, and the legend in words."""
    mpl.rcParams["font.size"] = 9
    tall = max(c.shape[0] for c in cells.values())
    wide = sum(c.shape[1] for c in cells.values())
    figure = Figure(figsize=(10.5, 0.9 + 10.5 * tall / wide * 0.8), layout="constrained")
    axes = figure.subplots(1, len(cells), width_ratios=[c.shape[1] for c in cells.values()])
    colours = ListedColormap(["#f4f3ee", *(b.hex for b in COVERAGE.bins)])
    norm = BoundaryNorm([0.0, *(b.lower for b in COVERAGE.bins), ABOVE], colours.N)
    for panel, (name, values) in zip(axes, cells.items(), strict=True):
        height, width = values.shape
        panel.imshow(values, cmap=colours, norm=norm, extent=(0, width * CELL_KM, 0, height * CELL_KM))
        panel.set_title(f"{SCENES[name]}, left out", loc="left", fontweight="bold")
        panel.set_xlabel("km")
    handles = [mpl.patches.Patch(facecolor=b.hex, label=b.words) for b in COVERAGE.bins]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        title=f"{COVERAGE.title}. Model, not observed",
    )
    return figure


if __name__ == "__main__":
    main()
