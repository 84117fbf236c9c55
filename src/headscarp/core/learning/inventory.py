"""When a landslide was mapped, and whether that lets one earthquake have made it.

An inventory says at best when the image was taken on which a landslide was first seen. A landslide
seen before the earthquake was not made by it; one first seen long after may be of later storms. Both
are ground of unknown label, not background.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

WINDOW_DAYS: Final = 365
"""A landslide first seen later than this after the earthquake has been through another rainy season."""
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2100
MISSING_WORDS: Final = frozenset({"", "0", "-", "na", "n/a", "nan", "none", "null", "unknown", "?"})

_DAY = re.compile(r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})([T ]\d{2}:.*)?")
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})")
_MONTH = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})")
_YEAR = re.compile(r"(?P<year>\d{4})(\.0+)?")
_BETWEEN = r"\.\.|–|\bto\b|(?<=\d{4})-(?=\d{4}$)|(?<=\d)\s+-\s+|(?<=-\d{2})/"
_RANGE = re.compile(rf"(?P<first>.+?)\s*(?:{_BETWEEN})\s*(?P<last>.+)")


class Period(StrEnum):
    """When a landslide was seen, in relation to an earthquake."""

    COSEISMIC = "coseismic"
    BEFORE = "before the earthquake"
    LATE = "first seen too long after the earthquake"
    UNDATED = "without a date"
    WRONG = "with a date that cannot be"


@dataclass(frozen=True, slots=True)
class Span:
    """The days on one of which something was seen, both ends included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"expected a span that ends after it begins, found {self.first} to {self.last}")

    def joined(self, other: Span) -> Span:
        """From the beginning of this span to the end of another."""
        return Span(self.first, other.last)


@dataclass(frozen=True, slots=True)
class MappingWindow:
    """The days in which a landslide of one earthquake is expected to have been seen first."""

    origin: datetime
    """Origin time, timezone-aware."""
    days: int = WINDOW_DAYS

    def __post_init__(self) -> None:
        if self.days < 0:
            raise ValueError(f"expected a window of no fewer than 0 days, found {self.days}")

    @property
    def first(self) -> date:
        """The day of the earthquake, UTC."""
        return self.origin.astimezone(UTC).date()

    @property
    def last(self) -> date:
        """The last day of the window."""
        return self.first + timedelta(days=self.days)

    def period(self, span: Span | None, *, today: date) -> Period:
        """Where a span lies: coseismic if it shares a day with the window.

        A span that begins before the earthquake and ends after it, as its calendar year, counts as after.
        """
        if span is None:
            return Period.UNDATED
        if span.first > today:
            return Period.WRONG
        if span.last < self.first:
            return Period.BEFORE
        return Period.LATE if span.first > self.last else Period.COSEISMIC

    def straddled(self, span: Span | None) -> bool:
        """Whether the span begins before the earthquake and does not end before it."""
        return span is not None and span.first < self.first <= span.last


def observed_span(value: object) -> Span | None:
    """The days a date attribute stands for: a year, a month, a day, or a range of these.

    Args:
        value: A number (2005 or 20051022), a text (`2005`, `2005-10`, `2005-10-22`, `20051022`,
            `2005-2006`, `2005-10-22/2006-06-13`, `2005-10-08 to 2006`), a date, or a NumPy datetime.

    Returns:
        None where the attribute says nothing: empty, NaN, 0 or less, `unknown` and the like.

    Raises:
        ValueError: what is there is no date that can be read in one way only.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or (isinstance(plain, float) and math.isnan(plain)):
        return None
    if isinstance(plain, datetime):
        return _day(plain.year, plain.month, plain.day)
    if isinstance(plain, date):
        return Span(plain, plain)
    if isinstance(value, np.datetime64):  # nanoseconds become an integer, not a datetime
        return observed_span(value.astype("datetime64[D]"))
    if isinstance(plain, int | float):
        return None if plain <= 0 else _number(plain)
    return _text(str(plain).strip())


def _number(value: float) -> Span:
    if value != int(value):
        raise ValueError(f"expected a year or YYYYMMDD, found {value!r}")
    return _simple(str(int(value)))


def _text(text: str) -> Span | None:
    if text.lower() in MISSING_WORDS:
        return None
    match = _RANGE.fullmatch(text)
    if match is None:
        return _simple(text)
    return _simple(match["first"]).joined(_simple(match["last"]))


def _simple(text: str) -> Span:
    """A year, a month or a day."""
    if match := _DAY.fullmatch(text) or _COMPACT.fullmatch(text):
        return _day(int(match["year"]), int(match["month"]), int(match["day"]))
    if match := _MONTH.fullmatch(text):
        return _month(int(match["year"]), int(match["month"]))
    if match := _YEAR.fullmatch(text):
        year = _year(int(match["year"]))
        return Span(date(year, 1, 1), date(year, 12, 31))
    raise ValueError(f"expected a date such as 2005, 2005-10 or 2005-10-22, found {text[:40]!r}")


def _day(year: int, month: int, day: int) -> Span:
    found = date(_year(year), month, day)
    return Span(found, found)


def _month(year: int, month: int) -> Span:
    first = date(_year(year), month, 1)
    return Span(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def _year(year: int) -> int:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, found {year}")
    return year
