"""Dates of inventories: what they mean, what they cannot mean, and which earthquake they allow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscarp.core.learning.inventory import MappingWindow, Period, Span, observed_span

KASHMIR = MappingWindow(datetime(2005, 10, 8, 3, 50, tzinfo=UTC))
TODAY = date(2026, 6, 1)
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


def year(number: int) -> Span:
    return Span(date(number, 1, 1), date(number, 12, 31))


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        (2005, "2005-01-01", "2005-12-31"),
        (2005.0, "2005-01-01", "2005-12-31"),
        (np.int32(2005), "2005-01-01", "2005-12-31"),
        (20051022, "2005-10-22", "2005-10-22"),
        ("20051022", "2005-10-22", "2005-10-22"),
        ("2004-02", "2004-02-01", "2004-02-29"),
        ("2005-12", "2005-12-01", "2005-12-31"),
        ("2005/10/22", "2005-10-22", "2005-10-22"),
        ("2005-10-22T10:11:12Z", "2005-10-22", "2005-10-22"),
        ("2005-2006", "2005-01-01", "2006-12-31"),
        ("2005-10-22/2006-06-13", "2005-10-22", "2006-06-13"),
        ("2005-10-08 to 2006", "2005-10-08", "2006-12-31"),
        (np.datetime64("2005-10-22T23:00:00", "ns"), "2005-10-22", "2005-10-22"),
        (np.datetime64("2005-10-22", "ms"), "2005-10-22", "2005-10-22"),
        (date(2005, 10, 22), "2005-10-22", "2005-10-22"),
    ],
)
def test_dates_as_they_are_written(value: object, first: str, last: str) -> None:
    assert observed_span(value) == Span(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize("value", [None, "", " ", "Unknown", "n/a", 0, -9999, float("nan"), np.datetime64("NaT")])
def test_no_date_is_not_a_wrong_date(value: object) -> None:
    assert observed_span(value) is None


@pytest.mark.parametrize(
    "value", ["22/10/2005", "2005-13", "2005-02-30", "spring", 9999, 20055, 2005.5, "2006-2005", "2005-10-22-1"]
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected|month|day"):
        observed_span(value)


@given(DAYS, DAYS)
def test_ranges_come_back(one: date, other: date) -> None:
    first, last = sorted((one, other))
    assert observed_span(f"{first}/{last}") == Span(first, last)
    assert observed_span(f"{first} to {last}") == Span(first, last)


@pytest.mark.parametrize(
    ("span", "period"),
    [
        (year(2004), Period.BEFORE),
        (year(2005), Period.COSEISMIC),
        (year(2006), Period.COSEISMIC),
        (year(2007), Period.LATE),
        (Span(date(2005, 10, 7), date(2005, 10, 7)), Period.BEFORE),
        (Span(date(2005, 10, 8), date(2005, 10, 8)), Period.COSEISMIC),
        (Span(date(2006, 10, 8), date(2006, 10, 8)), Period.COSEISMIC),
        (Span(date(2006, 10, 9), date(2006, 10, 9)), Period.LATE),
        (year(2030), Period.WRONG),
        (None, Period.UNDATED),
    ],
)
def test_kashmir(span: Span | None, period: Period) -> None:
    assert KASHMIR.period(span, today=TODAY) is period


def test_a_year_that_holds_the_earthquake_is_told_apart() -> None:
    assert KASHMIR.straddled(year(2005))
    assert not KASHMIR.straddled(year(2006))
    assert not KASHMIR.straddled(year(2004))


@given(DAYS, st.integers(0, 4000), st.integers(0, 3000))
def test_coseismic_is_what_shares_a_day_with_the_window(first: date, length: int, days: int) -> None:
    window = MappingWindow(datetime(1999, 9, 20, 17, 47, tzinfo=UTC), days)
    span = Span(first, min(first + timedelta(days=length), date(2200, 1, 1)))
    shares = any(window.first + timedelta(days=k) in (span.first, span.last) for k in range(days + 1)) or (
        span.first < window.first and span.last > window.last
    )
    assert (window.period(span, today=date(2300, 1, 1)) is Period.COSEISMIC) == shares
