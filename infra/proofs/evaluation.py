"""The evaluation that docs/results/evaluation holds: one split of it, with the models that are compared there.

`make evaluation`, or `python -m infra.proofs.evaluation events|blocks|worlds`. What a scratch folder holds already is
not computed again, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from headscarp.cli_train import EVENTS
from headscarp.demo.services import ROOT

FORMULAS = ("slope", "slope_pga", "nowicki_jessee_2018", "newmark")
LEARNED = ("logistic", "ann", "forest", "boosting", "boosting_monotone", "boosting_context")
MODELS = ("headscarp-network", *FORMULAS, *LEARNED)
WORLDS = 15


def arguments(split: str, data: Path, scratch: Path) -> list[str]:
    """Of `headscarp evaluate`. Worlds are trained on in every split; where they judge, no real event is read."""
    events = [] if split == "worlds" else [word for name in EVENTS for word in ("--events", str(data / name))]
    models = [word for name in MODELS for word in ("--model", name)]
    rest = ["--calibrate", "--scratch", str(scratch), "--report", str(ROOT / "docs" / "results" / "evaluation")]
    return ["evaluate", "--split", split, *events, "--worlds", str(WORLDS), *models, *rest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", choices=("events", "blocks", "worlds"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "events")
    parser.add_argument("--scratch", type=Path, default=ROOT / ".cache" / "train")
    options = parser.parse_args()
    command = [sys.executable, "-m", "headscarp", *arguments(options.split, options.data, options.scratch)]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
