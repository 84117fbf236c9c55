"""Who is trained on and who judges: spatial folds within an event, and events or clusters of events left out.

Random pixels of one event are no test: a pixel's neighbours give it away. Folds are decided without
chance, written to small JSON files and committed, so that everyone is judged on the same ground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from headscarp.core.types import Attributes, Mask

EARTH_RADIUS_KM = 6371.0
CLUSTER_KM = 150.0
"""Events closer than this share faults, rock and often slides: they are held out together."""
NO_FOLD = -1

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BlockFolds:
    """One event's ground in blocks, each in one of k folds."""

    shape: tuple[int, int]
    """Of the event's grid, pixels."""
    buffer_px: int
    """Ground this near to a test block is not trained on: the network's receptive radius or more."""
    fold_of: tuple[tuple[int, ...], ...]
    """(block row, block column) fold, -1 where nothing is known."""

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return 1 + max(max(row) for row in self.fold_of)

    @property
    def _edges(self) -> tuple[Numbers, Numbers]:
        return _edges(self.shape[0], len(self.fold_of)), _edges(self.shape[1], len(self.fold_of[0]))

    @property
    def block_px(self) -> int:
        """Shortest side of any block."""
        return int(min(np.diff(edges).min() for edges in self._edges))

    def blocks(self) -> NDArray[np.int32]:
        """(y, x) number of each pixel's block, -1 where its block belongs to no fold."""
        rows, columns = len(self.fold_of), len(self.fold_of[0])
        number = np.where(np.asarray(self.fold_of) >= 0, np.arange(rows * columns).reshape(rows, columns), NO_FOLD)
        return self._spread(number).astype(np.int32)

    def test(self, fold: int) -> Mask:
        """(y, x) ground that judges."""
        return self._spread(np.asarray(self.fold_of) == fold)

    def training(self, fold: int) -> Mask:
        """(y, x) ground to train on: the other folds' blocks without what lies within the buffer of a test block."""
        allowed = self._spread((np.asarray(self.fold_of) != fold) & (np.asarray(self.fold_of) >= 0))
        ys, xs = self._edges
        for row, column in np.argwhere(np.asarray(self.fold_of) == fold):
            top, left = max(ys[row] - self.buffer_px, 0), max(xs[column] - self.buffer_px, 0)
            allowed[top : ys[row + 1] + self.buffer_px, left : xs[column + 1] + self.buffer_px] = False
        return allowed

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """One value a block to one a pixel."""
        ys, xs = self._edges
        return np.repeat(np.repeat(values, np.diff(ys), axis=0), np.diff(xs), axis=1)

    def to_json(self) -> Attributes:
        """As plain data: one line a row of blocks."""
        rows = [" ".join("-" if fold < 0 else str(fold) for fold in row) for row in self.fold_of]
        return {"shape": list(self.shape), "buffer_px": self.buffer_px, "folds": rows}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> BlockFolds:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a key is absent, or the rows are of different lengths.
        """
        if absent := {"shape", "buffer_px", "folds"} - set(found):
            raise ValueError(f"expected shape, buffer_px and folds, found no {', '.join(sorted(absent))}")
        height, width = found["shape"]
        rows = tuple(tuple(NO_FOLD if word == "-" else int(word) for word in row.split()) for row in found["folds"])
        if len({len(row) for row in rows}) != 1 or not rows[0]:
            raise ValueError(f"expected rows of one length, found lengths {[len(row) for row in rows]}")
        return cls((int(height), int(width)), int(found["buffer_px"]), rows)


def block_folds(
    slides: Mask, known: Mask, *, folds: int, block_px: int, buffer_px: int, window_px: int | None = None
) -> BlockFolds:
    """Part an event into blocks and give these to folds of similar landslide area.

    The blocks with most landslides are given first, each to the fold that has least so far, so the
    folds follow from the inventory alone.

    Args:
        slides: (y, x), hard labels.
        known: (y, x), where landslides were mapped.
        folds: How many.
        block_px: Blocks are at least this wide, unless the event is smaller.
        buffer_px: Receptive radius of what will be trained.
        window_px: Side of training windows, if there are any.

    Raises:
        ValueError: shapes differ, a window would be larger than a block, or some fold would have no
            landslide to be judged by.
    """
    if slides.shape != known.shape or slides.ndim != 2:
        raise ValueError(f"expected two rasters of one shape, got {slides.shape} and {known.shape}")
    if folds < 2 or block_px < 1 or buffer_px < 0:
        raise ValueError(
            f"expected 2 folds or more, positive blocks and a buffer, got {folds}, {block_px}, {buffer_px}"
        )
    height, width = slides.shape
    ys, xs = _edges(height, max(height // block_px, 1)), _edges(width, max(width // block_px, 1))
    area, ground = _block_sums(slides & known, ys, xs), _block_sums(known, ys, xs)
    found = BlockFolds((height, width), buffer_px, _dealt(area, ground, folds))
    if window_px is not None and window_px > found.block_px:
        raise ValueError(f"expected windows no larger than a block of {found.block_px} px, got {window_px}")
    empty = [k for k in range(folds) if not area[np.asarray(found.fold_of) == k].any()]
    if empty:
        raise ValueError(f"expected landslides in every fold, got none in {empty}: use fewer folds or smaller blocks")
    return found


def _edges(length: int, parts: int) -> Numbers:
    """Where equal parts of a side begin, and its end."""
    return np.round(np.linspace(0, length, parts + 1)).astype(np.int64)


def _block_sums(mask: Mask, ys: Numbers, xs: Numbers) -> Numbers:
    rows = np.add.reduceat(mask, ys[:-1], axis=0, dtype=np.int64)
    return np.asarray(np.add.reduceat(rows, xs[:-1], axis=1))


def _dealt(area: Numbers, ground: Numbers, folds: int) -> tuple[tuple[int, ...], ...]:
    """Fold of each block: largest landslide area first, to the fold with the least, then with the least ground."""
    fold_of = np.full(area.shape, NO_FOLD)
    have = np.zeros((folds, 2), dtype=np.int64)
    order = sorted(np.argwhere(ground > 0).tolist(), key=lambda b: (-area[tuple(b)], -ground[tuple(b)], b))
    for row, column in order:
        poorest = min(range(folds), key=lambda k: (have[k, 0], have[k, 1], k))
        fold_of[row, column] = poorest
        have[poorest] += area[row, column], ground[row, column]
    return tuple(tuple(int(f) for f in row) for row in fold_of)


def event_clusters(
    longitudes: ArrayLike,
    latitudes: ArrayLike,
    *,
    within_km: float = CLUSTER_KM,
    overlapping: Sequence[tuple[int, int]] = (),
) -> tuple[int, ...]:
    """Cluster of each event: single linkage by great-circle distance, and by what is known to overlap.

    Args:
        longitudes: (event,) degrees.
        latitudes: (event,) degrees.
        within_km: Events closer than this belong together.
        overlapping: Further pairs that belong together, as those whose strong shaking overlaps.

    Returns:
        Numbers from 0 in the order in which clusters first appear.
    """
    near = distances_km(longitudes, latitudes) < within_km
    for a, b in overlapping:
        near[a, b] = True
    _, labels = connected_components(csr_matrix(near), directed=False)
    first: dict[int, int] = {}
    return tuple(first.setdefault(int(label), len(first)) for label in labels)


def distances_km(longitudes: ArrayLike, latitudes: ArrayLike) -> NDArray[np.float64]:
    """(event, event) great-circle distances on a sphere of 6371 km."""
    lon, lat = np.radians(np.asarray(longitudes, np.float64)), np.radians(np.asarray(latitudes, np.float64))
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    chord = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0)))


@dataclass(frozen=True, slots=True)
class EventFold:
    """Events that judge and events that are trained on."""

    name: str
    test: tuple[str, ...]
    training: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse leaks and empty sides."""
        both = sorted(set(self.test) & set(self.training))
        if both or not self.test or not self.training:
            raise ValueError(f"fold {self.name}: expected two disjoint sets of events, both hold {both or 'nothing'}")

    def to_json(self) -> Attributes:
        """As plain data."""
        return {"name": self.name, "test": list(self.test), "training": list(self.training)}


def leave_one_out(events: Sequence[str]) -> tuple[EventFold, ...]:
    """One fold an event, as the paper does: near events stay in training.

    Raises:
        ValueError: an event is named twice, or there is only one.
    """
    return leave_clusters_out(events, range(len(events)))


def leave_clusters_out(events: Sequence[str], clusters: Sequence[int]) -> tuple[EventFold, ...]:
    """One fold a cluster, in the order in which they first appear; a fold is named by its events.

    Raises:
        ValueError: an event is named twice, or there is only one cluster.
    """
    if len(set(events)) != len(events) or len(events) != len(clusters):
        raise ValueError(f"expected each event once, with its cluster; got {list(events)} and {list(clusters)}")
    members = {c: tuple(e for e, of in zip(events, clusters, strict=True) if of == c) for c in dict.fromkeys(clusters)}
    return tuple(
        EventFold("+".join(test), test, tuple(e for e in events if e not in test)) for test in members.values()
    )


def named_split(name: str, events: Sequence[str], test: Sequence[str]) -> EventFold:
    """The fold that a protocol names: these events judge, all others are trained on.

    Raises:
        ValueError: a test event is not among the events.
    """
    absent = sorted(set(test) - set(events))
    if absent:
        raise ValueError(f"{name}: expected the test events among {sorted(events)}, found no {', '.join(absent)}")
    return EventFold(name, tuple(e for e in events if e in set(test)), tuple(e for e in events if e not in set(test)))
