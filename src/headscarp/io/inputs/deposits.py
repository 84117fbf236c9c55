"""Inventories as they lie in a folder, one per earthquake, waiting to become event folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headscarp.core.learning.inventory import WINDOW_DAYS
from headscarp.errors import InvalidInput
from headscarp.io.inputs.inventory_dates import InventoryOptions
from headscarp.io.inputs.inventory_extent import Rule
from headscarp.io.inputs.inventory_files import SUFFIXES
from headscarp.io.inputs.usgs_models import explain

OPTIONS_FILE: Final = "options.yaml"
EVENT_FILE: Final = "event.json"
RULES: Final[Mapping[str, Rule]] = {"hull": "hull", "event": "event"}

_INVENTORY_FILES = ("href", "ignore_href", "polygons", "extent")


@dataclass(frozen=True, slots=True)
class Deposit:
    """One inventory, or one event folder that has one."""

    name: str
    """Of the file without suffix, or of the folder: a registry key, a USGS id, or an event folder's own name."""
    path: Path
    """The inventory file; of an event folder the folder."""
    options: InventoryOptions
    event_id: str | None = None
    """As an event folder states it."""

    @property
    def is_event_folder(self) -> bool:
        """Whether shaking and layers come along."""
        return self.path.is_dir()

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that decides what the inventory says, the event folder's own files apart."""
        extra = (p for p in (self.options.extent, self.options.ignore) if isinstance(p, Path))
        return (self.path, *extra)


class _Options(BaseModel):
    """options.yaml; paths are relative to its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date_attributes: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    coseismic: str | None = None
    window_days: Annotated[int, Field(ge=0, le=36_500)] = WINDOW_DAYS
    layer: str | None = None
    landslide_value: int | None = None
    extent: str = "hull"
    ignore: str | None = None
    quality: str = "unstated"


def find_deposits(folder: Path) -> Mapping[str, Deposit]:
    """What a folder offers, by name.

    A deposit is an event folder (its event.json names an inventory), a folder named after an earthquake with one file
    `inventory.*` and as may be `extent.*`, `ignore.*` and options.yaml, or a single inventory file named
    after an earthquake. Anything else is left alone.

    Raises:
        InvalidInput: no such folder, options that cannot be read, or two inventories of one name.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: expected a folder of inventories, found none")
    found: dict[str, Deposit] = {}
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        deposit = _deposit(path)
        if deposit is None:
            continue
        if deposit.name in found:
            raise InvalidInput(f"{folder}: expected one inventory {deposit.name}, found {found[deposit.name].path} too")
        found[deposit.name] = deposit
    return found


def named_files(folder: Path) -> tuple[Path, ...]:
    """Files beside a folder that its event.json names: they decide what it says as much as those inside.

    What is wrong with an event.json is not said here, but where the folder is read.
    """
    content = _json(folder / EVENT_FILE)
    layers, inventory = (content.get(key) for key in ("layers", "inventory"))
    named: list[Any] = [layer.get("href") for layer in _values(layers) if isinstance(layer, dict)]
    named += [inventory.get(key) for key in _INVENTORY_FILES] if isinstance(inventory, dict) else []
    home = folder.resolve().parent
    paths = {(folder / href).resolve() for href in named if isinstance(href, str) and href.startswith("../")}
    return tuple(sorted(path for path in paths if path.is_relative_to(home) and path.is_file()))


def parse_extent(text: str, folder: Path) -> Path | Rule:
    """`hull`, `event`, or a path relative to a folder."""
    return RULES.get(text, folder / text)


def _deposit(path: Path) -> Deposit | None:
    if path.is_file():
        return Deposit(path.stem, path, InventoryOptions()) if path.suffix.lower() in SUFFIXES else None
    if (path / EVENT_FILE).is_file():
        return _event_folder(path)
    inventory = _one(path, "inventory")
    return None if inventory is None else Deposit(path.name, inventory, _options(path))


def _event_folder(path: Path) -> Deposit | None:
    """None of a folder that states no inventory; what else is wrong is said when its turn comes."""
    content = _json(path / EVENT_FILE)
    if content and content.get("inventory") is None:
        return None
    found = content.get("id")
    return Deposit(path.name, path, InventoryOptions(), found if isinstance(found, str) else None)


def _json(path: Path) -> dict[str, Any]:
    """The object in a file, empty where there is none that can be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _values(mapping: Any) -> list[Any]:
    return list(mapping.values()) if isinstance(mapping, dict) else []


def _one(folder: Path, stem: str) -> Path | None:
    """The file of this stem with the suffix of an inventory."""
    found = sorted(p for p in folder.glob(f"{stem}.*") if p.suffix.lower() in SUFFIXES)
    if len(found) > 1:
        raise InvalidInput(f"{folder}: expected one {stem}, found {[p.name for p in found]}")
    return found[0] if found else None


def _options(folder: Path) -> InventoryOptions:
    path = folder / OPTIONS_FILE
    try:
        content = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
        stated = _Options.model_validate(content or {})
    except ValidationError as error:
        raise InvalidInput(explain(error, str(path))) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path}: cannot be read: {error}") from error
    extent = _one(folder, "extent") or parse_extent(stated.extent, folder)
    ignore = _one(folder, "ignore") or (folder / stated.ignore if stated.ignore else None)
    return InventoryOptions(
        date_attributes=stated.date_attributes,
        coseismic=stated.coseismic,
        window_days=stated.window_days,
        layer=stated.layer,
        landslide_value=stated.landslide_value,
        extent=extent,
        ignore=ignore,
        quality=stated.quality,
    )
