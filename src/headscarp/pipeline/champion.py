"""The models of a response: by name, or the released ones for the place where `champion` is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headscarp.core.belts import Belts
from headscarp.core.blended import Blended
from headscarp.core.event import Event
from headscarp.core.predictor import Predictor
from headscarp.core.region import GLOBAL_MODEL, Region, region_at
from headscarp.core.types import Attributes
from headscarp.errors import BadBundle, InvalidInput, Misconfigured
from headscarp.io.inputs.champions import CHAMPION, Champions
from headscarp.io.inputs.climate import climate_lookup
from headscarp.io.inputs.plates import read_boundaries
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.tables.regions import BELTS, OROGENS

CLIMATE, BOUNDARIES = "climate", "plate_boundaries"


@dataclass(frozen=True, slots=True)
class Models:
    """Models that are settled for one earthquake, the published one first."""

    predictors: tuple[Predictor, ...]
    region: Attributes | None = None
    """How `champion` was decided, as plain data; None where it was not asked for."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Settles models by the place of an earthquake.

    The place is the epicentre, not the shaken land: the watch names a run before it has read the ShakeMap, and the
    response to it must mean the same models.
    """

    names: Sequence[str]
    """Names of models; `champion` among them."""
    champions: Champions
    registry: SourceRegistry
    """Has the climate and the plate boundaries, if anyone has."""
    open_model: Callable[[str], Predictor]
    """The model of this name; asked once for every earthquake."""
    timeout_s: float = 30.0

    def at(self, event: Event) -> Models:
        """The models for an earthquake; one that is meant twice is there once.

        Raises:
            NotFound, BadBundle: a model is not there, is damaged, or cannot be averaged with its neighbour's.
            Misconfigured, SourceUnavailable: climate or plate boundaries cannot be read.
        """
        region = champion_region(event, self.champions, self.registry, timeout_s=self.timeout_s)
        settled: dict[str, Predictor] = {}
        for name in self.names:
            predictor = self._champion(region.weights) if name == CHAMPION else self.open_model(name)
            settled.setdefault(f"{predictor.name}-{predictor.version}", predictor)
        return Models(tuple(settled.values()), region.to_json())

    def _champion(self, weights: Mapping[str, float]) -> Predictor:
        """The model of the place, or the average of several."""
        shares: dict[str, float] = {}
        for model, weight in weights.items():
            name = self.champions.name_of(model)
            shares[name] = shares.get(name, 0.0) + weight
        parts = [self.open_model(name) for name in shares]
        if len(parts) == 1:
            return parts[0]
        try:
            return Blended(parts, list(shares.values()))
        except ValueError as error:
            raise BadBundle(f"model {CHAMPION!r}: {', '.join(shares)}: {error}") from error


def champion_region(event: Event, champions: Champions, registry: SourceRegistry, *, timeout_s: float = 30.0) -> Region:
    """Which released models are meant at an epicentre.

    The global one without a look at any map where no region has a model of its own; and, flagged `climate_unknown` or
    `belts_unknown`, where the registry has no climate or no plate boundaries.

    Raises:
        Misconfigured: a map is named and is not what it should be: the earthquake is not to blame.
        SourceUnavailable: a map's host did not answer.
    """
    if not champions.regions:
        return _everywhere()
    climate, boundaries = registry[CLIMATE], registry[BOUNDARIES]
    if climate is None or boundaries is None:
        return _everywhere(*["climate_unknown"] * (climate is None), *["belts_unknown"] * (boundaries is None))
    try:
        return region_at(
            event.longitude,
            event.latitude,
            belts=Belts(read_boundaries(boundaries, timeout_s=timeout_s), BELTS, OROGENS),
            climate=climate_lookup(climate, timeout_s=timeout_s),
            regional_models=champions.regions.keys(),
        )
    except (InvalidInput, ValueError) as error:
        raise Misconfigured(f"model {CHAMPION!r}: its maps of belts and climate: {error}") from error


def _everywhere(*flags: str) -> Region:
    return Region(None, {GLOBAL_MODEL: 1.0}, (*flags, "global_model"), {}, None)
