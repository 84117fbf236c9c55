"""Settings, read once by the applications (CLI, flows, serving) and passed down as arguments.

Every name is an environment variable with the prefix HEADSCARP_. Credentials of the object store
are not ours: they are the standard AWS_* variables that boto3, s3fs and GDAL read.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are and how patient to be."""

    model_config = SettingsConfigDict(env_prefix="HEADSCARP_", frozen=True, extra="ignore")

    store: str = Field(
        default="./headscarp-store", description="Folder, file:// or s3://bucket/prefix URL of the store"
    )
    public_url: str | None = Field(
        default=None, description="HTTP address under which the store's catalog/ folder is read; tile addresses need it"
    )
    usgs_url: str = Field(
        default="https://earthquake.usgs.gov", description="Base address of USGS feeds and event service"
    )
    feed: str = Field(default="4.5_day", description="Summary feed that is watched")
    watch_event: str | None = Field(default=None, description="Watch this one event instead of the feed")
    sources: Path | None = Field(default=None, description="Source registry that overrides the public one, YAML")
    profile: str | None = Field(default=None, description="Choice of sources, by its name in the source registry")
    mirror: str | None = Field(default=None, description="Address of a copy of the public sources, by bucket and host")
    workers: int = Field(default=2, ge=1, description="Threads that make blocks of cubes")
    dask: str | None = Field(default=None, description="Address of a Dask scheduler that makes blocks instead")
    endpoint: str | None = Field(default=None, description="Inference endpoint; none means the in-process model")
    endpoint_token_file: Path | None = Field(default=None, description="TorchServe key_file.json of the endpoint")
    model_store: Path = Field(default=Path("model_store"), description="Folder of released model bundles")
    models: tuple[str, ...] = Field(
        default=("headscarp-small", "nowicki_jessee_2018"), description="Models to run; the first is the published one"
    )
    minimum_magnitude: float = Field(default=5.5, description="Smaller quakes are not answered")
    lease_s: float = Field(default=120.0, gt=0, description="A run whose worker is silent this long may be taken over")
    timeout_s: float = Field(default=60.0, gt=0, description="Patience with one request to a service")
    log_json: bool = Field(default=False, description="Log as JSON lines")
