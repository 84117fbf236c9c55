"""What a model bundle says about itself; plain data, read by clients that never load the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from headscarp.core.learning.calibration import Calibration
from headscarp.core.normalisation import Normalisation
from headscarp.core.pci.table import Transform
from headscarp.core.predictor import Quantity
from headscarp.core.tiling import CropPlan
from headscarp.errors import BadBundle

FORMAT = "headscarp-bundle/3"
OLDER: Mapping[str, Mapping[str, Any]] = {
    "headscarp-bundle/2": {"calibration": None, "members": 1, "gate_px": 0, "flat_degrees": 0.0}
}
"""Formats that are still read, and what the fields they lack meant."""
MOST_MEMBERS = 32
FLATTEST = 5.0
"""Degrees; landslides start on steeper ground."""
DEEPEST = 16
"""Channels of the deepest features, as a multiple of the architecture's width."""
MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "CARD.md"
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")

Configuration = Literal["A", "C"]
"""Two networks that satisfy the paper's text: the plain reading, and an efficient one."""


@dataclass(frozen=True, slots=True)
class InputChannel:
    """How the network sees one cube channel."""

    name: str
    source: str
    """Data source it depends on; channels of one source go missing together and share a validity plane."""
    transform: Transform = "identity"
    classes: int = 0
    """Number of codes of a categorical channel (1..classes, 0 unknown); 0 for a continuous one."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is needed to build the network before its weights are loaded."""

    configuration: Configuration
    width: int
    """Channels of the first level, N in the paper."""
    embedding: int = 4
    """Channels a categorical input is embedded into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Identity, input contract and provenance of a bundle.

    Raises:
        BadBundle: a value that cannot be right; the message names the field.
    """

    name: str
    version: str
    inputs: tuple[InputChannel, ...]
    required: frozenset[str]
    """Channels without which the model cannot run; the score is NaN where one of them is NaN."""
    architecture: Architecture
    table_digest: str
    """Digest of the PCI table whose channels it was trained on."""
    normalisation: Normalisation = "training"
    """Whose statistics put continuous channels on one scale; with "event" they are seen as ranks."""
    absolute: frozenset[str] = frozenset()
    """Channels that are seen by their value too where the event normalises."""
    plan: CropPlan = field(default_factory=CropPlan)
    members: int = 1
    """Networks of an ensemble; the score is the sigmoid of their mean log-odds."""
    gate_px: int = 0
    """Side of the windows over whose features the event's channel gate is averaged; 0: every window makes its own."""
    calibration: Calibration | None = None
    """From the score to the share of the pixel that is expected to be landslide; None where nobody has fitted one."""
    flat_degrees: float = 0.0
    """Ground no steeper than this has coverage 0, as in the model of the USGS; only with a calibration."""
    quantity: Quantity = "score"
    """Coverage with a calibration, score without."""
    weights_sha256: str = ""
    trained_on: tuple[str, ...] = ()
    """Event ids and synthetic worlds."""
    synthetic: bool = False
    """Whether any synthetic world was trained on."""
    licence: str = "Apache-2.0"
    attribution: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        for problem, found in _problems(self).items():
            if found:
                raise BadBundle(f"manifest of {self.name!r}: {problem}")

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the cube channels, in input order."""
        return tuple(channel.name for channel in self.inputs)

    @property
    def ranked(self) -> tuple[str, ...]:
        """Channels whose event statistics it needs: all continuous ones, or none."""
        if self.normalisation == "training":
            return ()
        return tuple(channel.name for channel in self.inputs if channel.classes == 0)

    @property
    def gate_channels(self) -> int:
        """Weights of a channel gate, of all members."""
        return self.members * DEEPEST * self.architecture.width

    def to_json(self) -> str:
        """The manifest as indented JSON, keys sorted."""
        named = {"required": sorted(self.required), "absolute": sorted(self.absolute)}
        curve = {"calibration": self.calibration and self.calibration.to_json()}
        plain = asdict(self) | {"format": FORMAT} | named | curve
        return json.dumps(plain, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read what `to_json` wrote, or what it wrote in an older format.

        Raises:
            BadBundle: not JSON, another format, a field missing, unknown or of the wrong type.
        """
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise BadBundle(f"manifest: expected JSON, found {error}") from error
        if not isinstance(plain, dict):
            raise BadBundle(f"manifest: expected an object, found {type(plain).__name__}")
        return _from_plain(_of_this_format(plain))

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read `manifest.json` of a bundle folder.

        Raises:
            BadBundle: the file is absent or not a manifest; the message names it.
        """
        path = Path(folder) / MANIFEST_FILE
        try:
            return cls.from_json(path.read_bytes())
        except OSError as error:
            raise BadBundle(f"{path}: expected a bundle manifest, found {error.strerror}") from error
        except BadBundle as error:
            raise BadBundle(f"{path}: {error}") from error


def _of_this_format(plain: dict[str, Any]) -> dict[str, Any]:
    """The fields alone, with those that an older format lacks."""
    found = plain.pop("format", None)
    if found == FORMAT:
        return plain
    if not isinstance(found, str) or found not in OLDER:
        raise BadBundle(f"manifest: expected format {FORMAT!r} or one of {sorted(OLDER)}, found {found!r}")
    if early := sorted(set(OLDER[found]) & set(plain)):
        raise BadBundle(f"manifest: format {found!r} has no fields {early}")
    return plain | dict(OLDER[found])


def _from_plain(plain: dict[str, Any]) -> Manifest:
    """Build the value from decoded JSON."""
    _expect_keys(plain, Manifest, "manifest")
    _expect_types(plain)
    typed = plain | {
        "inputs": tuple(_value(InputChannel, item, "inputs") for item in plain["inputs"]),
        "required": frozenset(plain["required"]),
        "absolute": frozenset(plain["absolute"]),
        "architecture": _value(Architecture, plain["architecture"], "architecture"),
        "calibration": _calibration(plain["calibration"]),
        "trained_on": tuple(plain["trained_on"]),
        "attribution": tuple(plain["attribution"]),
    }
    try:
        typed["plan"] = _value(CropPlan, plain["plan"], "plan")
    except ValueError as error:
        raise BadBundle(f"manifest field plan: {error}") from error
    return Manifest(**typed)


def _expect_keys(plain: Mapping[str, Any], kind: Any, where: str) -> None:
    """Exactly the fields of the dataclass `kind`."""
    expected, found = {f.name for f in fields(kind)}, set(plain)
    if expected != found:
        missing, unknown = sorted(expected - found), sorted(found - expected)
        raise BadBundle(f"{where}: missing fields {missing}, unknown fields {unknown}")


def _expect_types(plain: Mapping[str, Any]) -> None:
    """JSON types of the manifest's own fields."""
    lists = ("inputs", "required", "absolute", "trained_on", "attribution")
    kinds = dict.fromkeys(lists, list) | {"synthetic": bool, "architecture": dict, "plan": dict}
    kinds |= {"members": int, "gate_px": int, "flat_degrees": float}
    for name, value in plain.items():
        kind = kinds.get(name, str)
        if name != "calibration" and type(value) is not kind:
            raise BadBundle(f"manifest field {name}: expected {kind.__name__}, found {value!r}")


def _calibration(plain: Any) -> Calibration | None:
    """The curve of a manifest, None where it has none."""
    if plain is None:
        return None
    keys = {"method": str, "scores": list, "coverages": list}
    if not isinstance(plain, dict) or set(plain) != set(keys):
        found = sorted(plain) if isinstance(plain, dict) else plain
        raise BadBundle(f"manifest field calibration: expected null or an object of {sorted(keys)}, found {found!r}")
    for name, kind in keys.items():
        if type(plain[name]) is not kind:
            raise BadBundle(f"manifest field calibration.{name}: expected {kind.__name__}, found {plain[name]!r}")
    for name in ("scores", "coverages"):
        if odd := [v for v in plain[name] if type(v) not in {float, int} or not 0 <= v <= 1]:
            raise BadBundle(f"manifest field calibration.{name}: expected numbers from 0 to 1, found {odd[0]!r}")
        if fall := next(((a, b) for a, b in pairwise(plain[name]) if b < a), None):
            raise BadBundle(f"manifest field calibration.{name}: expected a rise, found {fall[1]} after {fall[0]}")
    try:
        return Calibration.from_json(plain)
    except ValueError as error:
        raise BadBundle(f"manifest field calibration: {error}") from error


def _value(kind: Any, plain: Any, where: str) -> Any:
    """An instance of a flat dataclass of strings and integers."""
    if not isinstance(plain, dict):
        raise BadBundle(f"manifest field {where}: expected an object, found {plain!r}")
    _expect_keys(plain, kind, f"manifest field {where}")
    for item in fields(kind):
        expected = int if item.type == "int" else str
        if type(plain[item.name]) is not expected:
            raise BadBundle(
                f"manifest field {where}.{item.name}: expected {expected.__name__}, found {plain[item.name]!r}"
            )
    return kind(**plain)


def _problems(manifest: Manifest) -> dict[str, bool]:
    """Each contradiction in words, and whether it was found."""
    names, architecture = manifest.channels, manifest.architecture
    transforms = {channel.transform for channel in manifest.inputs}
    return {
        "name and version must be safe in file names": not all(
            SAFE_NAME.fullmatch(text) for text in (manifest.name, manifest.version)
        ),
        f"channels must be given, each once: {names}": not names or len(set(names)) != len(names),
        f"required channels {sorted(manifest.required)} are not among {names}": not manifest.required <= set(names),
        f"unknown transform in {sorted(transforms)}": not transforms <= set(get_args(Transform)),
        "a channel has between 0 and 254 classes": not all(0 <= c.classes <= 254 for c in manifest.inputs),
        f"unknown configuration {architecture.configuration!r}": architecture.configuration
        not in get_args(Configuration),
        f"width {architecture.width} and embedding {architecture.embedding} must be positive and small": not (
            1 <= architecture.width <= 256 and 1 <= architecture.embedding <= 64
        ),
        f"unknown normalisation {manifest.normalisation!r}": manifest.normalisation not in get_args(Normalisation),
        f"absolute channels {sorted(manifest.absolute)} are not among the ranked {manifest.ranked}": (
            not manifest.absolute <= set(manifest.ranked)
        ),
        f"unknown quantity {manifest.quantity!r}": manifest.quantity not in get_args(Quantity),
        f"quantity {manifest.quantity!r} {'with' if manifest.calibration else 'without'} a calibration": (
            (manifest.quantity == "coverage") != (manifest.calibration is not None)
        ),
        f"expected flat_degrees 0, or up to {FLATTEST} with a calibration and slope among the required channels, "
        f"found {manifest.flat_degrees}": not (
            manifest.flat_degrees == 0
            or (0 < manifest.flat_degrees <= FLATTEST and manifest.calibration and "slope" in manifest.required)
        ),
        f"expected 1 to {MOST_MEMBERS} members, found {manifest.members}": not 1 <= manifest.members <= MOST_MEMBERS,
        f"expected gate_px 0, or a multiple of 4 from 32 to {manifest.plan.size}, found {manifest.gate_px}": not (
            manifest.gate_px == 0 or (manifest.gate_px % 4 == 0 and 32 <= manifest.gate_px <= manifest.plan.size)
        ),
        "weights_sha256 must be 64 hexadecimal digits": not (
            manifest.weights_sha256 == "" or SHA256.fullmatch(manifest.weights_sha256)
        ),
    }
