"""The model card of a bundle: what it was trained on, how well it does where, and what it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headscarp.core.learning.labels import LENGTH_PX
from headscarp.core.learning.metrics import CoverageScores
from headscarp.core.manifest import Manifest
from headscarp.core.types import Attributes
from headscarp.ml.regressor import Recipe
from headscarp.ml.train import TrainOptions
from headscarp.pipeline.subjects import EXACT_LENGTH_PX


def model_card(
    manifest: Manifest,
    recipe: Recipe,
    *,
    events: Sequence[str],
    training_seeds: Sequence[int],
    calibrating_seeds: Sequence[int],
    scores: Sequence[Attributes],
    reliability: CoverageScores | None = None,
) -> str:
    """Markdown.

    Args:
        manifest: The bundle's.
        recipe: How it was trained.
        events: Real scenes it was trained on.
        training_seeds: Worlds trained on.
        calibrating_seeds: Worlds that only the calibration has seen.
        scores: One row a scene, as `pipeline.train.scene_scores` makes them.
        reliability: Of the calibration at 250 m, each event by a curve fitted on the others (`ml.calibrate`).
    """
    architecture, first, then = manifest.architecture, recipe.pretraining, recipe.fine_tuning
    windows = then.windows
    return f"""# {manifest.name} {manifest.version}

A multi-scale fully convolutional network after Fan, Wang et al. (2025), doi:10.1093/nsr/nwaf179, that ranks 30 m
pixels by how readily the shaking of an earthquake sets off landslides there. N = {architecture.width},
configuration {architecture.configuration}{_members(manifest)}.

{_quantity(manifest, then)}

## Input

{len(manifest.channels)} channels in physical units, NaN where missing:
{_joined(manifest.channels)}.
There is no score where {" or ".join(sorted(manifest.required))} is missing; anything else may be, at a loss of skill.
PCI table {manifest.table_digest[:16]}.
{_normalised(manifest)}

## Trained on

- Real: {_joined(events) or "nothing"}.
- SYNTHETIC worlds, seeds {_joined(training_seeds)}. Seeds {_joined(calibrating_seeds)} served the calibration only.
  The demonstration's world, seed 0, is none of them.

{first.steps} steps on worlds alone, then {then.steps} steps of which {windows.real:.0%} are real; {windows.batch}
windows of {windows.size} px a step; seeds {_joined(recipe.seeds)}. Screened Poisson labels, length {LENGTH_PX:g} px for
mapped inventories and {EXACT_LENGTH_PX:g} px for worlds, where every slide lies exactly where it is said to be.
Augmented by turning and mirroring, by shifting ln PGA within its uncertainty,
{_other_extents(manifest, windows.other_extent)}and by losing data sources. No weights were chosen by a score.

## Scores on ground it never saw

Real events: by networks trained in the same way without that event and its neighbours, and a calibration without it.
Worlds: by the released weights, which never saw them. All known pixels, each event at its own prevalence; AP is average
precision, beside it what slope alone reaches. Area is predicted over observed landslide area. The ceiling is the
expected AUC of the best score that any use of the maps could give in that world; it exists for SYNTHETIC worlds only.

{_table(scores)}
{_reliability(reliability)}
## Limits

- Ranks no better than slope alone on: {_joined(_not_better(scores)) or "none of these scenes"}.
- {len(events) or "No"} real event(s), parts of them, and invented terrain: little is known of its skill on another
  earthquake. Scores of SYNTHETIC worlds show that the code learns known structure, nothing more.
- Between events the mapped share of landslides differs tenfold, for reasons of mapping more than of ground. Take the
  area as known to a factor of five.
- {_gate(manifest)}
- {_uncertainty(manifest)}

## Attribution and licence

Weights: {manifest.licence}. No training data are part of this bundle.

{_listed(manifest.attribution)}
"""


def _members(manifest: Manifest) -> str:
    return f", {manifest.members} networks whose log-odds are averaged" if manifest.members > 1 else ""


def _gate(manifest: Manifest) -> str:
    """Over what area its channel attention looks."""
    if not manifest.gate_px:
        return "Each window makes its own channel gate, so scores of neighbouring windows can differ along their seam."
    return (
        f"The channel gate is the event's, from a sample of windows of {manifest.gate_px} px: scores do not depend on\n"
        "  how the event is tiled, but do on which part of it is scored."
    )


def _quantity(manifest: Manifest, options: TrainOptions) -> str:
    """What the numbers mean."""
    trained = (
        f"trained on soft labels that count\n{options.slide_weight:g} times where they speak of slides, on windows of "
        f"which {options.windows.centred_on_slides:.0%} lie\naround slides"
    )
    if manifest.calibration is None:
        return (
            f"**The score is neither a probability nor an areal coverage.** It was {trained}, and is not calibrated. "
            "Compare scores within one map only."
        )
    return (
        f"**The output is areal coverage**: the share of a pixel expected to be landslide; its mean over 8 x 8 px is "
        f"the\ncoverage at 250 m. The network was {trained}; a {manifest.calibration.method} curve fitted on ground "
        "it was not trained on turns its score into coverage. "
        f"Ground no steeper than {manifest.flat_degrees:g} degrees has coverage 0."
    )


def _uncertainty(manifest: Manifest) -> str:
    lacking = "No interval of uncertainty" if manifest.calibration else "No calibration, no uncertainty"
    return f"{lacking}, no warning where the input is unlike the training's."


def _reliability(scores: CoverageScores | None) -> str:
    """How well coverages are meant; nothing where nobody judged them."""
    if scores is None:
        return ""
    rows = [f"| {b.predicted:.4f} | {b.observed:.4f} | {b.ratio:.2f} | {b.share:.3f} |" for b in scores.reliability]
    return "\n".join(
        [
            "\n## Reliability at 250 m, each event by a curve fitted on the others\n",
            f"Predicted over observed area {scores.area_ratio:.2f}; Brier score {scores.brier:.5f}, its skill against",
            f"the prevalence {scores.brier_skill:.3f}; mean error of the bins {scores.calibration_error:.4f}.\n",
            "| predicted | observed | observed / predicted | share of area |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


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
        "| scene | trained | pixels | prevalence | AUC | ceiling | slope's AUC | AP | slope's AP | area |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in scores:
        ceiling = f"{row['ceiling_auc']:.3f}" if "ceiling_auc" in row else "-"
        lines.append(
            f"| {row['scene']} | {row['trained']} | {row['pixels']:,} | {row['prevalence']:.4f} | {row['auc']:.3f} "
            f"| {ceiling} | {row['slope_auc']:.3f} | {row['average_precision']:.3f} "
            f"| {row['slope_average_precision']:.3f} | {row['area_ratio']:.2f} |"
        )
    return "\n".join(lines)
