"""Put the parts together from settings: what every application does first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any

from headscarp.core.event import Event, RunId
from headscarp.core.policy import Policy
from headscarp.core.predictor import Predictor
from headscarp.io.inputs.champions import CHAMPION, Champions
from headscarp.io.inputs.sources import SourceRegistry
from headscarp.io.inputs.usgs import UsgsClient
from headscarp.io.inputs.usgs_products import EventDetail
from headscarp.io.ledger import Ledger
from headscarp.io.store import open_store
from headscarp.pipeline.champion import ModelChoice, Models
from headscarp.pipeline.ingest import Sources
from headscarp.pipeline.models import open_predictor
from headscarp.pipeline.respond import Workshop, identify
from headscarp.pipeline.watch import Dispatch, Sighting, look_at, watch
from headscarp.settings import Settings
from headscarp.tables.coseismic import COSEISMIC


def open_client(settings: Settings) -> UsgsClient:
    """The USGS client of these settings."""
    return UsgsClient(settings.usgs_url, timeout_s=settings.timeout_s)


def open_registry(settings: Settings) -> SourceRegistry:
    """The public source registry, with the settings' own and their profile on top."""
    return SourceRegistry.load(settings.sources, profile=settings.profile, mirror=settings.mirror)


def open_table_sources(settings: Settings) -> Sources:
    """The layers that the coseismic table reads, and where they come from."""
    return Sources(COSEISMIC, open_registry(settings), settings.timeout_s)


def open_model(name: str, settings: Settings) -> Predictor:
    """One model by its own name, in process or at the settings' endpoint."""
    return open_predictor(
        name,
        table=COSEISMIC,
        model_store=settings.model_store,
        endpoint=settings.endpoint,
        token_file=settings.endpoint_token_file,
        timeout_s=settings.timeout_s,
    )


def open_models(settings: Settings) -> tuple[Predictor, ...]:
    """The models of these settings, the published one first; for `champion` every model that it may mean."""
    champions = Champions.load(settings.model_store).names if CHAMPION in settings.models else ()
    named = [own for name in settings.models for own in (champions if name == CHAMPION else (name,))]
    return tuple(open_model(name, settings) for name in dict.fromkeys(named))


def model_choice(settings: Settings) -> ModelChoice | None:
    """How the place decides about the models of these settings; None where it does not."""
    if CHAMPION not in settings.models:
        return None
    opened = cache(partial(open_model, settings=settings))
    champions = Champions.load(settings.model_store)
    return ModelChoice(settings.models, champions, open_registry(settings), opened, settings.timeout_s)


def models_at(event: Event, settings: Settings) -> Models:
    """The models of these settings for an earthquake."""
    choice = model_choice(settings)
    return Models(open_models(settings)) if choice is None else choice.at(event)


def open_workshop(settings: Settings) -> Workshop:
    """All that a response works with."""
    store, choice = open_store(settings.store), model_choice(settings)
    return Workshop(
        store=store,
        ledger=Ledger(store, lease=timedelta(seconds=settings.lease_s)),
        table=COSEISMIC,
        registry=open_registry(settings),
        predictors=() if choice else open_models(settings),
        choice=choice,
        public_url=settings.public_url,
        workers=settings.workers,
        dask=settings.dask,
    )


def policy_of(settings: Settings) -> Policy:
    """Which quakes these settings answer; an event asked for by name is answered whatever its size and age."""
    if settings.watch_event:
        return Policy(minimum_magnitude=0.0, maximum_age=timedelta.max)
    return Policy(minimum_magnitude=settings.minimum_magnitude)


def identity_of(detail: EventDetail, workshop: Workshop) -> RunId:
    """The run that answers the preferred ShakeMap of an event; it must have one."""
    assert detail.preferred_shakemap is not None  # noqa: S101
    return identify(detail.event.id, detail.preferred_shakemap.id, workshop.at(detail.event))


def watch_with(settings: Settings, dispatch: Dispatch) -> Sequence[Sighting]:
    """One look at what these settings watch: a feed, or one event."""
    workshop = open_workshop(settings)
    with open_client(settings) as client:
        look: dict[str, Any] = {
            "ledger": workshop.ledger,
            "policy": policy_of(settings),
            "identity": partial(identity_of, workshop=workshop),
            "dispatch": dispatch,
        }
        if settings.watch_event:
            return [look_at(settings.watch_event, client, **look)]
        return watch(settings.feed, client, store=workshop.store, **look)
