"""The model card of a bundle: what it was trained on, how well it does where, and what it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headscarp.core.manifest import Manifest
from headscarp.core.types import Attributes
from headscarp.ml.train import TrainOptions


def model_card(
    manifest: Manifest,
    *,
    options: TrainOptions,
    real: Sequence[str],
    training_share: float,
    label_lengths: tuple[float, float],
    training_seeds: Sequence[int],
    choosing_seeds: Sequence[int],
    scores: Sequence[Attributes],
) -> str:
    """Markdown.

    Args:
        manifest: The bundle's.
        options: How it was trained.
        real: Names of the real scenes it was trained on.
        training_share: Northern share of each real event that these are.
        label_lengths: Screening length in pixels for mapped inventories and for worlds.
        training_seeds: Worlds trained on.
        choosing_seeds: Worlds the weights were chosen on.
        scores: One row a scene, as `pipeline.train.scene_scores` makes them.
    """
    architecture, windows = manifest.architecture, options.windows
    return f"""# {manifest.name} {manifest.version}

A multi-scale fully convolutional network after Fan, Wang et al. (2025), doi:10.1093/nsr/nwaf179, that ranks 30 m
pixels by how readily the shaking of an earthquake sets off landslides there. Narrow (N = {architecture.width},
configuration {architecture.configuration}), for demonstration and for tests of the whole path.

**The score is neither a probability nor an areal coverage.** It was trained on soft labels that count
{options.slide_weight:g} times where they speak of slides, on windows of which {windows.centred_on_slides:.0%} lie
around slides, and is not calibrated. Compare scores within one map only.

## Input

{len(manifest.channels)} channels in physical units, NaN where missing:
{_joined(manifest.channels)}.
There is no score where {" or ".join(sorted(manifest.required))} is missing; anything else may be, at a loss of skill.
PCI table {manifest.table_digest[:16]}.
{_normalised(manifest)}

## Trained on

- Real: {_joined(real) or "nothing"} (the northern {training_share:.0%} of each event; the rest is held out below)
- SYNTHETIC worlds, seeds {_joined(training_seeds)}. Weights were chosen on seeds {_joined(choosing_seeds)}.
  The demonstration's world, seed 0, is none of them.

{options.steps} steps of {windows.batch} windows of {windows.size} px, {windows.real:.0%} of them real; seed
{options.seed}. Screened Poisson labels, length {label_lengths[0]:g} px for mapped inventories and
{label_lengths[1]:g} px for worlds, where every slide lies exactly where it is said to be. Augmented by turning and
mirroring, by shifting ln PGA within its uncertainty, {_other_extents(manifest, windows.other_extent)}and by losing
data sources.

## Scores on ground it never saw

All known pixels, each event at its own prevalence; AP is average precision, beside it what slope alone reaches. The
ceiling is the expected AUC of the best score that any use of the maps could give in that world; it exists for
SYNTHETIC worlds only.

{_table(scores)}

## Limits

- Ranks no better than slope alone on: {_joined(_not_better(scores)) or "none of these scenes"}.
- Small pieces of {len(real) or "no"} real event(s), and invented terrain: no skill on another earthquake is claimed.
  Scores of SYNTHETIC worlds show that the code learns known structure, nothing more.
- The held-out part of an event shares its shaking, its geology and its mapper with the part trained on.
- Each window makes its own channel gate, so scores of neighbouring windows can differ slightly along their seam.
- No calibration, no uncertainty, no warning where the input is unlike the training's.

## Attribution and licence

Weights: {manifest.licence}. No training data are part of this bundle.

{_listed(manifest.attribution)}
"""


def _normalised(manifest: Manifest) -> str:
    """How continuous channels are put on one scale."""
    if manifest.normalisation == "training":
        return "Continuous channels are standardised by the median and the spread of the training events."
    return (
        "Continuous channels are ranks within the event's own land where PGA is 0.02 g or more; "
        f"{_joined(sorted(manifest.absolute)) or 'none'} by value as well. So a map depends on what the event\n"
        "covers, and windows can only be scored with its statistics."
    )


def _other_extents(manifest: Manifest, share: float) -> str:
    """Augmentation that only ranks know."""
    if manifest.normalisation == "training":
        return ""
    return f"by ranking {share:.0%} of the windows as in an extent of more or less steep and shaken land, "


def _not_better(scores: Sequence[Attributes]) -> list[str]:
    """Scenes on which slope alone ranks as well."""
    return [row["scene"] for row in scores if row["auc"] <= row["slope_auc"]]


def _joined(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))


def _listed(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "- none"


def _table(scores: Sequence[Attributes]) -> str:
    lines = [
        "| scene | pixels | prevalence | AUC | ceiling | slope's AUC | AP | slope's AP | score std |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in scores:
        ceiling = f"{row['ceiling_auc']:.3f}" if "ceiling_auc" in row else "-"
        lines.append(
            f"| {row['scene']} | {row['pixels']:,} | {row['prevalence']:.4f} | {row['auc']:.3f} | {ceiling} "
            f"| {row['slope_auc']:.3f} | {row['average_precision']:.3f} | {row['slope_average_precision']:.3f} "
            f"| {row['score_standard_deviation']:.3f} |"
        )
    return "\n".join(lines)
