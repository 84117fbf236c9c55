"""The error tree.

HeadscarpError
├── InvalidInput        the input is wrong; a retry cannot help            (exit 2)
│   ├── NotAnEvent          SOURCE names no event, folder or detail file
│   ├── BadShakeMap         a grid that cannot be true, or cannot be read
│   ├── BadRaster           a raster without CRS, of wrong kind, or cut off
│   └── MissingChannel      a model needs a channel that this event does not have
├── Misconfigured       the parts do not fit together; the input may be fine (exit 8)
│   ├── BadBundle           a model bundle that fails its own checks, or is another table's
│   └── BadRequest          the endpoint refused what was sent: other model, no token, malformed
├── NotFound            the event or product does not exist                (exit 3)
│   └── Deleted             it existed and was withdrawn by its author
├── NotYet              the ShakeMap is not there yet: wait and try again  (exit 4)
├── Unavailable         a service did not answer; a retry may help         (exit 5)
│   ├── SourceUnavailable   USGS or a data source
│   ├── EndpointUnavailable the inference endpoint
│   └── StoreUnavailable    the object store
├── StoreError          the store refused: rights, space, configuration    (exit 6)
│   ├── AlreadyExists       a conditional create lost
│   └── Conflict            a conditional replace lost
└── Busy                another worker holds this run                      (exit 7)
"""

from __future__ import annotations

from typing import ClassVar


class HeadscarpError(Exception):
    """Root of all errors raised on purpose."""

    retry: ClassVar[bool] = False
    """Whether the same call may succeed later without anyone changing the input."""
    exit_code: ClassVar[int] = 1


class InvalidInput(HeadscarpError):
    """What was given is wrong."""

    exit_code = 2


class NotAnEvent(InvalidInput):
    """SOURCE names no event."""


class BadShakeMap(InvalidInput):
    """A ShakeMap that cannot be read or cannot be true."""


class BadRaster(InvalidInput):
    """A raster without CRS, of the wrong kind, or cut off."""


class MissingChannel(InvalidInput):
    """A model needs a channel that this event does not have."""


class Misconfigured(HeadscarpError):
    """The parts do not fit together: an operator must act, then the same call may succeed."""

    exit_code = 8


class BadBundle(Misconfigured):
    """A model bundle that fails its own checks, or was made for another table."""


class BadRequest(Misconfigured):
    """The inference endpoint refused the request."""


class NotFound(HeadscarpError):
    """The event or product does not exist."""

    exit_code = 3


class Deleted(NotFound):
    """The event or product was withdrawn by its author."""


class NotYet(HeadscarpError):
    """The ShakeMap is not there yet."""

    retry = True
    exit_code = 4


class Unavailable(HeadscarpError):
    """A service did not answer."""

    retry = True
    exit_code = 5


class SourceUnavailable(Unavailable):
    """USGS or a data source did not answer."""


class EndpointUnavailable(Unavailable):
    """The inference endpoint did not answer."""


class StoreUnavailable(Unavailable):
    """The object store did not answer."""


class StoreError(HeadscarpError):
    """The store refused: rights, space or configuration."""

    exit_code = 6


class AlreadyExists(StoreError):
    """A conditional create found the key taken."""


class Conflict(StoreError):
    """A conditional replace found a newer object."""

    retry = True


class Busy(HeadscarpError):
    """Another worker holds this run."""

    retry = True
    exit_code = 7
