"""Any line is a message, blank, or refused with a reason; none stops the monitor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lightning.monitor.lines import LONGEST, SHOWN, Message, Refused, read_line, read_time, told_time

NOW = 1000.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"Profit fell.\r", Message("Profit fell.", NOW)),
        ("\ufeffÖl steigt".encode(), Message("Öl steigt", NOW)),
        (b'{"text": "a", "time": 5}', Message("a", 5.0)),
        (b'{"text": "a", "time": "1970-01-01T01:00:00+01:00", "id": 7}', Message("a", 0.0, "7")),
        (b'{"text": "a", "time": "1970-01-02", "id": "x"}', Message("a", 86400.0, "x")),
        (b'{"text": "a", "time": null, "id": null, "more": [1]}', Message("a", NOW)),
        (b'["text"]', Message('["text"]', NOW)),
    ],
)
def test_messages(line: bytes, message: Message) -> None:
    assert read_line(line, "auto", NOW) == message


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"caf\xe9", "not UTF-8 (byte 3)"),
        (b'{"text": broken', "not JSON"),
        (b"{" * 50_000, "not JSON"),
        (b'{"a":' * 15_000, "not JSON"),
        (b'{"title": "a"}', "no {"),
        (b'{"text": 7}', "no {"),
        (b'{"text": "  "}', "an empty text"),
        (b'{"text": "a", "time": "yesterday"}', "a time"),
        (b'{"text": "a", "time": NaN}', "a time"),
        (b'{"text": "a", "time": 1e300}', "a time"),
        (b'{"text": "a", "time": ' + b"9" * 400 + b"}", "a time"),
        (b'{"text": "a", "time": true}', "a time"),
        (b'{"text": "a", "time": "0001-01-01"}', "a time"),
        (b'{"text": "a", "id": [1]}', "an id"),
        (b'{"text": "\\ud800"}', "half of a surrogate pair"),
        (b"a" * (LONGEST + 1), "longer than"),
    ],
)
def test_lines_that_are_no_message(line: bytes, reason: str) -> None:
    found = read_line(line, "auto", NOW)
    assert isinstance(found, Refused) and found.reason.startswith(reason)
    assert len(found.line) <= SHOWN


def test_forms() -> None:
    assert read_line(b"{a", "text", NOW) == Message("{a", NOW)
    assert isinstance(read_line(b"plain", "json", NOW), Refused)
    assert read_line(b" \t\r", "json", NOW) is None and read_line(b"", "auto", NOW) is None


@given(
    st.binary(max_size=60) | st.text(max_size=40).map(lambda t: json.dumps({"text": t, "time": t, "id": t}).encode())
)
def test_no_line_raises_and_every_message_can_be_kept(line: bytes) -> None:
    found = read_line(line, "auto", NOW)
    if isinstance(found, Message):
        f"{found.text}{found.id}".encode()
        assert told_time(found.time)


def test_times_are_read_as_they_are_told() -> None:
    assert read_time(told_time(1_772_323_200.0)) == 1_772_323_200.0
