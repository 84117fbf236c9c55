"""Publish the map page: static files beside the catalogue they read."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from headscarp.errors import NotFound
from headscarp.io.outputs.product import CATALOG
from headscarp.io.store import Store
from headscarp.viewer import PageFile, page_files

log = logging.getLogger(__name__)
INDEX = "index.html"


def publish_page(store: Store, files: Sequence[PageFile]) -> tuple[str, ...]:
    """Put the page's files below `catalog/` in the order given, each under its content type; returns the keys.

    Args:
        store: Where to.
        files: As `headscarp.viewer.page_files()` gives them: the index last, so that whoever sees it finds the rest.

    Raises:
        StoreError: the store refuses.
        StoreUnavailable: the store does not answer.
    """
    keys = []
    for file in files:
        keys.append(f"{CATALOG}/{file.key}")
        store.put_file(keys[-1], file.path, file.content_type)
    return tuple(keys)


def ensure_page(store: Store) -> None:
    """Publish the page where the catalogue has none yet, since items link to it.

    An installation without the page's third-party files goes on without it, and says so in the log.
    """
    if store.exists(f"{CATALOG}/{INDEX}"):
        return
    try:
        files = page_files()
    except NotFound as error:
        log.warning("the catalogue has no map page: %s", error)
        return
    publish_page(store, files)
