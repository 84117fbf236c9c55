"""How high water stands in depressions: basins, the passes between them, and the lowest way out.

A cell's level is the least height that a way out of the land must cross. All cells of a basin run
down to its bottom, so it is enough to find the way out of each basin, over a spanning tree of the
passes: Cordonnier et al. (2019), https://doi.org/10.5194/esurf-7-549-2019. Cells are numbered row
by row in an array with a rim of one cell that is not land.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscarp.core.pci.compiled import compiled

FLAT, LEAVES, VOID = 8, 9, 15
"""What a cell's direction says in place of a neighbour: none is lower; water leaves the land; no land."""
TOWARDS = 15
"""Bits of a direction that say where to: the neighbour in row-major order, 0 to 7, or one of the above."""
OUTLET = 16
"""Bit of a direction: the cell is beside what is not land."""

Levels = NDArray[np.float32]
Cells = NDArray[np.int32]
Directions = NDArray[np.uint8]
Steps = NDArray[np.int64]
"""(8,) differences of number to the neighbours, in row-major order."""

_OUTSIDE = 1


class Passes(NamedTuple):
    """Ways between two basins, by label, and the height they cross."""

    one: Cells
    other: Cells
    height: Levels


@compiled
def fill_depressions(level: Levels, directions: Directions, steps: Steps) -> bool:
    """Raise `level` in closed basins to that of their way out; whether there is any closed basin.

    `directions` are those of steepest descent over `level`.
    """
    labels = np.zeros(level.size, dtype=np.int32)
    count = _label_bottoms(directions, steps, labels)
    if count == _OUTSIDE + 1:
        return False
    _label_slopes(directions, steps, labels)
    border = _border(directions, steps, labels)
    lowest = _lowest_passes(level, directions, steps, labels, border, count)
    roots = np.arange(count, dtype=np.int32)
    tree = _empty_passes(count)
    joined = _join_over_passes(lowest, roots, tree, 0)
    _join_over_all(_passes_between(level, directions, steps, labels, border, roots), roots, tree, joined)
    spill = _spill_levels(tree, count)
    for cell in range(level.size):
        if labels[cell] > _OUTSIDE:
            level[cell] = max(level[cell], spill[labels[cell]])
    return True


@compiled
def _empty_passes(count: int) -> Passes:
    return Passes(np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32), np.empty(count, dtype=np.float32))


@compiled
def _label_bottoms(directions: Directions, steps: Steps, labels: Cells) -> int:
    """Label each connected bottom from 2 on; returns the label after the last."""
    label, stack = _OUTSIDE + 1, np.empty(1024, dtype=np.int32)
    for cell in range(labels.size):
        if directions[cell] != FLAT or labels[cell]:
            continue
        labels[cell], stack[0], height = label, cell, 1
        while height:
            height -= 1
            at = stack[height]
            if height + 8 > stack.size:
                stack = _doubled(stack)
            for step in steps:
                if directions[at + step] == FLAT and not labels[at + step]:
                    labels[at + step], stack[height] = label, at + step
                    height += 1
        label += 1
    return label


@compiled
def _doubled(stack: Cells) -> Cells:
    """The stack with room for as much again."""
    larger = np.empty(2 * stack.size, dtype=np.int32)
    larger[: stack.size] = stack
    return larger


@compiled
def _label_slopes(directions: Directions, steps: Steps, labels: Cells) -> None:
    """Give each other cell the label of the bottom it runs down to, or of the outside."""
    for cell in range(labels.size):
        if labels[cell] or directions[cell] == VOID:
            continue
        at = np.int64(cell)
        while not labels[at] and directions[at] & TOWARDS < FLAT:
            at += steps[directions[at] & TOWARDS]
        label = labels[at] if labels[at] else _OUTSIDE
        labels[at] = label
        at = np.int64(cell)
        while labels[at] != label:
            labels[at] = label
            at += steps[directions[at] & TOWARDS]


@compiled
def _border(directions: Directions, steps: Steps, labels: Cells) -> NDArray[np.int64]:
    """Cells at an outlet, or with another label at the next four neighbours."""
    found = np.zeros(labels.size, dtype=np.bool_)
    east, south_west, south, south_east = labels[1:], labels[steps[5] :], labels[steps[6] :], labels[steps[7] :]
    for cell in range(south_east.size):
        here = labels[cell]
        beside = (here != east[cell]) | (here != south_west[cell])
        below = (here != south[cell]) | (here != south_east[cell])
        found[cell] = (here != 0) & (beside | below | (directions[cell] & OUTLET != 0))
    return np.nonzero(found)[0]


@compiled
def _lowest_passes(
    level: Levels, directions: Directions, steps: Steps, labels: Cells, border: NDArray[np.int64], count: int
) -> Passes:
    """The lowest pass out of each basin, at its label."""
    one = np.arange(count).astype(np.int32)
    lowest = Passes(one, np.zeros(count, dtype=np.int32), np.full(count, np.float32(np.inf)))
    for cell in border:
        here = labels[cell]
        if directions[cell] & OUTLET:
            _offer(lowest, here, _OUTSIDE, level[cell])
            _offer(lowest, _OUTSIDE, here, level[cell])
        for k in range(4, 8):
            there = labels[cell + steps[k]]
            if there != here and there:
                height = max(level[cell], level[cell + steps[k]])
                _offer(lowest, here, there, height)
                _offer(lowest, there, here, height)
    return lowest


@compiled
def _offer(lowest: Passes, here: int, there: int, height: float) -> None:
    """Take a pass if it is lower than the one known."""
    if height < lowest.height[here] and here != there:
        lowest.height[here], lowest.other[here] = height, there


@compiled
def _join_over_passes(passes: Passes, roots: Cells, tree: Passes, joined: int) -> int:
    """Join basins over these passes, those that would close a circle left out; returns how many are in the tree."""
    for k in range(passes.height.size):
        if passes.height[k] < np.inf:
            one, other = _root(roots, passes.one[k]), _root(roots, passes.other[k])
            if one != other:
                roots[max(one, other)] = min(one, other)
                tree.one[joined], tree.other[joined] = passes.one[k], passes.other[k]
                tree.height[joined] = passes.height[k]
                joined += 1
    return joined


@compiled
def _root(roots: Cells, label: int) -> int:
    """The label that stands for all basins joined with this one."""
    while roots[label] != label:
        roots[label] = roots[roots[label]]
        label = roots[label]
    return label


@compiled
def _passes_between(
    level: Levels, directions: Directions, steps: Steps, labels: Cells, border: NDArray[np.int64], roots: Cells
) -> Passes:
    """All passes between basins that are not joined yet."""
    for label in range(roots.size):
        roots[label] = _root(roots, label)
    passes, found = _empty_passes(5 * border.size), 0
    for cell in border:
        here = labels[cell]
        if directions[cell] & OUTLET and roots[here] != roots[_OUTSIDE]:
            _put(passes, found, here, _OUTSIDE, level[cell])
            found += 1
        for k in range(4, 8):
            there = labels[cell + steps[k]]
            if there and roots[there] != roots[here]:
                _put(passes, found, here, there, max(level[cell], level[cell + steps[k]]))
                found += 1
    return Passes(passes.one[:found], passes.other[:found], passes.height[:found])


@compiled
def _put(passes: Passes, k: int, one: int, other: int, height: float) -> None:
    passes.one[k], passes.other[k], passes.height[k] = one, other, height


@compiled
def _join_over_all(passes: Passes, roots: Cells, tree: Passes, joined: int) -> None:
    """Join over the lowest pass out of every group of basins until one is left: Boruvka (1926)."""
    left = passes.height.size
    while left:
        lowest, best = np.full(roots.size, np.float32(np.inf)), np.zeros(roots.size, dtype=np.int32)
        kept = 0
        for k in range(left):
            one, other = _root(roots, passes.one[k]), _root(roots, passes.other[k])
            if one == other:
                continue
            _put(passes, kept, passes.one[k], passes.other[k], passes.height[k])
            for root in (one, other):
                if passes.height[kept] < lowest[root]:
                    lowest[root], best[root] = passes.height[kept], kept
            kept += 1
        left = kept
        chosen = _empty_passes(roots.size)
        for root in range(roots.size):
            k = best[root]
            _put(chosen, root, passes.one[k], passes.other[k], passes.height[k] if lowest[root] < np.inf else np.inf)
        joined = _join_over_passes(chosen, roots, tree, joined)


@compiled
def _spill_levels(tree: Passes, count: int) -> Levels:
    """(label,) the highest pass on each basin's way out over the tree."""
    edges = max(count - 2, 0)
    first, links = _neighbours_in_tree(tree, edges, count)
    spill = np.full(count, np.float32(-np.inf))
    queue, seen = np.empty(count, dtype=np.int32), np.zeros(count, dtype=np.bool_)
    queue[0], seen[_OUTSIDE], queued, done = _OUTSIDE, True, 1, 0
    while done < queued:
        here = queue[done]
        done += 1
        for k in links[first[here] : first[here + 1]]:
            there = tree.one[k] + tree.other[k] - here
            if not seen[there]:
                spill[there] = max(spill[here], tree.height[k])
                queue[queued], seen[there] = there, True
                queued += 1
    return spill


@compiled
def _neighbours_in_tree(tree: Passes, edges: int, count: int) -> tuple[Cells, Cells]:
    """Passes at each basin: where its own begin in the list, and the list."""
    first = np.zeros(count + 2, dtype=np.int32)
    for k in range(edges):
        first[tree.one[k] + 2] += 1
        first[tree.other[k] + 2] += 1
    for label in range(2, count + 2):
        first[label] += first[label - 1]
    links = np.empty(2 * edges, dtype=np.int32)
    for k in range(edges):
        for label in (tree.one[k], tree.other[k]):
            links[first[label + 1]] = k
            first[label + 1] += 1
    return first, links
