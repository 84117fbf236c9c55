"""Draw the figures of docs/indicators.md: `make figures`.

Maps are of a SYNTHETIC world. Frequencies are counted on the real event folders where they are on this machine;
elsewhere their figures stay as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from infra.figures.counts import EVENTS, count
from infra.figures.histograms import draw_histograms, draw_own_classes, draw_ratios
from infra.figures.maps import draw_maps
from infra.figures.modes import write_modes

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
FIGURES, PAGE = ROOT / "docs" / "figures", ROOT / "docs" / "indicators.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["maps", "events"], help="draw a part")
    only = parser.parse_args().only
    if only != "events":
        draw_maps(FIGURES)
    if only != "maps":
        draw_events()


def draw_events() -> None:
    if not DATA.is_dir():
        print(f"{DATA} is not on this machine: figures of real events stay as they are")
        return
    with tempfile.TemporaryDirectory() as scratch:
        counted = [count(event, DATA, Path(scratch)) for event in EVENTS]
    draw_histograms(counted, FIGURES)
    draw_ratios(counted, FIGURES)
    draw_own_classes(counted, FIGURES)
    write_modes(counted, PAGE)


if __name__ == "__main__":
    main()
