"""Which control indicators to keep, as the paper chooses them, with a trace of every step.

doi:10.1093/nsr/nwaf179, Methods: remove the indicator with the highest variance inflation while any
exceeds 10 (tolerance below 0.1); then, while any |r| exceeds 0.6, remove the more inflated of the
two; information gain ranks what is left. Done per region and globally. A network needs none of
this, a linear model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headscarp.core.learning.collinearity import Correlations, Indicator, Values, correlations
from headscarp.core.types import Attributes

INFLATION_LIMIT = 10.0
CORRELATION_LIMIT = 0.6
"""A correlation of exactly this much is kept."""
DIGITS = 9
"""Numbers that agree to this many digits are equal; ties are decided by name."""


@dataclass(frozen=True, slots=True)
class Step:
    """One look at what was left, and what was removed for it."""

    rule: str
    """`constant`, `inflation`, `correlation`, or `none`: the last look, which found nothing to remove."""
    removed: str | None
    because: Attributes
    """The number that exceeded its limit, and of which pair."""
    inflation: dict[str, float]
    """Variance inflation of every indicator before the removal; tolerance is one over it."""
    singular: bool
    """Whether indicators determined each other exactly."""

    def to_json(self) -> Attributes:
        """As plain data; an infinite factor as None."""
        factors = {name: None if f == float("inf") else round(f, 6) for name, f in self.inflation.items()}
        return {
            "rule": self.rule,
            "removed": self.removed,
            "because": self.because,
            "inflation": factors,
            "tolerance": {name: 0.0 if f is None else round(1.0 / f, 6) for name, f in factors.items()},
            "singular": self.singular,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """What was kept and how it came about."""

    kept: tuple[str, ...]
    """In the order given."""
    steps: tuple[Step, ...]

    @property
    def removed(self) -> tuple[str, ...]:
        """In the order of removal."""
        return tuple(step.removed for step in self.steps if step.removed is not None)

    def to_json(self) -> Attributes:
        """The selection trace."""
        return {
            "limits": {"inflation": INFLATION_LIMIT, "correlation": CORRELATION_LIMIT},
            "kept": list(self.kept),
            "removed": list(self.removed),
            "steps": [step.to_json() for step in self.steps],
        }


def select_indicators(indicators: Sequence[Indicator], weights: Values | None = None) -> Selection:
    """Prune indicators that others repeat.

    Args:
        indicators: At the same sampled pixels.
        weights: (sample,) of each pixel; equal by default.

    Raises:
        ValueError: none vary, a name is given twice, or samples differ in size.
    """
    names = [i.name for i in indicators]
    if len(set(names)) != len(names):
        raise ValueError(f"expected each indicator once, got {names}")
    steps = [Step("constant", i.name, {}, {}, singular=False) for i in indicators if i.constant]
    left = correlations([i for i in indicators if not i.constant], weights)
    while True:
        step = _next_step(left)
        steps.append(step)
        if step.removed is None:
            return Selection(tuple(n for n in names if n in left.names), tuple(steps))
        left = left.without(step.removed)


def _next_step(left: Correlations) -> Step:
    inflation, singular = left.inflation(), left.singular
    worst = _most_inflated(list(left.names), inflation)
    if inflation[worst] > INFLATION_LIMIT:
        return Step("inflation", worst, {}, inflation, singular)
    pair = left.strongest()
    if pair is not None and _rounded(abs(pair[2])) > CORRELATION_LIMIT:
        because = {"pair": [pair[0], pair[1]], "r": round(pair[2], 6)}
        return Step("correlation", _most_inflated([pair[0], pair[1]], inflation), because, inflation, singular)
    return Step("none", None, {}, inflation, singular)


def _most_inflated(names: Sequence[str], inflation: dict[str, float]) -> str:
    """The highest factor; of several, the first by name."""
    return min(names, key=lambda name: (-_rounded(inflation[name]), name))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
