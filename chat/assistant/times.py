"""When something is to happen again and again, as people say it in English and German: read as cron, and said back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DAYS: Mapping[str, int] = {
    "sunday": 0,
    "monday": 1,
    "tuesday": 2,
    "wednesday": 3,
    "thursday": 4,
    "friday": 5,
    "saturday": 6,
    "sonntag": 0,
    "montag": 1,
    "dienstag": 2,
    "mittwoch": 3,
    "donnerstag": 4,
    "freitag": 5,
    "samstag": 6,
    "sonnabend": 6,
}
_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_HOURS: Mapping[str, int] = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "ein": 1,
    "eins": 1,
    "zwei": 2,
    "drei": 3,
    "vier": 4,
    "fünf": 5,
    "sechs": 6,
    "sieben": 7,
    "acht": 8,
    "neun": 9,
    "zehn": 10,
    "elf": 11,
    "zwölf": 12,
}
_PARTS: Mapping[str, int] = {
    "noon": 12,
    "midday": 12,
    "midnight": 0,
    "mittag": 12,
    "mittags": 12,
    "mitternacht": 0,
    "morning": 9,
    "morgen": 9,
    "morgens": 9,
    "afternoon": 15,
    "nachmittag": 15,
    "evening": 18,
    "abend": 18,
    "abends": 18,
    "night": 22,
    "nachts": 22,
}
_LATE = frozenset(word for word, hour in _PARTS.items() if hour in (15, 18)) | {"nachmittags"}
_DAY = "|".join(_DAYS)
_LIST = rf"(?:{_DAY})s?(?:(?:\s*,\s*|\s+(?:and|und)\s+)(?:{_DAY})s?)*"
_WEEKDAYS = re.compile(
    r"\b(?:(?:every|each|on|jede[nrs]?|an)\s+)?(?:weekdays?|workdays?|working days?|werktags?|werktagen)\b"
    r"|\b(?:(?:every|from|von|jede[nrs]?)\s+)?(?:monday|montag)s?\s*(?:to|through|until|bis|-|–)\s*(?:friday|freitag)s?\b"
)
_WEEKEND = re.compile(r"\b(?:(?:every|each|on|jede[nrs]?|am)\s+)?(?:weekends?|wochenende[n]?)\b")
_ON_DAYS = re.compile(
    rf"\b(?:(?:weekly|wöchentlich)\s+)?(?:every|each|jede[nrs]?)\s+(?P<every>{_LIST})\b"
    rf"|\b(?:(?:weekly|wöchentlich)\s+)?(?:on\s+)?(?P<plural>(?:{_DAY})s(?:(?:\s*,\s*|\s+(?:and|und)\s+)(?:{_DAY})s)*)\b"
    rf"|\b(?:weekly|wöchentlich)\s+(?:on|am)\s+(?P<weekly>{_LIST})\b"
)
_MONTHLY = re.compile(
    r"\b(?:(?:every|each)\s+month\s+|monthly\s+)?on\s+the\s+(?P<en>\d{1,2})(?:st|nd|rd|th)?"
    r"(?P<of>\s+(?:day\s+)?of\s+(?:the|each|every)\s+month|\s+(?:every|each)\s+month)?\b"
    r"|\b(?:every|each)\s+(?P<each>\d{1,2})(?:st|nd|rd|th)\s+of\s+the\s+month\b"
    r"|\b(?:monatlich\s+)?(?:am|an\s+jedem)\s+(?P<de>\d{1,2})\.?\s+(?:jede[sn]|des|im)\s+monats?\b"
    r"|\bmonatlich\s+am\s+(?P<de2>\d{1,2})\.(?=\s|$)"
)
_DAILY = re.compile(
    r"\b(?:every\s*day|each\s+day|daily|täglich|jeden\s+tag)\b"
    r"|\b(?:every|each|jede[nrs]?)\s+(?=(?:morning|morgen|afternoon|nachmittag|evening|abend|night|noon|mittag|midnight)\b)"
)
_STEPS = re.compile(
    r"\b(?:every|alle|jede)\s+(?P<n>\d{1,2})\s+(?P<unit>minutes?|minuten|hours?|stunden)\b"
    r"|\b(?P<hourly>hourly|stündlich|every\s+hour|jede\s+stunde)\b"
)
_WORDS = "|".join(sorted(_HOURS, key=len, reverse=True))
_TIME = re.compile(
    rf"\b(?:at|um|gegen|ab)\s+(?P<hour>\d{{1,2}}|{_WORDS})(?:[:.h](?P<minute>\d{{2}}))?"
    r"(?:\s*(?P<half>a\.?m\.?|p\.?m\.?)(?=\W|$)|\s*(?:uhr|o'?clock)(?:\s+(?P<after>\d{2}))?)?"
    r"(?:\s+(?:in\s+the|in\s+der|am)?\s*(?P<part>morning|afternoon|evening|morgens|nachmittags|abends|früh))?\b"
    r"|\b(?P<hour2>\d{1,2})(?::(?P<minute2>\d{2}))?\s*(?P<half2>a\.?m\.?|p\.?m\.?|uhr|o'?clock)(?=\W|$)"
    r"|\b(?P<clock>\d{1,2}:\d{2})\b"
)
_HALF = re.compile(
    rf"\b(?:um\s+)?halb\s+(?P<de>\d{{1,2}}|{_WORDS})\b|\b(?:at\s+)?half\s+past\s+(?P<en>\d{{1,2}}|{_WORDS})\b"
)
_OTHER_TIME = re.compile(
    r"\b(?:at|um|gegen)\s+(?:a\s+)?(?:quarter|viertel|dreiviertel|\w+\s+(?:past|to|nach|vor))\b"
)
_PART = re.compile(
    rf"\b(?:(?:at|in the|am|um|zu)\s+)?(?P<part>{'|'.join(sorted(_PARTS, key=len, reverse=True))})\b"
)
USUAL = (9, 0)
"""The time of a day that is meant where none is said."""
_ORDER = re.compile(
    r"\b(?:please|bitte|can|could|you|run|start|execute|schedule|repeat|it|this|that|the|my|workflow|flow|now|from|on"
    r"|then|and|führe?|es|das|den|diesen|workflow|aus|starte|plane|lass|laufen|ausführen|ein|mal|dann|und|for|me|also)\b"
)


@dataclass(frozen=True, slots=True)
class When:
    """A cron expression, and what the text says beside it, without the words of an order."""

    cron: str
    rest: str


def read_when(text: str) -> When | None:
    """When something is to happen again and again; None where the text says nothing of the kind, or no such time."""
    said = " ".join(text.casefold().replace("’", "'").split())
    days, left = _days(said)
    if days is None:
        return None
    if len(days.split()) == 5:
        return When(days, _rest(left))
    time, left = _time(left)
    if time is None:
        return None
    hour, minute = time
    return When(f"{minute} {hour} {days}", _rest(left))


def _days(said: str) -> tuple[str | None, str]:
    """The last three fields of cron, or all five of what goes by steps, and the text without that."""
    if found := _STEPS.search(said):
        return _step(found), _without(said, found)
    if found := _MONTHLY.search(said):
        day = int(found["en"] or found["each"] or found["de"] or found["de2"])
        monthly = not found["en"] or found["of"] or re.match(r"(?:every|each|monthly)", found[0])
        if monthly and 1 <= day <= 31:
            return f"{day} * *", _without(said, found)
    for pattern, days in ((_WEEKDAYS, "* * 1-5"), (_WEEKEND, "* * 0,6")):
        if found := pattern.search(said):
            return days, _without(said, found)
    if found := _ON_DAYS.search(said):
        names = re.findall(_DAY, found["every"] or found["plural"] or found["weekly"])
        return f"* * {','.join(map(str, sorted({_DAYS[name] for name in names})))}", _without(said, found)
    if found := _DAILY.search(said):
        return "* * *", _without(said, found)
    return None, said


def _step(found: re.Match[str]) -> str | None:
    if found["hourly"]:
        return "0 * * * *"
    number, minutes = int(found["n"]), found["unit"].startswith("min")
    if not 1 <= number < (60 if minutes else 24):
        return None
    return f"*/{number} * * * *" if minutes else f"0 */{number} * * *"


def _time(said: str) -> tuple[tuple[int, int] | None, str]:
    """Hour and minute, and the text without them; None for a time that no clock shows."""
    if found := _TIME.search(said):
        word = found["hour"] or found["hour2"]
        if word is None:
            hours, _, minutes = found["clock"].partition(":")
        else:
            hours, minutes = word, found["minute"] or found["after"] or found["minute2"] or "0"
        hour = _HOURS[hours] if hours in _HOURS else int(hours)
        half = (found["half"] or found["half2"] or "").replace(".", "")
        left = _without(said, found)
        part = _PART.search(left)
        late = (found["part"] or (part["part"] if part else "")) in _LATE
        later = half == "pm" or late
        if later and hour < 12:
            hour += 12
        elif half == "am" and hour == 12:
            hour = 0
        time = (hour, int(minutes))
        return (time if hour < 24 and time[1] < 60 else None), _without(left, part) if part else left
    if found := _HALF.search(said):
        word = found["de"] or found["en"]
        hour = _HOURS[word] if word in _HOURS else int(word)
        return ((hour - 1 if found["de"] else hour) % 24, 30), _without(said, found)
    if _OTHER_TIME.search(said):
        return None, said
    if found := _PART.search(said):
        return (_PARTS[found["part"]], 0), _without(said, found)
    return USUAL, said


def _without(said: str, found: re.Match[str]) -> str:
    return f"{said[: found.start()]} {said[found.end() :]}"


def _rest(left: str) -> str:
    return " ".join(re.sub(r"[\s,.;:!?\"'“”„]+", " ", _ORDER.sub(" ", left)).split())


def in_words(cron: str) -> str:
    """A cron expression as people say it; what has no simple words is quoted."""
    minute, hour, day, month, weekday = cron.split()
    if month == "*" and minute.isdecimal() and hour.isdecimal():
        at = f" at {int(hour):02}:{int(minute):02}"
        if day == weekday == "*":
            return f"every day{at}"
        if day == "*" and weekday == "1-5":
            return f"Monday to Friday{at}"
        if day == "*" and re.fullmatch(r"[0-7](,[0-7])*", weekday):
            return f"every {' and '.join(_NAMES[int(n) % 7] for n in weekday.split(','))}{at}"
        if weekday == "*" and day.isdecimal():
            return f"on day {day} of each month{at}"
    if cron == "0 * * * *":
        return "every hour"
    if found := re.fullmatch(r"\*/(\d+) \* \* \* \*", cron):
        return f"every {found[1]} minutes"
    if found := re.fullmatch(r"0 \*/(\d+) \* \* \*", cron):
        return f"every {found[1]} hours"
    return f"by the cron `{cron}`"
