"""What all commands share: the two streams, settings with what was typed on top, answers for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from headscarp.errors import InvalidInput
from headscarp.settings import Settings

out = Console()
err = Console(stderr=True)

SourcesOption = Annotated[Path | None, typer.Option("--sources", help="Source registry that overrides the public one")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines")]


def settings_with(**overrides: Any) -> Settings:
    """Settings from the environment, with what the command line gave on top."""
    given = {key: value for key, value in overrides.items() if value not in (None, [], ())}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise InvalidInput(f"setting HEADSCARP_{name}: {first['msg']}, found {first['input']!r}") from None


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    out.print_json(json.dumps(value, default=str))
