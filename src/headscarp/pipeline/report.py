"""The evaluation report: several splits on one page that a person reads in five minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headscarp.errors import InvalidInput
from headscarp.io.outputs.report.curves import hit_chart, reliability_chart, success_chart
from headscarp.io.outputs.report.forest import forest_chart
from headscarp.io.outputs.report.names import event_name
from headscarp.io.outputs.report.page import Made, Page, Section, render
from headscarp.io.outputs.report.results import Results, SceneFacts
from headscarp.io.outputs.report.scores import auc_chart, ceiling_chart, ceiling_words, overall_chart
from headscarp.io.outputs.report.style import Chart
from headscarp.io.outputs.report.tables import (
    Table,
    area_table,
    auc_table,
    difference_tables,
    gaps,
    number,
    other_grounds,
    paper_table,
    percent,
    precision_table,
    reliability_table,
)

FILE = "index.html"
MOST_NAMED = 6
"""Of more events than this it is only counted which model is best."""
TITLES = {
    "blocks": "Spatial blocks within each event",
    "events": "Leave one event out",
    "worlds": "Leave SYNTHETIC worlds out",
    "paper33": "The paper's split: 33 events to learn from, 5 to test",
    "released": "Released models, nothing trained",
}
RULES = {
    "blocks": "Trained on the other blocks of all events, scored on the one left out, with a buffer between them",
    "events": "Trained on the other events and on SYNTHETIC worlds, scored on the event left out",
    "worlds": "Trained on the other SYNTHETIC worlds, scored on those left out; every world is left out once",
    "paper33": "Trained on all events but the paper's five test events, scored on these",
    "released": "Named bundles and formulas scored on what they never saw; nothing was trained for it",
}
READING = (
    "AUC judges the order of all pixels: 0.5 is chance, 1 perfect. Easy ground (valley floors) lifts it.",
    "Average precision judges the top of the map. Its floor is the prevalence, which differs between events.",
    "Area ratio is predicted over observed landslide area. Below 1 too little was predicted, above 1 too much.",
    "Intervals come from resampled blocks or events. Two that overlap may still differ: see the paired differences.",
    "Success rate: the share of the landslide area that the highest-scored share of the ground holds.",
    "Reliability: a coverage is meant well where its points lie in the grey band.",
    "Balanced scores follow the paper's protocol. They stand only beside scores over every pixel.",
)
LIMITS = (
    "With a handful of events any interval is too narrow: what another earthquake would bring is not in it.",
    "Inventories differ: in who or what mapped them, in the least size mapped, in cells against polygons.",
    "Blocks of one event share its shaking, its geology and its mapper; leaving events out is the harder test.",
    "Scores of SYNTHETIC worlds show that the code learns known structure. They are no skill on real earthquakes.",
    "Words beside a mark say what colour says; charts differ in their markers, so that they read in black and white.",
)


def write_report(results: Mapping[str, Any], folder: Path, *, more: Sequence[Mapping[str, Any]] = ()) -> Path:
    """Write `index.html` into the folder; equal results give equal bytes.

    Args:
        results: A results document, `headscarp-evaluation/1`.
        folder: Made where it is not there.
        more: Further documents, each of another split.

    Raises:
        InvalidInput: a document is of another form, or two are of the same split.
    """
    found = [_titled(Results.parse(document, f"results {n}")) for n, document in enumerate((results, *more), 1)]
    splits = [r.split for r in found]
    if len(set(splits)) != len(splits):
        raise InvalidInput(f"evaluation report: expected each split once, found {', '.join(splits)}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(render(_page(found)), encoding="utf-8")
    return path


def charts(results: Results) -> Iterator[Chart]:
    """Every chart that the results have data for, most telling first; names start with the split."""
    split = results.split
    drawn = [auc_chart(results, f"{split}-auc")]
    drawn += [
        forest_chart(results, against, f"{split}-differences-{n}")
        for n, against in enumerate(dict.fromkeys(d.against for d in results.differences), 1)
    ]
    drawn += [
        success_chart(results, f"{split}-success"),
        reliability_chart(results, f"{split}-reliability"),
        hit_chart(results, f"{split}-hits"),
        ceiling_chart(results, f"{split}-ceiling"),
        overall_chart(results, f"{split}-overall"),
    ]
    yield from (chart for chart in drawn if chart is not None)


def _titled(results: Results) -> Results:
    """Scenes that carry a USGS id of the registry get the earthquake's name."""
    scenes = [s if s.title else s.model_copy(update={"title": event_name(s.name)}) for s in results.scenes]
    return results.model_copy(update={"scenes": tuple(scenes)})


def _page(found: Sequence[Results]) -> Page:
    return Page(
        title="How well the models predict landslides",
        synthetic=_synthetic_words(found),
        lead=_lead(found),
        sections=[_section(results) for results in found],
        reading=READING,
        limits=LIMITS,
        made=[_made(results) for results in found],
        models=[(results.split, model) for results in found for model in results.models],
    )


def _lead(found: Sequence[Results]) -> list[str]:
    splits = "; ".join(TITLES[results.split].lower().replace("synthetic", "SYNTHETIC") for results in found)
    numbers = "Every number is over all judged pixels at the event's own prevalence, unless it says balanced."
    return [
        f"{_count(len(found), 'way')} of judging: {splits}.",
        f"No pixel is scored by a model that was trained on it. {numbers}",
    ]


def _synthetic_words(found: Sequence[Results]) -> str:
    scenes = {s.name for results in found for s in results.scenes}
    drawn = {s.name for results in found for s in results.scenes if s.synthetic}
    if not drawn:
        return ""
    return f"{len(drawn)} of {_count(len(scenes), 'event')} here are invented worlds; each says so where it is shown."


def _section(results: Results) -> Section:
    return Section(
        title=TITLES[results.split],
        judged=_judged(results),
        answer=_answer(results),
        tables=[auc_table(results), precision_table(results), area_table(results)],
        charts=list(charts(results)),
        folded=[(words, tables) for words, tables in _folded(results) if tables],
        gaps=gaps(results),
    )


def _folded(results: Results) -> Iterator[tuple[str, Sequence[Table]]]:
    """What a critical reader looks up."""
    paper, reliability = paper_table(results), reliability_table(results)
    yield "Paired differences on every event", difference_tables(results)
    yield "The paper's balanced scores beside those on all pixels", [paper] if paper else []
    yield "Reliability by bin", [reliability] if reliability else []
    yield "AUC on parts of the ground", other_grounds(results)


def _judged(results: Results) -> str:
    """What was judged and how, in a sentence or two."""
    real = [s for s in results.scenes if not s.synthetic]
    drawn = [s for s in results.scenes if s.synthetic]
    kinds = [_count(len(real), "real event")] if real else []
    kinds += [f"{len(drawn)} SYNTHETIC {'world' if len(drawn) == 1 else 'worlds'}"] if drawn else []
    pixels, slides = sum(s.pixels for s in results.scenes), sum(s.slide_pixels for s in results.scenes)
    folds = f"{_count(len(results.folds), 'fold')}; " if results.folds else ""
    return (
        f"{RULES[results.split]}: {folds}{_count(len(results.models), 'model')} on {' and '.join(kinds) or 'nothing'}; "
        f"{pixels:,} pixels, {slides:,} of them landslides, prevalence {_prevalences(results.scenes)}."
    )


def _prevalences(scenes: Sequence[SceneFacts]) -> str:
    known = sorted(s.prevalence for s in scenes if s.prevalence is not None)
    if not known:
        return percent(None)
    return percent(known[0]) if len(known) == 1 else f"{percent(known[0])} to {percent(known[-1])}"


def _answer(results: Results) -> str:
    """Which model ranks best where; of many scenes how often."""
    best = {}
    for scene in results.scenes:
        found = {m.name: results.estimate("auc", m.name, scene.name).value for m in results.models}
        judged = {name: value for name, value in found.items() if value is not None}
        if judged:
            best[scene.name] = min(judged.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{results.label(scene)}: {name} ({number(value)})" for scene, (name, value) in best.items()]
    if len(parts) > MOST_NAMED:
        times = Counter(name for name, _ in best.values()).most_common()
        parts = [f"{name} on {count} of {_count(len(best), 'event')}" for name, count in times]
    words = f"Highest AUC: {'; '.join(parts)}." if parts else ""
    ceilings = any(s.ceiling_auc is not None for s in results.scenes)
    return f"{words} {ceiling_words(results)}".strip() if ceilings else words


def _made(results: Results) -> Made:
    versions = {"headscarp": results.headscarp or "not stated", **results.versions}
    return Made(
        split=results.split,
        command=results.command or "not stated",
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
        created=results.created or "not stated",
    )


def _count(number_of: int, word: str) -> str:
    return f"{number_of:,} {word}{'' if number_of == 1 else 's'}"
