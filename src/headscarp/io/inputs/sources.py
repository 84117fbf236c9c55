"""The source registry: where each layer comes from, and under which licence.

The packaged registry names public locations; a file of one's own, an event folder or a mirror
takes the place of any of its layers. A profile replaces several layers together.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError

from headscarp.errors import InvalidInput
from headscarp.io.inputs.spec import URL_SCHEME, SourceSpec

__all__ = ["SourceRegistry", "SourceSpec"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SourceRegistry:
    """Layers by name; a layer may be absent, for a reason."""

    def __init__(
        self,
        layers: Mapping[str, SourceSpec],
        absent: Mapping[str, str],
        *,
        profile: str | None = None,
        others: str | None = None,
    ) -> None:
        """Hold layers and reasons; `others` is the reason for any layer that is in neither."""
        self._layers, self._absent = dict(layers), dict(absent)
        self.profile, self._others = profile, others

    @classmethod
    def load(cls, path: Path | None = None, *, profile: str | None = None, mirror: str | None = None) -> SourceRegistry:
        """The packaged registry, its layers replaced by those of the YAML file `path`, then by the profile's.

        Paths in the file are relative to its folder. A layer is a mapping of `SourceSpec`'s fields,
        or `{absent: reason}`. With a mirror, public addresses of the packaged registry are read from there
        (`headscarp.io.inputs.origin.mirrored`).

        Raises:
            InvalidInput: the file cannot be read, a key is wrong, or neither file has the profile;
                the message names file and key.
        """
        packaged = resources.files("headscarp.tables").joinpath("sources.yaml")
        files = [_parse(packaged.read_text("utf-8"), "the packaged sources.yaml", None)]
        if mirror:
            files[0] = files[0].from_mirror(mirror.rstrip("/"))
        if path is not None:
            files.append(_parse(_text(path), str(path), path.resolve().parent))
        layers = [file.layers for file in files] + [file.profile(profile) for file in files if profile]
        known = sorted({name for file in files for name in file.profiles})
        if profile and profile not in known:
            raise InvalidInput(
                f"source registry {files[-1].where}: profiles: expected one of {known}, found {profile!r}"
            )
        merged = cls({}, {}, profile=profile)
        for entries in layers:
            merged = merged._replaced(entries)
        return merged

    def with_overrides(
        self, layers: Mapping[str, SourceSpec | Mapping[str, Any]], *, others: str | None = None
    ) -> SourceRegistry:
        """A registry with `layers` in place of its own; names that are no lower-case identifiers are left out.

        Args:
            layers: specifications, or mappings of their fields, by layer name.
            others: if given, all layers that are not among `layers` are absent for this reason.

        Raises:
            InvalidInput: a specification is wrong.
        """
        named = {name: spec for name, spec in layers.items() if _NAME.fullmatch(name)}
        own = {name: _spec(spec, "override", f"layers.{name}") for name, spec in named.items()}
        if others is None:
            return self._replaced(_Entries(own))
        return SourceRegistry(own, {}, profile=self.profile, others=others)

    def _replaced(self, other: _Entries) -> SourceRegistry:
        kept = {n: s for n, s in self._layers.items() if n not in other.absent}
        absent = {n: r for n, r in self._absent.items() if n not in other.layers}
        layers, absent = {**kept, **other.layers}, {**absent, **other.absent}
        return SourceRegistry(layers, absent, profile=self.profile, others=self._others)

    @property
    def digest(self) -> str:
        """sha256 over every specification, every reason and the profile."""
        plain = {name: spec.model_dump(mode="json") for name, spec in sorted(self._layers.items())}
        content = [plain, self._absent, self._others, self.profile]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """Layers with a source, in alphabetical order."""
        return tuple(sorted(self._layers))

    def __getitem__(self, layer: str) -> SourceSpec | None:
        """The specification, None where the layer is absent."""
        return self._layers.get(layer)

    def reason(self, layer: str) -> str:
        """Why a layer is absent."""
        reason = self._absent.get(layer, self._others)
        return reason or f"the source registry has no layer {layer!r}{_meant(layer, self.names)}"

    def unused(self, wanted: Iterable[str]) -> dict[str, str]:
        """Layers nobody asks for, each with a name that may be meant instead, or an empty string."""
        asked = set(wanted)
        return {name: _meant(name, asked) for name in self.names if name not in asked}


def _meant(name: str, candidates: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(candidates), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True, slots=True)
class _Entries:
    """Layers, and reasons for absent ones."""

    layers: Mapping[str, SourceSpec] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def from_mirror(self, mirror: str) -> _Entries:
        return _Entries({name: spec.from_mirror(mirror) for name, spec in self.layers.items()}, self.absent)


@dataclass(frozen=True, slots=True)
class _File:
    """A registry file."""

    where: str
    layers: _Entries
    profiles: Mapping[str, _Entries]

    def profile(self, name: str) -> _Entries:
        return self.profiles.get(name, _Entries())

    def from_mirror(self, mirror: str) -> Self:
        profiles = {name: entries.from_mirror(mirror) for name, entries in self.profiles.items()}
        return type(self)(self.where, self.layers.from_mirror(mirror), profiles)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"source registry {path}: cannot be read: {error}") from error


def _parse(text: str, where: str, folder: Path | None) -> _File:
    """A registry file from YAML text."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"source registry {where}: not YAML: {error}") from error
    entries = document.get("layers") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise InvalidInput(f"source registry {where}: expected a mapping with the key 'layers'")
    profiles = _mapping(document.get("profiles", {}), where, "profiles")
    read = {
        str(n): _entries(_mapping(p, where, f"profiles.{n}"), where, f"profiles.{n}", folder)
        for n, p in profiles.items()
    }
    return _File(where, _entries(entries, where, "layers", folder), read)


def _mapping(value: Any, where: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"source registry {where}: {key}: expected a mapping, found {value!r}")
    return value


def _entries(found: Mapping[str, Any], where: str, key: str, folder: Path | None) -> _Entries:
    """The layers below a key of the file."""
    layers, absent = {}, {}
    for name, entry in found.items():
        _name(name, where, key)
        if isinstance(entry, dict) and set(entry) == {"absent"}:
            absent[name] = str(entry["absent"])
        else:
            layers[name] = _spec(_located(entry, folder), where, f"{key}.{name}")
    return _Entries(layers, absent)


def _name(name: Any, where: str, key: str = "layers") -> str:
    """The name itself, which no file system, URL or table can misread."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f"source registry {where}: {key}.{name}: expected a lower-case identifier as layer name")
    return name


def _located(entry: Any, folder: Path | None) -> Any:
    """The entry with its relative paths made absolute."""
    if folder is None or not isinstance(entry, dict):
        return entry
    moved = dict(entry)
    href = entry.get("href")
    if isinstance(href, str) and not URL_SCHEME.match(href) and not Path(href).is_absolute():
        moved["href"] = str(folder / href)
    if isinstance(entry.get("fallback"), list):
        moved["fallback"] = [_located(other, folder) for other in entry["fallback"]]
    return moved


def _spec(entry: SourceSpec | Any, where: str, key: str) -> SourceSpec:
    """A checked specification; the error names file and key."""
    if isinstance(entry, SourceSpec):
        return entry
    try:
        return SourceSpec.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in (key, *first["loc"]))
        raise InvalidInput(f"source registry {where}: {place}: {first['msg'].removeprefix('Value error, ')}") from error
