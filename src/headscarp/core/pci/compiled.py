"""One way to compile loops: no GIL, no threads of their own, kept on disk.

Blocks of a grid are independent, so threads are spent on blocks; numba's own thread pools are
neither needed nor, in all of their forms, safe to call from several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])
Real = Any
"""A float of four or of eight bytes: a compiled function keeps to the one it is given."""


def compiled(function: Function) -> Function:
    """The function compiled at its first call; arithmetic as numpy's: 1 / 0 is infinite."""
    return cast("Function", njit(cache=True, nogil=True, error_model="numpy")(function))
