"""When a schedule is due: five-field cron in a time zone, also where clocks are put forward or back.

What names its hours ("30 2 * * *") happens once a day: an hour that clocks leave out comes after the gap, one that
comes twice counts the first time. What goes by intervals ("*/15 * * * *") follows real time through both.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from engine.errors import InputError

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
EXAMPLES = {
    "every 15 minutes": "*/15 * * * *",
    "every hour": "0 * * * *",
    "every day at 9": "0 9 * * *",
    "Monday to Friday at 8:30": "30 8 * * 1-5",
    "every Monday at 9": "0 9 * * 1",
    "the first day of each month at 7": "0 7 1 * *",
    "every year on 1 January": "0 0 1 1 *",
    "every night at midnight": "0 0 * * *",
}
SYNONYMS = {
    "hourly": "0 * * * *",
    "daily": "0 9 * * *",
    "weekdays": "30 8 * * 1-5",
    "weekly": "0 9 * * 1",
    "monthly": "0 7 1 * *",
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
}
COUNTED = 1000
"""Missed times are counted up to here."""

_FIELD = re.compile(r"[0-9A-Za-z*,/-]+\Z")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = frozenset((*_MONTHS, "sun", "mon", "tue", "wed", "thu", "fri", "sat"))
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due now: the newest planned time that has passed, how many before it were missed, the next time."""

    planned: float
    missed: int
    next_at: float


class Cron:
    """A cron expression in a time zone; InputError, with the nearest example, for what is none."""

    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = " ".join(expression.split())
        self.zone = zone(timezone)
        _check(self.expression)
        self._by_interval = self.expression.split()[1].startswith("*")
        if next(self._naive(datetime(2024, 1, 1)), None) is None:
            raise _refused(self.expression, "There is no such day in any year.")

    def after(self, moment: float) -> Iterator[float]:
        """The planned times after `moment`, in seconds since the epoch, without end."""
        local = datetime.fromtimestamp(moment, self.zone).replace(tzinfo=None)
        ready: list[float] = []
        last = moment
        for wall in self._naive(local - self._shift_near(moment)):
            instants = self._instants(wall)
            horizon = wall.replace(tzinfo=self.zone, fold=0).timestamp()
            while ready and ready[0] < horizon:
                found = heapq.heappop(ready)
                if found > last:
                    last = found
                    yield found
            for instant in instants:
                heapq.heappush(ready, instant)

    def next(self, moment: float, count: int = 1) -> list[float]:
        """The first planned times after `moment`."""
        times = self.after(moment)
        return [next(times) for _ in range(count)]

    def due(self, planned: float, now: float) -> Due:
        """What a schedule whose next time was `planned`, and has come, makes of `now`: nothing piles up."""
        missed = 0
        for later in self.after(planned):
            if later > now:
                return Due(planned, missed, later)
            planned = later
            missed += 1
            if missed >= COUNTED:
                break
        return Due(planned, missed, self.next(now)[0])

    def _naive(self, start: datetime) -> Iterator[datetime]:
        """What the clock on the wall shows at planned times after `start`, whether it ever shows that or not."""
        from croniter import CroniterBadDateError, croniter

        times = croniter(self.expression, start, max_years_between_matches=50)
        while True:
            try:
                yield times.get_next(datetime)
            except CroniterBadDateError:
                return

    def _shift_near(self, moment: float) -> timedelta:
        """By how much clocks are changed around that time: what they show may come later than it seems."""
        here = datetime.fromtimestamp(moment, UTC)
        offsets = [(here + days).astimezone(self.zone).utcoffset() for days in (-_DAY, timedelta(0), _DAY)]
        known = [offset for offset in offsets if offset is not None]
        return max(known) - min(known) + timedelta(minutes=1)

    def _instants(self, wall: datetime) -> list[float]:
        """When the clock shows it: once, or twice or never where clocks are changed."""
        first = wall.replace(tzinfo=self.zone, fold=0)
        second = wall.replace(tzinfo=self.zone, fold=1)
        if first.utcoffset() == second.utcoffset():
            return [first.timestamp()]
        left_out = first.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != wall
        if self._by_interval:
            return [] if left_out else [first.timestamp(), second.timestamp()]
        return [first.timestamp()]


def zone(name: str) -> ZoneInfo:
    """The time zone of that name; InputError, with the nearest one, where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name.lower(), _zones(), n=1, cutoff=0.5)
        meant = f"Did you mean {_zones()[near[0]]}?" if near else "Write it like Europe/Berlin, or UTC."
        raise InputError(f"There is no time zone {name!r}.", meant, "timezone") from None


@cache
def _zones() -> dict[str, str]:
    """Time zones by what people type: the whole name, or the city's alone."""
    names = sorted(available_timezones())
    return {name.rpartition("/")[2].lower(): name for name in names} | {name.lower(): name for name in names}


def _check(expression: str) -> None:
    from croniter import CroniterError, croniter

    fields = expression.split()
    if len(fields) != len(FIELDS):
        raise _refused(expression, f"Cron has 5 fields ({', '.join(FIELDS)}), this has {len(fields)}.")
    for what, word in zip(FIELDS, fields, strict=True):
        names = {name.lower() for name in re.findall("[A-Za-z]+", word)}
        if not _FIELD.match(word) or not names <= _NAMES or not _is_valid(word, what):
            raise _refused(expression, f"{word!r} does not fit the {what}.")
    try:
        croniter.expand(expression)
    except (CroniterError, ValueError):
        raise _refused(expression, "It can't be read.") from None


def _is_valid(word: str, what: str) -> bool:
    from croniter import croniter

    place = FIELDS.index(what)
    return bool(croniter.is_valid(" ".join([*["*"] * place, word, *["*"] * (4 - place)])))


def _refused(expression: str, why: str) -> InputError:
    said = EXAMPLES | SYNONYMS | {cron: cron for cron in EXAMPLES.values()}
    near = difflib.get_close_matches(expression, said, n=1, cutoff=0.3)
    example = said[near[0]] if near else "0 9 * * 1"
    words = next(words for words, cron in EXAMPLES.items() if cron == example)
    return InputError(
        f"{expression!r} is no schedule. {why}", f'Write it like "{example}" ({words}).', "cron"
    )
