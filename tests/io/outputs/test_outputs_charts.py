"""Charts as inline SVG: equal bytes, words for all readers, and exactly the numbers of the results."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from headscarp.core.grid import Bounds
from headscarp.errors import InvalidInput
from headscarp.io.outputs.report import curves, world_map
from headscarp.io.outputs.report.curves import compact, hit_chart, reliability_chart, success_chart
from headscarp.io.outputs.report.forest import forest_chart
from headscarp.io.outputs.report.ranking import ranking_chart
from headscarp.io.outputs.report.results import Difference, Results
from headscarp.io.outputs.report.scores import above_ceiling, auc_chart, ceiling_chart, overall_chart
from headscarp.io.outputs.report.style import Chart, looks
from headscarp.io.outputs.report.world_map import Place, RegionCount, world_chart
from tests.io.outputs.evaluations import MODELS, NASTY, SCORES, results

SVG = "{http://www.w3.org/2000/svg}"
TRACE: dict[str, Any] = {
    "groups": [
        {
            "name": "syn-1",
            "synthetic": True,
            "gains": [
                {"name": "slope", "bits": 0.11, "floor": 0.002, "low": 0.1, "high": 0.13},
                {"name": "twi", "bits": 0.04, "floor": 0.003, "low": None, "high": None},
            ],
            "selection": {
                "kept": ["slope"],
                "steps": [{"removed": "twi", "rule": "correlation"}, {"removed": None, "rule": "none"}],
            },
        },
        {
            "name": "usp000e12e",
            "synthetic": False,
            "gains": [{"name": "soil", "bits": 0.02, "floor": 0.05, "low": None, "high": None}],
            "selection": {"kept": ["soil"], "steps": [{"removed": None, "rule": "none"}]},
        },
    ]
}
PLACES = (
    Place("Kashmir 2005", 73.6, 34.5, "TeAH", at_hand=True),
    Place("Gorkha 2015", 84.7, 28.2, "CoAH", at_hand=True),
    Place("Wenchuan 2008", 103.3, 31.0, "TeAH", at_hand=True),
    Place("Luding 2022", 102.1, 29.6, "TeAH", at_hand=False),
    Place("Kaikoura 2016", 173.1, -42.7, "TeCP", at_hand=False),
)


def found(**changes: Any) -> Results:
    return Results.parse(results(**changes))


def world(_: Results, name: str) -> Chart:
    counts = [RegionCount("TeAH", 2, 8, 2), RegionCount("EqCP", 1, 10, 0)]
    belts = {"one": [Bounds(60, 20, 100, 40)], "two": [Bounds(120, 20, 140, 40), Bounds(-180, -20, -160, 0)]}
    return world_chart(PLACES, counts, belts=belts, name=name)


DRAWERS: dict[str, Callable[[Results, str], Chart | None]] = {
    "auc": auc_chart,
    "overall": overall_chart,
    "ceiling": ceiling_chart,
    "success": success_chart,
    "reliability": reliability_chart,
    "hits": hit_chart,
    "forest": lambda r, name: forest_chart(r, "boosting", name),
    "ranking": lambda _, name: ranking_chart(TRACE, name),
    "world": world,
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Chart]:
    charts = {name: draw(found(), name) for name, draw in DRAWERS.items()}
    return {name: chart for name, chart in charts.items() if chart is not None}


def texts(chart: Chart) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(chart.svg).iter(f"{SVG}text")]


def test_every_chart_is_drawn_and_equal_data_give_equal_bytes(drawn: dict[str, Chart]) -> None:
    assert set(drawn) == set(DRAWERS)
    for name in ("auc", "reliability", "ranking"):
        assert DRAWERS[name](found(), name) == drawn[name]


@pytest.mark.parametrize("name", DRAWERS)
def test_a_chart_speaks_to_those_who_do_not_see_it_and_reaches_for_nothing(drawn: dict[str, Chart], name: str) -> None:
    chart = drawn[name]
    root = ET.fromstring(chart.svg)
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    by_id = {node.get("id"): node for node in root.iter() if node.get("id")}
    title, description = (by_id[key] for key in (root.get("aria-labelledby") or "").split())
    assert (title.tag, title.text) == (f"{SVG}title", chart.title)
    assert (description.tag, description.text) == (f"{SVG}desc", chart.description)
    assert chart.caption in chart.description
    tags = {node.tag.removeprefix(SVG) for node in root.iter()}
    assert not {"script", "style", "image", "metadata", "foreignObject"} & tags
    references = re.findall(r'(?:href="|url\()#([^")]+)', chart.svg)
    assert set(references) <= set(by_id)
    assert not re.search(r"20\d\d-\d\d-\d\d|matplotlib v|<!--", chart.svg)
    assert re.findall(r'https?://[^"\s]+', chart.svg) == ["http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"]


def test_charts_of_one_page_share_no_id(drawn: dict[str, Chart]) -> None:
    ids = [node.get("id") for chart in drawn.values() for node in ET.fromstring(chart.svg).iter()]
    given_ids = [i for i in ids if i]
    assert len(set(given_ids)) == len(given_ids) > 50


def test_every_auc_is_printed_and_nothing_else(drawn: dict[str, Chart]) -> None:
    rows = [row for row in SCORES if row.get("ground") == "all" and row["scene"] != "mean"]
    expected = sorted(f"{row['auc']['value']:.3f}" for row in rows)
    printed = [words for words in texts(drawn["auc"]) if re.fullmatch(r"0\.\d{3}", words)]
    assert sorted(printed) == expected and len(printed) == 10
    assert texts(drawn["auc"]).count("not judged") == len(MODELS) * 3 - 10


def test_a_name_is_printed_as_it_is(drawn: dict[str, Chart]) -> None:
    assert NASTY in texts(drawn["auc"])
    assert NASTY in texts(drawn["ceiling"])


def test_models_are_told_apart_without_colour() -> None:
    seen = looks([f"model {n}" for n in range(12)])
    assert len({look.marker for look in seen.values()}) == 12
    assert looks(["b", "a"]) == looks(["a", "b"])
    assert len({look.colour for look in looks([f"model {n}" for n in range(8)]).values()}) == 8


def test_the_forest_counts_what_is_decided(drawn: dict[str, Chart]) -> None:
    words = texts(drawn["forest"])
    for expected in ("+0.021 better", "-0.010 undecided", "+0.005 undecided", "-0.145 worse", "+0.001 undecided"):
        assert expected in [w.replace("\u2212", "-") for w in words]
    assert "1 better, 1 worse, 3 undecided" in drawn["forest"].caption
    assert forest_chart(found(), "nothing", "x") is None


def test_a_long_forest_keeps_the_means() -> None:
    scenes = [{"name": f"s{n}", "synthetic": True, "pixels": 1, "slide_pixels": 1} for n in range(50)]
    rows = [
        {"model": "network", "against": "slope", "scene": s, "metric": "auc", "value": 0.1, "low": 0.0, "high": 0.2}
        for s in (*(s["name"] for s in scenes), "mean")
    ]
    chart = forest_chart(found(scenes=scenes, differences=rows, scores=[], curves=[], skipped=[]), "slope", "long")
    assert chart is not None
    assert texts(chart).count("+0.100 undecided") == 1 and "Means only" in chart.caption
    assert "network: mean of events" in texts(chart)


@settings(max_examples=50, deadline=None)
@given(st.floats(-1, 1), st.floats(0, 1))
def test_an_interval_that_holds_zero_decides_nothing(low: float, width: float) -> None:
    difference = Difference(model="a", against="b", scene="c", metric="auc", value=low, low=low, high=low + width)
    expected = "better" if low > 0 else "worse" if low + width < 0 else "undecided"
    assert difference.verdict == expected
    assert Difference(model="a", against="b", scene="c", metric="auc", value=0.3).verdict == "undecided"


def test_reliability_is_of_coverages_only_and_counts_cells(drawn: dict[str, Chart]) -> None:
    words = texts(drawn["reliability"])
    assert "slope" not in words and "network" in words
    assert words.count("4.12k") == words.count("31") == 2 * 3
    assert reliability_chart(found(models=[{"name": n, "quantity": "score"} for n in MODELS]), "x") is None


def test_many_models_leave_the_rest_grey_and_the_counts_to_the_table() -> None:
    names = [f"m{n}" for n in range(12)]
    one = results()["curves"][0]
    rows = [one | {"model": name, "scene": "gorkha"} for name in names]
    many = found(models=[{"name": n, "quantity": "coverage"} for n in names], scores=[], differences=[], curves=rows,
                 skipped=[])  # fmt: skip
    for draw in (success_chart, reliability_chart):
        chart = draw(many, "many")
        assert chart is not None and "Grey: 6 other models." in chart.caption
        assert "4.12k" not in texts(chart)
        assert sum(re.fullmatch(r"m\d+", words) is not None for words in texts(chart)) == curves.MOST_LINES


def test_a_bin_without_landslides_is_drawn_at_the_edge() -> None:
    cells = [{"predicted": 0.1, "observed": 0.0, "cells": 7}]
    chart = reliability_chart(found(curves=[{"model": "network", "scene": "gorkha", "reliability": cells}]), "edge")
    assert chart is not None and "7" in texts(chart)


def test_sizes_carry_their_number(drawn: dict[str, Chart]) -> None:
    words = " ".join(texts(drawn["hits"]))
    assert words.count("n = 812") == 3
    assert "9k and more" in words
    assert [compact(n) for n in (900, 2700, 1_234_567, 0.5)] == ["900", "2.7k", "1.23M", "0.5"]


def test_of_many_scenes_the_first_are_drawn_and_the_words_say_so() -> None:
    scenes = [{"name": f"s{n}", "synthetic": True, "pixels": 1, "slide_pixels": 1} for n in range(8)]
    rows = [{"model": "slope", "scene": s["name"], "success_rate": [[0, 0], [1, 1]]} for s in scenes]
    chart = success_chart(found(scenes=scenes, scores=[], differences=[], curves=rows, skipped=[]), "many")
    assert chart is not None
    assert f"{curves.MOST_PANELS} of 8 events are drawn" in chart.caption
    assert sum("SYNTHETIC" in words for words in texts(chart)) == curves.MOST_PANELS


@pytest.mark.parametrize(("auc", "leaks"), [(0.9156, ()), (0.9158, (("network", "SYNTHETIC syn-7"),))])
def test_three_standard_errors_above_the_ceiling_is_a_leak(auc: float, leaks: tuple[tuple[str, str], ...]) -> None:
    # 0.9031 + 3 x 0.0042 = 0.9157
    row = {"model": "network", "scene": "syn-7", "profile": "honest", "ground": "all", "auc": auc}
    leaky = found(scores=[row])
    assert above_ceiling(leaky) == leaks
    chart = ceiling_chart(leaky, "leak")
    assert chart is not None and ("leaked" in chart.caption) == bool(leaks)


def test_real_and_invented_events_never_share_a_mean() -> None:
    paper = {"model": "network", "profile": "paper", "auc": 0.9}
    both = overall_chart(found(scores=[paper | {"scene": s} for s in ("gorkha", "syn-7")]), "both")
    drawn_only = overall_chart(found(scores=[paper | {"scene": "syn-7"}]), "drawn")
    assert both is not None and "gorkha" in both.description and "SYNTHETIC" not in both.description
    assert drawn_only is not None and "SYNTHETIC world" in drawn_only.caption
    assert overall_chart(found(scores=[]), "none") is None


def test_no_name_on_the_map_covers_another(drawn: dict[str, Chart]) -> None:
    offsets = world_map._offsets(PLACES)
    boxes = [world_map._extent(place, offset) for place, offset in zip(PLACES, offsets, strict=True)]
    assert not any(a.intersects(b) for a, b in itertools.combinations(boxes, 2))
    assert all(shapely.bounds(box)[2] <= 200 for box in boxes)
    words = texts(drawn["world"])
    assert all(place.name in words for place in PLACES)
    assert "2 named, 8 candidates, 2 at hand" in words
    assert "At hand: Kashmir 2005, Gorkha 2015, Wenchuan 2008." in drawn["world"].description


def test_the_ranking_says_what_went_and_why(drawn: dict[str, Chart]) -> None:
    words = texts(drawn["ranking"])
    assert "SYNTHETIC syn-1" in words and any("Kashmir" in w for w in words)
    assert "2 correlated" in words
    # soil has no layer in the first group, slope and twi in the second
    assert words.count("no layer") == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "headscarp-evaluation/9"}, "format"),
        ({"split": "guess"}, "split"),
        ({"scores": [{"model": "network", "scene": "atlantis", "profile": "honest"}]}, "atlantis"),
        ({"scores": [{"model": "oracle", "scene": "gorkha", "profile": "honest"}]}, "oracle"),
        ({"scores": [{"model": "network", "scene": "gorkha", "profile": "honest", "auc": "high"}]}, "auc"),
        ({"scenes": [{"name": "gorkha", "synthetic": False, "pixels": 1, "slide_pixels": 1}] * 2}, "once"),
    ],
)
def test_results_of_another_form_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        found(**changes)
