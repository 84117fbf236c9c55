"""Under which name the work of a learner is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def settings_digest(learner: DataclassInstance, *, version: str = "1") -> str:
    """SHA-256 over the class of a learner, all its settings, and the version of what it computes.

    Raises:
        TypeError: a setting is no plain data.
    """
    plain = {"class": type(learner).__name__, "version": version, "settings": asdict(learner)}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
