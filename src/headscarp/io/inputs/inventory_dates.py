"""Which features of an inventory are of one earthquake, and how that is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headscarp.core.learning.inventory import WINDOW_DAYS, MappingWindow, Period, Span, observed_span
from headscarp.core.types import Mask
from headscarp.errors import InvalidInput
from headscarp.io.inputs.inventory_extent import Rule
from headscarp.io.inputs.inventory_files import Features

MAX_WRONG_DATES: Final = 0.1
"""A larger share of dates that cannot be means that the attribute is another one."""
NOT_CHOSEN: Final = "not chosen by the query"

_QUERY = re.compile(r"(?P<field>\w+) (?P<negated>not )?in \[(?P<values>-?\d+(, ?-?\d+)*)\]")


@dataclass(frozen=True, slots=True)
class InventoryOptions:
    """What a file does not say of itself."""

    date_attributes: tuple[str, ...] = ()
    """One attribute with a date or a range, or two with the first and the last day."""
    coseismic: str | None = None
    """Instead of dates, the features of this earthquake as a query: `Year_obs in [2005, 2006]`."""
    window_days: int = WINDOW_DAYS
    """How long after the earthquake a landslide may be seen first."""
    layer: str | None = None
    landslide_value: int | None = None
    """Of rasters: the value of landslide cells where others than 0, 1 and nodata occur."""
    extent: Path | Rule = "hull"
    """Mapped ground: a file, the hull of what was mapped, or all that the event has data for."""
    ignore: Path | None = None
    """Ground of unknown label whatever else is said of it: polygons, or the non-zero cells of a raster."""
    quality: str = "unstated"
    """How it was made; `weak` must never be scored on."""


def date_columns(options: InventoryOptions, file: Path) -> tuple[str, ...]:
    """The attributes that the options need.

    Raises:
        InvalidInput: dates and a query at once, or a query of another form.
    """
    if options.coseismic is None:
        return tuple(dict.fromkeys(options.date_attributes))
    if options.date_attributes:
        raise InvalidInput(f"{file}: expected a date attribute or a query for coseismic landslides, found both")
    return (_parsed(options.coseismic, file)["field"],)


def _parsed(query: str, file: Path) -> re.Match[str]:
    match = _QUERY.fullmatch(query)
    if match is None:
        raise InvalidInput(f"{file}: expected a query like 'Year_obs in [2005, 2006]', found {query!r}")
    return match


class InventoryDates:
    """Which features are of this earthquake, and how that is known."""

    def __init__(
        self, path: Path, origin: datetime, options: InventoryOptions, features: Features, today: date
    ) -> None:
        self.path, self.today = path, today
        self.window = MappingWindow(origin, options.window_days)
        self.values: NDArray[Any] | None = None
        self.straddling = np.zeros(len(features), dtype=bool)
        if options.coseismic is not None:
            self._by_query(options.coseismic, features)
        elif options.date_attributes:
            self._by_date(options.date_attributes, features)
        else:
            self.periods = np.full(len(features), Period.COSEISMIC.value, dtype="U64")
            self.words = "assumed: the file has no dates, so all of it is taken as of this earthquake"
            self.expected = "all of the file"
        self.coseismic = np.asarray(self.periods == Period.COSEISMIC.value)

    def counts(self, where: Mask | None = None) -> dict[str, int]:
        """Features by period, the absent ones left out."""
        chosen = self.periods if where is None else self.periods[where]
        names, counts = np.unique(chosen, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    def notes(self, coseismic: Mask) -> Sequence[str]:
        """What had to be assumed of the dates."""
        straddling = int((self.straddling & coseismic).sum())
        if not straddling:
            return []
        return [f"{straddling} landslides are dated to a span that begins before the earthquake: taken as after it"]

    def example(self, mask: Mask) -> str:
        """What the first of these features has as date."""
        return "" if self.values is None else f", {self.values[np.flatnonzero(mask)[0]]}"

    def _by_query(self, query: str, features: Features) -> None:
        match = _parsed(query, self.path)
        self.values = features.fields[match["field"]]
        numbers = [int(value) for value in match["values"].split(",")]
        wanted = np.isin(self.values, numbers if self.values.dtype.kind in "iuf" else list(map(str, numbers)))
        chosen = ~wanted if match["negated"] else wanted
        self.periods = np.where(chosen, Period.COSEISMIC.value, NOT_CHOSEN).astype("U64")
        self.words = f"stated: {query}"
        self.expected = query

    def _by_date(self, names: Sequence[str], features: Features) -> None:
        if len(names) > 2:
            raise InvalidInput(f"{self.path}: expected one or two date attributes, found {list(names)}")
        columns = [features.fields[name] for name in names]
        rows = list(
            zip(*(column.tolist() if column.dtype.kind != "M" else list(column) for column in columns), strict=True)
        )
        spans = {row: self._span(row) for row in dict.fromkeys(rows)}
        self.values = np.array([" to ".join(map(str, row)) for row in rows], dtype=object)
        self.periods = np.array([self._period(spans[row]) for row in rows], dtype="U64")
        self.straddling = np.array([self._straddles(spans[row]) for row in rows])
        self.words = f"{' to '.join(names)}: seen from {self.window.first} to {self.window.last}"
        self.expected = f"first seen from {self.window.first} to {self.window.last}"
        self._check_wrong(names)

    def _span(self, row: tuple[Any, ...]) -> Span | ValueError | None:
        """The days of one distinct value, or why it cannot be a date."""
        try:
            found = [span for span in map(observed_span, row) if span is not None]
            return None if not found else found[0].joined(found[-1])
        except ValueError as error:
            return error

    def _period(self, span: Span | ValueError | None) -> str:
        if isinstance(span, ValueError):
            return Period.WRONG.value
        return self.window.period(span, today=self.today).value

    def _straddles(self, span: Span | ValueError | None) -> bool:
        return not isinstance(span, ValueError) and self.window.straddled(span)

    def _check_wrong(self, names: Sequence[str]) -> None:
        """Refuse an attribute that holds something else than dates."""
        wrong = self.periods == Period.WRONG.value
        assert self.values is not None  # noqa: S101
        if wrong.mean() > MAX_WRONG_DATES:
            shown = list(dict.fromkeys(self.values[wrong].tolist()))[:3]
            raise InvalidInput(f"{self.path}: {', '.join(names)}: expected dates up to {self.today}, found {shown}")
        if (self.periods == Period.UNDATED.value).all():
            raise InvalidInput(f"{self.path}: {', '.join(names)}: expected dates, found none in any feature")
