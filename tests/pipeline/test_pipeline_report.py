"""The report, read back as a person's browser reads it: every number is that of the results, and none is invented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from headscarp.errors import InvalidInput
from headscarp.pipeline.report import write_report
from tests.io.outputs.evaluations import DIFFERENCES, MODELS, NASTY, results

VOID = {"meta", "br", "hr", "img", "input", "link"}
KASHMIR = "Kashmir"


@dataclass
class Table:
    """A table as it stands under its heading."""

    title: str
    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class Reader(HTMLParser):
    """Collects elements, words and tables; complains of what is not closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.tables: list[Table] = []
        self.heading = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h3":
            self.heading = ""
        elif tag == "table":
            self.tables.append(Table(self.heading.strip()))
        elif tag == "tr" and "tbody" in self.open:
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"}:
            (self.tables[-1].rows[-1] if "tbody" in self.open else self.tables[-1].heads).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "h3" in self.open:
            self.heading += data
        if self.open and {"td", "th"} & set(self.open):
            cells = self.tables[-1].rows[-1] if "tbody" in self.open else self.tables[-1].heads
            cells[-1] += data

    def table(self, title: str) -> Table:
        return next(t for t in self.tables if t.title == title)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text("utf-8"))
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results(), tmp_path_factory.mktemp("report") / "out", more=[results("worlds", curves=[])])


@pytest.fixture(scope="module")
def page(path: Path) -> Reader:
    return read(path)


def estimates(metric: str) -> Iterator[tuple[str, str, dict[str, float] | None]]:
    """(model, scene, estimate) of every cell that a table of models by scenes must have."""
    document = results()
    for model in MODELS:
        for scene in document["scenes"]:
            found = [
                row.get(metric) for row in document["scores"]
                if (row["model"], row["scene"]) == (model, scene["name"]) and row.get("ground") == "all"
            ]  # fmt: skip
            yield model, scene["name"], found[0] if found else None


@pytest.mark.parametrize(
    ("title", "metric", "digits"), [("AUC", "auc", 3), ("Average precision", "average_precision", 3),
                                    ("Area ratio", "area_ratio", 2)]
)  # fmt: skip
def test_every_number_of_a_table_is_that_of_the_results(page: Reader, title: str, metric: str, digits: int) -> None:
    table = page.table(title)
    scenes = [scene["name"] for scene in results()["scenes"]]
    rows = {row[0]: row[1:] for row in table.rows}
    assert set(rows) == set(MODELS) and len(table.heads) == (4 if metric == "area_ratio" else 5)
    for model, scene, estimate in estimates(metric):
        shown = rows[model][len(table.heads) - 4 + scenes.index(scene)].replace("best", " ")
        if estimate is None:
            assert shown.split() == ["not", "judged"]
            continue
        expected = [f"{estimate[key]:.{digits}f}" for key in ("value", "low", "high")]
        assert re.findall(r"-?\d+\.\d+", shown) == expected


def test_the_best_is_said_in_words_and_in_bold(page: Reader) -> None:
    best = {
        title: {(row[0], n) for row in page.table(title).rows for n, cell in enumerate(row[-3:], 1) if "best" in cell}
        for title in ("AUC", "Average precision", "Area ratio")
    }
    assert best["AUC"] == best["Average precision"] == {("network", 1), ("boosting", 2), ("network", 3)}
    # nearest to 1 by factor: 1.23 before 1.71, 1.08 before 0.91 and 2.44, 1.02 before 1.11
    assert best["Area ratio"] == {("network", 1), ("boosting", 2), ("network", 3)}
    assert sum(attributes.get("class") == "best" for _, attributes in page.elements) >= 9


def test_average_precision_stands_beside_prevalence_and_worlds_beside_their_ceiling(page: Reader) -> None:
    heads = page.table("Average precision").heads
    assert [re.sub(r".*prevalence", "", head).strip() for head in heads[2:]] == ["1.30 %", "10.5 %", "2.67 %"]
    assert "ceiling 0.903 \u00b1 0.004" in page.table("AUC").heads[4]


def test_what_is_synthetic_says_so_wherever_it_stands(page: Reader) -> None:
    assert "1 of 3 events here are invented worlds" in " ".join(page.words)
    for table in page.tables:
        for words in (*table.heads, *(cell for row in table.rows for cell in row)):
            assert "syn-7" not in words or "SYNTHETIC syn-7" in words
    assert not any("syn-7" in words and "SYNTHETIC" not in words for words in page.words)
    assert any(KASHMIR in head and "usp000e12e" not in head for head in page.table("AUC").heads)


def test_balanced_scores_never_stand_alone(page: Reader) -> None:
    balanced = [t for t in page.tables if any("balanced" in head for head in t.heads)]
    assert balanced
    for table in balanced:
        assert sum("all pixels" in head for head in table.heads) == 2
    row = next(row for row in page.table("The paper's protocol").rows if row[:2] == ["gorkha", "network"])
    assert row[2].startswith("0.810") and row[3].startswith("0.304")
    assert row[4:] == ["0.881", "0.780", "0.760", "0.800", "0.770", "0.540"]
    alone = next(row for row in page.table("The paper's protocol").rows if row[1] == NASTY)
    assert alone[2].strip() == alone[3].strip() == "not judged"


def test_other_ground_has_its_own_tables_and_nan_is_not_a_number(page: Reader, path: Path) -> None:
    strong = {row[0]: row[-2].strip() for row in page.table("AUC where PGA is 0.12 g or more").rows}
    assert strong == dict.fromkeys(MODELS, "not judged") | {"network": "0.778"}
    matched = page.table("AUC where others are as steep as the landslides")
    assert {cell.strip() for row in matched.rows for cell in row[1:]} == {"not judged"}
    assert not re.search(r"\bnan\b|\bNone\b|\bundefined\b", " ".join(page.words))


def test_a_name_is_text_and_no_markup(page: Reader) -> None:
    assert "b" not in {tag for tag, _ in page.elements}
    assert [row[0] for row in page.table("AUC").rows].count(NASTY) == 1


def test_the_page_needs_nothing_but_itself(page: Reader, path: Path) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "image"}
    addresses = [a.get("href") or a.get("xlink:href") or "" for _, a in page.elements]
    assert all(address.startswith("#") for address in addresses if address)
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(set(ids)) == len(ids)
    assert {address[1:] for address in addresses if address} <= set(ids)
    assert "@import" not in path.read_text("utf-8") and "url(http" not in path.read_text("utf-8")


def test_it_opens_with_what_was_judged_and_ends_with_how(page: Reader) -> None:
    words = re.sub(r"\s+", " ", " ".join(page.words))
    judged = "5 folds; 4 models on 2 real events and 1 SYNTHETIC world; 1,162,144 pixels, 64,700 of them landslides"
    assert words.index(judged) < words.index("AUC") + 2000
    assert "prevalence 1.30 % to 10.5 %" in words
    made = page.table("How it was made")
    assert made.rows[0] == ["blocks", "headscarp evaluate --events a b --report out", "headscarp 0.1.0, numpy 2.0",
                            "2026-01-02T03:04:05Z"]  # fmt: skip
    assert len([tag for tag, _ in page.elements if tag == "svg"]) == 8 + 5


def test_means_say_over_how_many_events(page: Reader) -> None:
    mean = {row[0]: row[1].split() for row in page.table("AUC").rows}
    assert page.table("AUC").heads[1].strip() == "mean of events"
    assert mean["network"] == ["0.841", "0.829", "to", "0.853", "over", "2"]
    assert mean["slope"] == ["not", "judged"]


def test_every_difference_and_every_bin_is_in_a_table(page: Reader) -> None:
    rows = {row[0]: [cell.split() for cell in row[1:]] for row in page.table("Differences from boosting: auc").rows}
    assert rows["network"][1] == ["+0.021", "better", "+0.004", "to", "+0.038"]
    assert rows["slope"] == [["-0.145", "worse", "-0.161", "to", "-0.129"], ["not", "judged"], ["not", "judged"]]
    bins = page.table("Reliability by bin").rows
    assert len(bins) == 2 * 3 * 6 and bins[5][2:] == ["20.0 %", "16.0 %", "0.80", "31"]


def test_what_was_not_judged_has_its_reason(page: Reader) -> None:
    assert f"{NASTY} on SYNTHETIC syn-7 (the paper's protocol): no class." in page.words
    assert "network gave 1,234 pixels of gorkha no score." in page.words


def test_scenes_of_one_title_keep_their_names_apart(tmp_path: Path) -> None:
    scenes = [
        {"name": name, "title": f"M 7.8 Gorkha, Nepal ({name})", "synthetic": False, "pixels": 9, "slide_pixels": 1}
        for name in ("a", "b")
    ]
    document = results(scenes=scenes, differences=[], curves=[], skipped=[], scores=[
        {"model": "slope", "scene": name, "profile": "honest", "ground": "all", "auc": 0.7} for name in "ab"
    ])  # fmt: skip
    words = read(write_report(document, tmp_path)).words
    assert {"Gorkha, Nepal, a", "Gorkha, Nepal, b"} <= {word.strip() for word in words}


def test_charts_have_their_words(page: Reader) -> None:
    images = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(a.get("role") == "img" and a.get("aria-labelledby") for a in images)
    printed = " ".join(page.words).replace("\u2212", "-")
    for difference in DIFFERENCES:
        assert f"{difference['value']:+.3f}" in printed


def test_equal_results_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    again = write_report(results(), tmp_path, more=[results("worlds", curves=[])])
    assert again.read_bytes() == path.read_bytes()


def test_little_is_enough(tmp_path: Path) -> None:
    bare = {key: value for key, value in results().items() if key in {"format", "split", "scenes", "models"}}
    page = read(write_report(bare | {"scores": []}, tmp_path))
    assert {cell.strip() for row in page.table("AUC").rows for cell in row[1:]} == {"not judged"}
    assert "not stated" in page.table("How it was made").rows[0][1]


@pytest.mark.parametrize(
    ("document", "message"),
    [({}, "results 1"), (results(format="else"), "format"), (results(split="worlds"), "each split once")],
)
def test_what_cannot_be_reported_is_refused(document: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        write_report(document, tmp_path, more=[results("worlds")])
    assert not (tmp_path / "index.html").exists()


@pytest.mark.service
def test_it_fits_a_narrow_screen(path: Path, chromium: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 360, "height": 700})
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert requests == [path.as_uri()]
        browser.close()
