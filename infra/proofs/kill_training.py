"""Kill a training outright at random moments, start it again each time, and compare its weights with one left alone.

`make kill-training`. Each kill is SIGKILL, at a moment drawn from a seed; a training that is started again goes on from
its checkpoint. The weights must be equal to the bit. The summary goes to docs/results/kill_training.md.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import save

from headscarp.demo.services import ROOT
from headscarp.io.store import open_store
from headscarp.ml.regressor import NetworkLearner, Recipe
from headscarp.ml.train import TrainOptions
from headscarp.ml.windows import WindowOptions
from headscarp.pipeline.dataset import model_inputs, read_scene
from headscarp.pipeline.world import write_world
from headscarp.tables.coseismic import COSEISMIC, PAPER_CHANNELS
from headscarp.world.generate import make_world
from headscarp.world.settings import REGIONS

WEIGHTS = "weights.safetensors"
WORLDS = (400, 401)
SIDE = 192
WINDOWS = WindowOptions(size=96, batch=4)


def learner(scratch: Path) -> NetworkLearner:
    """Two phases' worth of settings, small; a checkpoint every few steps."""
    options = TrainOptions(steps=300, checkpoint_every=10, windows=WINDOWS)
    recipe = Recipe(inputs=model_inputs(COSEISMIC, PAPER_CHANNELS), pretraining=options, seeds=(0, 1))
    return NetworkLearner(recipe=recipe, scratch=scratch / "checkpoints")


def train_to_the_end(scratch: Path) -> None:
    """What the child does: read its worlds, train, write the weights last and at once."""
    store, scenes = open_store(scratch / "store"), []
    for seed in WORLDS:
        world = make_world(seed, settings=REGIONS[seed % len(REGIONS)], shape=(SIDE, SIDE))
        folder = write_world(world, scratch / f"world-{seed}")
        scenes.append(read_scene(folder, PAPER_CHANNELS, table=COSEISMIC, store=store, length_px=1.0))
    trained = learner(scratch).fit(scenes)
    part = scratch / f".{WEIGHTS}.part"
    part.write_bytes(save({name: tensor.contiguous() for name, tensor in trained.network.state_dict().items()}))
    part.replace(scratch / WEIGHTS)


def child(scratch: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "infra.proofs.kill_training", "--child", str(scratch)]
    return subprocess.Popen(command, cwd=ROOT)


def alone(scratch: Path) -> float:
    """Train without a kill; seconds."""
    started = time.monotonic()
    if child(scratch).wait():
        raise SystemExit("the training that was left alone failed")
    return time.monotonic() - started


def killed(scratch: Path, moments: list[float]) -> list[str]:
    """Train, killed after each of these seconds and started again; what was there at each kill."""
    seen = []
    for moment in moments:
        process = child(scratch)
        time.sleep(moment)
        if process.poll() is not None:
            raise SystemExit(f"the training ended before its kill at {moment:.1f} s: lengthen it")
        process.send_signal(signal.SIGKILL)
        process.wait()
        files = sorted(scratch.glob("checkpoints/*/checkpoint.safetensors"))
        seen.append(f"{len(files)} checkpoint file{'' if len(files) == 1 else 's'}")
    if child(scratch).wait():
        raise SystemExit("the training that was killed failed when it was started the last time")
    return seen


def digest(scratch: Path) -> str:
    return hashlib.sha256((scratch / WEIGHTS).read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        return train_to_the_end(options.child)
    with tempfile.TemporaryDirectory(prefix="headscarp-kill-") as place:
        one, other = Path(place) / "alone", Path(place) / "killed"
        seconds = alone(one)
        rng = random.Random(options.seed)
        # Start-up takes some seconds, in which a kill hits before the first step; most come later.
        moments = [rng.uniform(2.0, 6.0 + 1.5 * seconds / options.kills) for _ in range(options.kills)]
        seen = killed(other, moments)
        same = digest(one) == digest(other)
        lines = "\n".join(f"| {n} | {m:.1f} s | {s} |" for n, (m, s) in enumerate(zip(moments, seen, strict=True), 1))
        summary = f"""# Killing a training (SYNTHETIC)

`make kill-training`, seed {options.seed}: an ensemble of two networks on two worlds, {seconds:.0f} s when left alone;
then again, killed (SIGKILL) {options.kills} times after so many seconds from its start, and run to its end.

| kill | after | left behind |
|---|---|---|
{lines}

Weights: {digest(one)[:16]} left alone, {digest(other)[:16]} killed: {"equal" if same else "DIFFERENT"}.
"""
    (ROOT / "docs" / "results" / "kill_training.md").write_text(summary, encoding="utf-8")
    print(summary)
    if not same:
        raise SystemExit(1)
    return None


if __name__ == "__main__":
    main()
