from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml


def deployments(root: Path) -> list[dict[str, Any]]:
    found = yaml.safe_load((root / "flows" / "prefect.yaml").read_text())["deployments"]
    assert isinstance(found, list)
    return found


def test_every_entrypoint_is_a_path_that_resolves_to_a_flow(root: Path) -> None:
    from prefect.flows import load_flow_from_entrypoint

    for deployment in deployments(root):
        path, _, name = deployment["entrypoint"].partition(":")
        assert (root / path).is_file()
        assert load_flow_from_entrypoint(f"{root / path}:{name}").name == deployment["name"]


def test_no_deployment_has_a_limit_that_a_killed_run_could_hold(root: Path) -> None:
    assert not any("concurrency_limit" in deployment for deployment in deployments(root))


def test_every_flow_file_is_deployed_and_holds_no_science(root: Path) -> None:
    files = {path.name for path in (root / "flows").glob("*.py")}
    assert files == {Path(d["entrypoint"].partition(":")[0]).name for d in deployments(root)}
    for path in (root / "flows").glob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) < 130
        assert "numpy" not in text and "rasterio" not in text


def test_the_key_of_a_dispatched_run_changes_with_the_attempt(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime

    from headscarp.core.run import Run, State

    spec = importlib.util.spec_from_file_location("watch_flow", root / "flows" / "watch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    keys = []
    monkeypatch.setattr(module, "run_deployment", lambda name, **kw: keys.append((name, kw["idempotency_key"])))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = Run("us1-x", "us1", 1, State.CLAIMED, 1, "me", now, now)
    module.dispatch(run)
    module.dispatch(run.retaken("you", now, now - now))
    assert keys == [("respond/respond", "us1-x-1"), ("respond/respond", "us1-x-2")]
