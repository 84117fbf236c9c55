"""What the benches share: times taken in turns, the machine's bandwidth, SYNTHETIC ground, a table of limits."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

CORES = 2
TRIAD_DOUBLES = 24_000_000
"""Three arrays of 192 MB, far more than any cache."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure; `limit` is the least it may be, or the most where `at_most`."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the limit is kept; a figure without one always is."""
        return self.limit is None or (self.value <= self.limit if self.at_most else self.value >= self.limit)

    @property
    def ratio(self) -> float | None:
        """The figure in units of its limit."""
        return None if self.limit is None else self.value / self.limit if self.limit else float("inf")


def best_of(runs: int, calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Least seconds of each call after one that does not count; in turns, so that all meet the same machine."""
    for call in calls.values():
        call()
    seconds = dict.fromkeys(calls, float("inf"))
    for _ in range(runs):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    return seconds


def in_strips(work: Callable[[int, int], object], count: int, *, strips: int = CORES) -> None:
    """`work(first, last)` over strips of `count` rows on as many threads."""
    edges = [count * k // strips for k in range(strips + 1)]
    with ThreadPoolExecutor(strips) as pool:
        for done in [pool.submit(work, *edge) for edge in pairwise(edges)]:
            done.result()


def triad() -> Callable[[], object]:
    """A run of a = b + 3 c on all cores, which moves `TRIAD_BYTES`: McCalpin's STREAM."""
    a, b, c = (np.zeros(TRIAD_DOUBLES) for _ in range(3))
    return lambda: _triad(a, b, c)


TRIAD_BYTES = 3 * 8 * TRIAD_DOUBLES


@njit(parallel=True)  # type: ignore[untyped-decorator]
def _triad(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> None:
    for i in prange(a.size):
        a[i] = b[i] + 3.0 * c[i]


def fractal(side: int, *, seed: int = 1, relief_m: float = 3000.0) -> NDArray[np.float32]:
    """SYNTHETIC mountains (side, side): a random surface whose amplitudes fall with the square of the frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]).astype(np.float32)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), dtype=np.float32)) * frequency**-2
    surface = np.fft.irfft2(spectrum, s=(side, side)).astype(np.float32)
    return ((surface - surface.min()) * (relief_m / np.ptp(surface))).astype(np.float32)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments of every bench."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--json", action="store_true", help="print figures as JSON")
    arguments.add_argument("--runs", type=int, default=5, help="the best of so many")
    return arguments


def report(title: str, figures: Sequence[Figure], *, as_json: bool) -> int:
    """Print the figures; 1 if a limit is missed."""
    if as_json:
        rows = [{"name": f.name, "value": f.value, "unit": f.unit, "limit": f.limit, "ratio": f.ratio, "met": f.met}
                for f in figures]  # fmt: skip
        print(json.dumps({"title": title, "figures": rows}))
    else:
        table = Table("figure", "measured", "limit", "ratio", "", title=title)
        for figure in figures:
            table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", *_verdict(figure))
        Console().print(table)
    return 0 if all(figure.met for figure in figures) else 1


def _verdict(figure: Figure) -> tuple[str, str, str]:
    """Limit, ratio, met or missed."""
    if figure.limit is None or figure.ratio is None:
        return "", "", ""
    sign = "<=" if figure.at_most else ">="
    verdict = "met" if figure.met else "[bold red]MISSED[/]"
    return f"{sign} {figure.limit:g} {figure.unit}", f"{figure.ratio:.2f}", verdict
