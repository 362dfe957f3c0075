"""From a line of the source to a message, or to a reason why it is none; nothing in a line can stop the monitor."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST = 100_000  # bytes of a line
SHOWN = 2_000  # characters of a refused line that are kept
EARLIEST, LATEST = 0.0, datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Message:
    """What was said and when.

    Attributes:
        time: seconds since 1970 (UTC).
        id: the sender's own name for it; a message whose id was seen before is not counted again.
    """

    text: str
    time: float
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is no message."""

    reason: str
    line: str


def read_line(raw: bytes, form: str, now: float) -> Message | Refused | None:
    """A line as a message; None if it is blank.

    Args:
        raw: without its line end.
        form: ``auto`` (JSON where it begins with a brace), ``text`` or ``json``.
        now: the time of a message that tells none, in seconds since 1970.
    """
    shown = raw[: 4 * SHOWN].decode("utf-8", "backslashreplace")[:SHOWN]
    if len(raw) > LONGEST:
        return Refused(f"longer than {LONGEST:,} bytes", shown)
    try:
        line = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        return Refused(f"not UTF-8 (byte {error.start})", shown)
    if not line:
        return None
    if form == "text" or (form == "auto" and not line.startswith("{")):
        return Message(line, now)
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Refused(f"not JSON ({str(error).splitlines()[0][:100]})", shown)
    found = _message(given, now)
    return Refused(found, shown) if isinstance(found, str) else found


def _message(given: Any, now: float) -> Message | str:
    """The message in a JSON value, or what is wrong with it."""
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        return 'no {"text": "…"}'
    if not given["text"].strip():
        return "an empty text"
    name = given.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, (str, int))):
        return "an id that is neither text nor a whole number"
    if any("\ud800" <= sign <= "\udfff" for sign in f"{given['text']}{name}"):
        return "half of a surrogate pair, which is no character"
    time = now if given.get("time") is None else read_time(given["time"])
    if time is None:
        return "a time that is neither seconds since 1970 nor ISO 8601"
    return Message(given["text"], time, None if name is None else str(name))


def read_time(value: Any) -> float | None:
    """Seconds since 1970 from such a number or an ISO 8601 text (UTC if it says no zone); None if it is neither."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        try:
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and EARLIEST <= seconds <= LATEST else None


def told_time(seconds: float) -> str:
    """``2026-03-01T12:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
