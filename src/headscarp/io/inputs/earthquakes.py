"""The registry of earthquakes to learn from: which there are, and where their public inventories lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from headscarp.errors import InvalidInput
from headscarp.io.inputs.usgs_models import EVENT_ID, explain

REGIONS = ("EqCP", "TeCP", "CoCP", "TeAH", "CoAH")
MINIMUM_MAGNITUDE = 6.0
"""Of the paper."""
KEY = r"^[a-z][a-z0-9_]*_(19|20)\d{2}$"
STATEMENTS = frozenset({"name", "date", "magnitude", "region", "status", "usgs_id", "inventory", "landslides", "note"})

Text = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublicInventory(_Model):
    """A data set that others published."""

    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    url: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    licence: Text | None = None
    citation: Text

    @model_validator(mode="after")
    def _found_somewhere(self) -> Self:
        if self.doi is None and self.url is None:
            raise ValueError("expected a doi or a url")
        return self


class Earthquake(_Model):
    """One earthquake; what is not known for certain is None."""

    key: Annotated[str, Field(pattern=KEY)]
    name: Text
    date: date
    """UTC."""
    magnitude: Annotated[float, Field(ge=5.0, le=10.0)]
    region: Literal["EqCP", "TeCP", "CoCP", "TeAH", "CoAH"]
    status: Literal["named", "candidate"]
    usgs_id: Annotated[str, Field(pattern=EVENT_ID)] | None
    inventory: str | None
    """Key of a public inventory."""
    landslides: Text | None = None
    """How many there are said to be, in words."""
    excluded: Text | None = None
    """Why it is not used although it is listed."""
    note: Text | None = None
    sources: Mapping[str, str] = {}
    """Key of the source by statement."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if int(self.key[-4:]) != self.date.year:
            raise ValueError(f"expected a key that ends in {self.date.year}, found {self.key}")
        if self.magnitude < MINIMUM_MAGNITUDE and self.excluded is None:
            raise ValueError(f"expected magnitude {MINIMUM_MAGNITUDE:g} or the reason in `excluded`")
        unknown = set(self.sources) - STATEMENTS
        if unknown:
            raise ValueError(f"sources: expected some of {sorted(STATEMENTS)}, found {sorted(unknown)}")
        return self

    def source(self, statement: str) -> str:
        """Key of the source of a statement."""
        return self.sources.get(statement, "compiled")


class _Document(_Model):
    sources: Mapping[str, Text]
    inventories: Mapping[str, PublicInventory] = {}
    earthquakes: tuple[Earthquake, ...]

    @model_validator(mode="after")
    def _known_keys(self) -> Self:
        ids = [quake.usgs_id for quake in self.earthquakes if quake.usgs_id]
        if repeated := {i for i in ids if ids.count(i) > 1}:
            raise ValueError(f"usgs_id: expected each once, found {sorted(repeated)} again")
        for quake in self.earthquakes:
            if quake.inventory is not None and quake.inventory not in self.inventories:
                raise ValueError(f"{quake.key}: inventory {quake.inventory!r} is not among {sorted(self.inventories)}")
            if missing := {*quake.sources.values(), "compiled"} - set(self.sources):
                raise ValueError(f"{quake.key}: source {sorted(missing)[0]!r} is not among {sorted(self.sources)}")
        return self


class EarthquakeRegistry:
    """Earthquakes by key, in the order of the file."""

    def __init__(
        self, earthquakes: Iterable[Earthquake], inventories: Mapping[str, PublicInventory], sources: Mapping[str, str]
    ) -> None:
        self._earthquakes = {quake.key: quake for quake in earthquakes}
        self.inventories, self.sources = dict(inventories), dict(sources)

    @classmethod
    def load(cls, path: Path | None = None) -> EarthquakeRegistry:
        """The packaged registry, or that of a YAML file of the same form.

        Raises:
            InvalidInput: it cannot be read, or a statement is wrong; the message names file and place.
        """
        if path is None:
            text = resources.files("headscarp.tables").joinpath("earthquakes.yaml").read_text("utf-8")
            return _parsed(text, "the packaged earthquakes.yaml")
        try:
            return _parsed(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"earthquake registry {path}: cannot be read: {error}") from error

    def __iter__(self) -> Iterator[Earthquake]:
        return iter(self._earthquakes.values())

    def __len__(self) -> int:
        return len(self._earthquakes)

    def __getitem__(self, name: str) -> Earthquake:
        """An earthquake by key or USGS id.

        Raises:
            InvalidInput: there is no such earthquake.
        """
        found = self._earthquakes.get(name) or next((q for q in self if q.usgs_id == name), None)
        if found is None:
            raise InvalidInput(f"earthquake {name!r}: expected a key or USGS id of the registry of {len(self)}")
        return found

    def public_inventory(self, quake: Earthquake) -> PublicInventory | None:
        """Where the public inventory of an earthquake lies."""
        return None if quake.inventory is None else self.inventories[quake.inventory]


def _parsed(text: str, where: str) -> EarthquakeRegistry:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"earthquake registry {where}: not YAML: {error}") from error
    try:
        model = _Document.model_validate(_with_keys(document))
    except ValidationError as error:
        raise InvalidInput(explain(error, f"earthquake registry {where}")) from error
    return EarthquakeRegistry(model.earthquakes, model.inventories, model.sources)


def _with_keys(document: Any) -> Any:
    """The document with each earthquake's key inside it."""
    quakes = document.get("earthquakes") if isinstance(document, dict) else None
    if not isinstance(quakes, dict):
        return document
    return document | {
        "earthquakes": [{"key": key, **entry} if isinstance(entry, dict) else entry for key, entry in quakes.items()]
    }
