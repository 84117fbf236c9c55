"""Results of an evaluation as they lie in a file a split: checked once, typed from then on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from headscarp.errors import InvalidInput
from headscarp.io.inputs.usgs_models import explain

FORMAT = "headscarp-evaluation/1"
ROW_KEYS = frozenset({"model", "scene", "profile", "ground"})
ALL_GROUND = "all"
MAGNITUDE, REMARK = re.compile(r"\bM \d+(\.\d+)? (- )?"), re.compile(r" *\([^()]*\)$")
MEAN = "mean"
"""Stands for a scene where a number is the mean over scenes."""

Split = Literal["blocks", "events", "worlds", "released", "paper33"]
Profile = Literal["honest", "paper"]


def _finite(value: Any) -> Any:
    """None for what is no number: JSON written by Python may hold NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


TWIN = "+calibrated"
"""Ends the name of a model whose scores were turned into coverages."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Estimate(_Model):
    """A number, and its interval where there is one."""

    value: Number = None
    low: Number = None
    high: Number = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"value": value} if value is None or isinstance(value, int | float) else value


NOT_JUDGED = Estimate()


class SceneFacts(_Model):
    """What was judged on."""

    name: str
    synthetic: bool
    pixels: int
    slide_pixels: int
    prevalence: Number = None
    filled: float = 1.0
    title: str | None = None
    ceiling_auc: Number = None
    ceiling_se: Number = None

    @property
    def label(self) -> str:
        """What readers see; says SYNTHETIC where it is."""
        words = self.title or self.name
        return f"SYNTHETIC {words}" if self.synthetic and "SYNTHETIC" not in words else words


class ModelFacts(_Model):
    """What was judged."""

    name: str
    identity: str = ""
    quantity: Literal["score", "coverage"] = "score"


class ScoreRow(_Model):
    """The metrics of a model on one scene, one profile and one part of the ground."""

    model: str
    scene: str
    profile: Profile
    ground: str = ALL_GROUND
    metrics: Mapping[str, Estimate] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, row: Any) -> Any:
        if not isinstance(row, Mapping):
            return row
        return {k: v for k, v in row.items() if k in ROW_KEYS} | {
            "metrics": {k: v for k, v in row.items() if k not in ROW_KEYS}
        }


class Difference(_Model):
    """A paired difference: `model` less `against`."""

    model: str
    against: str
    scene: str
    metric: str
    value: Number = None
    low: Number = None
    high: Number = None

    @property
    def verdict(self) -> str:
        """In words; undecided where the interval holds zero or is not known."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "undecided"
        return "better" if self.low > 0 else "worse"


class ReliabilityCell(_Model):
    """Predicted beside observed coverage on the cells of one bin."""

    predicted: float
    observed: float
    cells: int


class SizeClass(_Model):
    """Landslides of one range of size, and the share of them that was hit."""

    from_m2: float
    to_m2: Number = None
    bodies: int
    rate: Number = None


class Curve(_Model):
    """The curves of a model on one scene; those that do not exist are empty."""

    model: str
    scene: str
    success_rate: tuple[tuple[float, float], ...] = ()
    reliability: tuple[ReliabilityCell, ...] = ()
    roc: tuple[tuple[float, float], ...] = ()
    hit_rate: tuple[SizeClass, ...] = ()


class Skipped(_Model):
    """What was not judged, and why."""

    model: str
    scene: str
    ground: str = ALL_GROUND
    reason: str


class Results(_Model):
    """One split, whole."""

    format: Literal["headscarp-evaluation/1"]
    split: Split
    folds: tuple[Any, ...] = ()
    created: str = ""
    headscarp: str = ""
    command: str | None = None
    versions: Mapping[str, str] = Field(default_factory=dict)
    scenes: tuple[SceneFacts, ...]
    models: tuple[ModelFacts, ...]
    scores: tuple[ScoreRow, ...]
    differences: tuple[Difference, ...] = ()
    curves: tuple[Curve, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def parse(cls, document: Mapping[str, Any], where: str = "evaluation results") -> Results:
        """Check a document.

        Raises:
            InvalidInput: it is of another form; the message names the place and what was expected.
        """
        try:
            return cls.model_validate(dict(document))
        except ValidationError as error:
            raise InvalidInput(explain(error, where)) from error

    @model_validator(mode="after")
    def _known_names(self) -> Results:
        if len({s.name for s in self.scenes}) != len(self.scenes):
            raise ValueError(f"expected each scene once, found {[s.name for s in self.scenes]}")
        scenes, models = {s.name for s in self.scenes} | {MEAN}, {m.name for m in self.models}
        rows: list[ScoreRow | Difference | Curve | Skipped] = [*self.scores, *self.differences, *self.curves]
        rows += self.skipped
        for row in rows:
            if row.scene not in scenes:
                raise ValueError(f"expected one of the scenes {sorted(scenes)}, found {row.scene!r}")
            if row.model not in models:
                raise ValueError(f"expected one of the models {sorted(models)}, found {row.model!r}")
        return self

    def estimate(
        self, metric: str, model: str, scene: str, *, profile: Profile = "honest", ground: str = ALL_GROUND
    ) -> Estimate:
        """A metric, without value where it was not judged."""
        for row in self.scores:
            if (row.model, row.scene, row.profile, row.ground) == (model, scene, profile, ground):
                return row.metrics.get(metric, NOT_JUDGED)
        return NOT_JUDGED

    def label(self, scene: str) -> str:
        """What readers see of a scene; no two are the same."""
        return self._unique({s.name: s.label for s in self.scenes}, scene)

    def short(self, scene: str) -> str:
        """The same without magnitude and remarks, for charts."""
        labels = {s.name: MAGNITUDE.sub("", REMARK.sub("", s.label)) for s in self.scenes}
        return self._unique(labels, scene)

    def _unique(self, labels: Mapping[str, str], scene: str) -> str:
        if scene == MEAN:
            return "mean of events"
        same = sum(label == labels[scene] for label in labels.values()) > 1
        return f"{labels[scene]}, {scene}" if same else labels[scene]

    def ranked_models(self, *, twins: bool = True) -> tuple[str, ...]:
        """Names of models, highest mean AUC first; only for their order in tables and charts.

        A calibrated twin ranks pixels as its model does, and is left out where ranking is shown.
        """
        names = [m.name for m in self.models if twins or not m.name.endswith(TWIN)]
        return tuple(sorted(names, key=lambda name: (-self._mean("auc", name), name)))

    def _mean(self, metric: str, model: str) -> float:
        found = [self.estimate(metric, model, s.name).value for s in self.scenes]
        judged = [value for value in found if value is not None]
        return sum(judged) / len(judged) if judged else -math.inf

    def curves_of(self, scene: str) -> Iterator[Curve]:
        """Curves on a scene, in the order of the models' rank."""
        order = self.ranked_models()
        yield from sorted((c for c in self.curves if c.scene == scene), key=lambda c: order.index(c.model))
