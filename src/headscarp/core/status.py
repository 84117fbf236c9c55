"""Why a pixel of a published map has no value, or has one that should be doubted."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Codes of the status raster (uint8); nodata, masked and out of domain are different things."""

    NODATA = 0
    VALID = 1
    SEA = 2
    WEAK_SHAKING = 3
    OUT_OF_DOMAIN = 4

    @property
    def words(self) -> str:
        """What the code means, for legends."""
        return _WORDS[self]

    @property
    def slug(self) -> str:
        """Lower-case name, safe in identifiers."""
        return self.name.lower()


_WORDS = {
    Status.NODATA: "no data: an input is missing here",
    Status.VALID: "valid",
    Status.SEA: "masked: sea",
    Status.WEAK_SHAKING: "masked: shaking below 0.02 g",
    Status.OUT_OF_DOMAIN: "out of domain: unlike anything the model was trained on",
}
