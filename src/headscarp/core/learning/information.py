"""Information gain: how many bits a control indicator tells about where landslides are.

IG(Q, P) = H(Q) - H(Q | P) (Quinlan 1996, doi:10.1613/jair.279), with entropies corrected for the
size of the sample (Miller 1955; Paninski 2003, doi:10.1162/089976603321780272), beside the gain that
shuffled labels reach, and an interval from resampled events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscarp.core.learning.bootstrap import interval, resampled_counts
from headscarp.core.learning.metrics import plain
from headscarp.core.types import Attributes

BINS = 20
SECTORS = 8
FLAT = SECTORS
"""Code of ground without aspect."""
PERMUTATIONS = 20
FLOOR_QUANTILE = 0.95
FREQUENCY_OFFSET = 0.01
"""Keeps the logarithm of a class without landslides finite."""
DRAWS = 500

Values: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class InformationGain:
    """What one indicator tells."""

    name: str
    bits: float
    floor: float
    """What 95 % of shuffles of the labels stay below."""
    low: float
    high: float
    """Event-bootstrap interval; NaN where there is one event only."""

    @property
    def informative(self) -> bool:
        """Whether it tells more than chance."""
        return self.bits > self.floor

    def to_json(self) -> Attributes:
        """As plain data, None where there is no number."""
        return plain(asdict(self))


def equal_frequency(values: ArrayLike, bins: int = BINS) -> Codes:
    """(sample,) number of the interval with about as many samples as any other; equal values stay together."""
    found = np.asarray(values, dtype=np.float64)
    edges = np.unique(np.quantile(found, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, found, side="right")


def aspect_sectors(east: ArrayLike, north: ArrayLike) -> Codes:
    """(sample,) one of eight sectors clockwise from the one around north; `FLAT` where both components are 0."""
    e, n = np.asarray(east, dtype=np.float64), np.asarray(north, dtype=np.float64)
    turns = np.arctan2(e, n) / (2.0 * np.pi)
    return np.where((e == 0) & (n == 0), FLAT, np.floor(turns * SECTORS + 0.5).astype(np.intp) % SECTORS)


def out_of_fold_log_ratio(
    codes: ArrayLike, slides: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> Values:
    """(sample,) ln(frequency ratio + 0.01) of each sample's class, counted on the other groups only.

    Counted on its own landslides a class would know the answer. A class that the other groups do
    not have says nothing: its ratio is 1.

    Args:
        codes: (sample,) class.
        slides: (sample,) hard label.
        groups: (sample,) event, or spatial fold where there is one event.
        weights: (sample,); equal by default.

    Raises:
        ValueError: there are fewer than two groups, or the others of some group have no landslide.
    """
    _, code = np.unique(np.asarray(codes), return_inverse=True)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    label, weight = np.asarray(slides, dtype=bool), _weights(weights, code.size)
    if names.size < 2:
        raise ValueError(f"expected two groups or more to count out of fold, got {names.size}")
    shape = (names.size, int(code.max()) + 1)
    ground = _table(group, code, weight, shape)
    area = _table(group, code, weight * label, shape)
    # what the others have: all but the own row
    ground, area = ground.sum(axis=0) - ground, area.sum(axis=0) - area
    if not area.sum(axis=1).all():
        raise ValueError("expected landslides in more than one group")
    share = area / area.sum(axis=1, keepdims=True)
    ratio = np.ones(shape)
    np.divide(share, ground / ground.sum(axis=1, keepdims=True), out=ratio, where=ground > 1e-9 * weight.sum())
    return np.asarray(np.log(ratio + FREQUENCY_OFFSET)[group, code])


def information_gain(codes: ArrayLike, slides: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Bits that the class of an indicator tells about the label; may be slightly negative: it is unbiased, not clipped.

    Args:
        codes: (sample,) class or interval.
        slides: (sample,) hard label.
        weights: (sample,); equal by default.
    """
    _, code = np.unique(np.asarray(codes), return_inverse=True)
    weight = _weights(weights, code.size)
    table = _labelled(code, np.asarray(slides, dtype=bool), weight)
    return float(_gain(table[None], np.array([_effective(weight)]))[0])


def noise_floor(
    codes: ArrayLike,
    slides: ArrayLike,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> float:
    """95th percentile of the gain with labels shuffled, within each group if there are groups."""
    label = np.asarray(slides, dtype=bool)
    group = np.zeros(label.size, dtype=int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    rng = np.random.default_rng([seed, 0xF100])
    # Sorting by group, then by chance, puts the members of each group in a random order.
    order = np.argsort(group, kind="stable")
    shuffled = np.empty_like(label)
    gains = []
    for _ in range(permutations):
        shuffled[order] = label[np.lexsort((rng.random(label.size), group))]
        gains.append(information_gain(codes, shuffled, weights))
    return float(np.quantile(gains, FLOOR_QUANTILE))


def rank_by_gain(
    classes: dict[str, Codes], slides: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None, *, seed: int
) -> tuple[InformationGain, ...]:
    """Gain, noise floor and event-bootstrap interval of each indicator, most bits first, then by name.

    Args:
        classes: (sample,) class or interval of each indicator.
        slides: (sample,) hard label.
        groups: (sample,) event.
        weights: (sample,); equal by default.
        seed: Of shuffles and resamples.
    """
    found = [_gain_of(name, code, slides, groups, weights, seed) for name, code in classes.items()]
    return tuple(sorted(found, key=lambda g: (-g.bits, g.name)))


def _gain_of(
    name: str, codes: Codes, slides: ArrayLike, groups: ArrayLike, weights: ArrayLike | None, seed: int
) -> InformationGain:
    bits = information_gain(codes, slides, weights)
    floor = noise_floor(codes, slides, groups, weights, seed=seed)
    replicates = _replicates(codes, slides, groups, weights, seed)
    if not replicates.size:
        return InformationGain(name, bits, floor, float("nan"), float("nan"))
    found = interval(bits, replicates, units=int(np.unique(groups).size))
    return InformationGain(name, bits, floor, found.low, found.high)


def _replicates(codes: ArrayLike, slides: ArrayLike, groups: ArrayLike, weights: ArrayLike | None, seed: int) -> Values:
    """(draw,) gain with events resampled; empty where there is one event only."""
    _, code = np.unique(np.asarray(codes), return_inverse=True)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < 2:
        return np.empty(0)
    label, weight = np.asarray(slides, dtype=bool), _weights(weights, code.size)
    tables = np.stack(
        [_labelled(code[group == g], label[group == g], weight[group == g], code.max() + 1) for g in range(names.size)]
    )
    squares = np.bincount(group, weight**2)
    times = resampled_counts(names.size, draws=DRAWS, seed=seed)
    drawn = np.tensordot(times, tables, axes=1)
    return _gain(drawn, drawn.sum(axis=(1, 2)) ** 2 / (times @ squares))


def _gain(tables: Values, sizes: Values) -> Values:
    """Bits of mutual information of (draw, code, label) tables of sums of weights."""
    joint = tables.reshape(len(tables), -1)
    return _entropy(tables.sum(axis=1), sizes) + _entropy(tables.sum(axis=2), sizes) - _entropy(joint, sizes)


def _entropy(counts: Values, sizes: Values) -> Values:
    """Bits of each row, with Miller's correction for the number of occupied cells."""
    share = counts / counts.sum(axis=1, keepdims=True)
    bits = -np.sum(share * np.log2(share, out=np.zeros_like(share), where=share > 0), axis=1)
    occupied = np.count_nonzero(counts, axis=1)
    return np.asarray(bits + (occupied - 1) / (2.0 * sizes * np.log(2.0)))


def _labelled(code: Codes, label: NDArray[np.bool_], weight: Values, classes: Any = None) -> Values:
    """(code, label) sums of weights."""
    return _table(code, label.astype(np.intp), weight, (int(code.max()) + 1 if classes is None else int(classes), 2))


def _table(rows: Codes, columns: Codes, weight: Values, shape: tuple[int, int]) -> Values:
    sums = np.bincount(rows * shape[1] + columns, weight, minlength=shape[0] * shape[1])
    return sums.astype(np.float64, copy=False).reshape(shape)


def _effective(weight: Values) -> float:
    """Kish's effective size of a weighted sample."""
    return float(weight.sum() ** 2 / (weight @ weight))


def _weights(weights: ArrayLike | None, size: int) -> Values:
    return np.ones(size) if weights is None else np.asarray(weights, dtype=np.float64)


def equal_event_weights(groups: Sequence[Any] | NDArray[Any]) -> Values:
    """(sample,) weights with which every event counts the same and the mean weight is 1."""
    names, group, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.asarray(group.size / names.size / sizes[group])
