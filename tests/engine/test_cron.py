"""Planned times against the clocks of real time zones, and against a reckoning minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cron import COUNTED, Cron
from engine.errors import InputError

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def shown(cron: str, after: float, count: int, zone: str = BERLIN) -> list[str]:
    times = islice(Cron(cron, zone).after(after), count)
    return [datetime.fromtimestamp(t, ZoneInfo(zone)).strftime("%d %H:%M %z") for t in times]


def test_the_hour_stays_the_same_when_clocks_change() -> None:
    assert shown("0 9 * * *", at("2026-03-28T12:00"), 2) == ["29 09:00 +0200", "30 09:00 +0200"]
    assert shown("0 9 * * *", at("2026-10-24T12:00"), 2) == ["25 09:00 +0100", "26 09:00 +0100"]


def test_an_hour_that_is_left_out_comes_after_the_gap_once() -> None:
    assert shown("30 2 * * *", at("2026-03-28T03:00"), 2) == ["29 03:30 +0200", "30 02:30 +0200"]
    assert shown("30 2,3 * * *", at("2026-03-28T12:00"), 3) == [
        "29 03:30 +0200",
        "30 02:30 +0200",
        "30 03:30 +0200",
    ]


def test_an_hour_that_comes_twice_counts_the_first_time() -> None:
    assert shown("30 2 * * *", at("2026-10-24T12:00"), 2) == ["25 02:30 +0200", "26 02:30 +0100"]
    between = at("2026-10-25T02:30", fold=0) + 60
    assert shown("30 2 * * *", between, 1) == ["26 02:30 +0100"]


def test_intervals_follow_real_time() -> None:
    spring = list(islice(Cron("*/30 * * * *", BERLIN).after(at("2026-03-29T01:00")), 4))
    autumn = list(islice(Cron("*/30 * * * *", BERLIN).after(at("2026-10-25T01:30")), 6))
    for times in (spring, autumn):
        assert {b - a for a, b in pairwise(times)} == {1800.0}


@given(
    cron=st.sampled_from(
        ["*/7 * * * *", "0 9 * * 1", "15 */3 * * *", "0 0 1,15 * 5", "59 23 28-31 * *", "0 12 29 2 *"]
    ),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),
    name=st.sampled_from(
        [BERLIN, "UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
)
def test_planned_times_are_those_the_clock_shows(cron: str, start: datetime, name: str) -> None:
    """Away from changes of clocks each planned time matches the expression, and none between two is left out."""
    from croniter import croniter

    moment = start.replace(tzinfo=UTC).timestamp()
    times = Cron(cron, name).next(moment, 3)
    assert moment < times[0] < times[1] < times[2]
    minute = int(moment // 60 + 1) * 60
    for planned in times[:2]:
        wall = datetime.fromtimestamp(planned, ZoneInfo(name))
        assert croniter.match(cron, wall.replace(tzinfo=None)) or _changes(wall)
        while planned - minute <= 21_600 and minute < planned:
            here = datetime.fromtimestamp(minute, ZoneInfo(name))
            assert not croniter.match(cron, here.replace(tzinfo=None)) or _changes(here)
            minute += 60
        minute = int(planned) + 60


def _changes(wall: datetime) -> bool:
    day = timedelta(hours=12)
    return (wall.astimezone(UTC) - day).astimezone(wall.tzinfo).utcoffset() != (
        wall.astimezone(UTC) + day
    ).astimezone(wall.tzinfo).utcoffset()


def test_what_was_missed_is_counted_and_not_piled_up() -> None:
    daily = Cron("0 9 * * *", BERLIN)
    monday = at("2026-06-01T09:00")
    on_time = daily.due(monday, monday + 2)
    assert (on_time.planned, on_time.missed, on_time.next_at) == (monday, 0, at("2026-06-02T09:00"))
    late = daily.due(monday, at("2026-06-04T10:00"))
    assert (late.planned, late.missed, late.next_at) == (at("2026-06-04T09:00"), 3, at("2026-06-05T09:00"))


def test_a_year_of_minutes_is_no_work() -> None:
    due = Cron("* * * * *", "UTC").due(0.0, 365 * 86_400.0)
    assert due.missed == COUNTED
    assert due.next_at == 365 * 86_400.0 + 60


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("every monday at 9", '"0 9 * * 1"'),
        ("hourly", '"0 * * * *"'),
        ("0 9 * *", "5 fields"),
        ("0 9 * * 1 2026", "5 fields"),
        ("61 * * * *", "'61' does not fit the minute"),
        ("0 25 * * *", "'25' does not fit the hour"),
        ("0 9 * foo *", "'foo' does not fit the month"),
        ("0 9 * * 8", "'8' does not fit the day of the week"),
        ("R * * * *", "'R' does not fit the minute"),
        ("*/0 * * * *", "'*/0' does not fit the minute"),
        ("0 0 31 2 *", "no such day"),
        ("", "5 fields"),
    ],
)
def test_what_is_no_schedule_is_refused_with_an_example(cron: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        Cron(cron, "UTC")
    assert says in str(caught.value)
    assert "Write it like" in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "says"), [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("../x", "")]
)
def test_a_time_zone_that_there_is_not(zone: str, says: str) -> None:
    with pytest.raises(InputError, match="There is no time zone") as caught:
        Cron("0 9 * * *", zone)
    assert says in str(caught.value)


@given(
    cron=st.sampled_from(["*/20 * * * *", "15 2 * * *", "45 1,2,3 * * *", "0 0 * * *", "30 */2 * * *"]),
    name=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
    change=st.sampled_from(
        ["2011-12-30", "2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]
    ),
    minutes=st.integers(-1500, 1500),
)
def test_from_wherever_one_looks_the_times_are_the_same(
    cron: str, name: str, change: str, minutes: int
) -> None:
    """Around changes of clocks: what follows a moment is what follows an earlier one, without what has passed."""
    moment = at(f"{change}T00:00", name) + minutes * 60
    earlier = [t for t in islice(Cron(cron, name).after(moment - 3 * 86_400), 400) if t > moment][:5]
    assert Cron(cron, name).next(moment, 5) == earlier
