"""Tables are not cut where a test reads them, whatever the terminal of the tests' process is."""

from __future__ import annotations

import pytest

from headscarp.terminal import out


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "width", 200)
