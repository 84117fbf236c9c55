from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)")


@pytest.mark.parametrize("document", sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}), ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = [href for href in LINK.findall(document.read_text("utf-8")) if "://" not in href]
    assert [href for href in links if not (document.parent / href).exists()] == []


def test_every_make_target_of_the_readme_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named and named <= defined


def test_every_setting_that_a_document_names_exists() -> None:
    from headscarp.settings import Settings

    texts = [path.read_text("utf-8") for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]
    named = {name.lower() for text in texts for name in re.findall(r"HEADSCARP_([A-Z_]+)", text)}
    assert named and named <= set(Settings.model_fields) | {"root"}
