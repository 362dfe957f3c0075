"""Whatever is killed when: each message once, in order, with the charts and alerts of a run that nothing disturbed."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stub_monitor import STUB, config_of

from rag_lightning.errors import UserError
from rag_lightning.monitor import watching
from rag_lightning.monitor.state import State, opened
from rag_lightning.monitor.watching import watch

HERE = Path(__file__).parent
START = 1_772_323_200


def line(number: int, rng: random.Random) -> str:
    topic = rng.choice(["deals", "staff", "legal"])
    share = 0.5 if topic == "staff" and 200 <= number % 600 < 400 else 0.1
    text = f"{topic} {number} {'bad' if rng.random() < share else 'good'}"
    if number % 97 == 0:
        return "{" + text  # refused
    return json.dumps({"text": text, "time": START + 60 * number})


def all_of(state: State) -> dict[str, Any]:
    return {
        "messages": state.rows("SELECT * FROM messages ORDER BY number"),
        "charts": state.charts(),
        "alerts": state.alerts(),
        "refused": [(row["reason"], row["line"]) for row in state.refused()],
    }


def undisturbed(source: Path, folder: Path) -> dict[str, Any]:
    with opened(folder) as state:
        watch(config_of(str(source), folder), STUB, state)
        return all_of(state)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in path.read_text(encoding="utf-8").splitlines()]


def start(source: Path, folder: Path, *more: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stub_monitor.py"), str(source), str(folder), *more],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def is_read(source: Path, folder: Path) -> bool:
    """Whether the monitor has come to this file, behind those that were renamed before."""
    with closing(sqlite3.connect(folder / "monitor.sqlite")) as connection:
        [identity] = connection.execute("SELECT identity FROM positions").fetchone() or [None]
    return identity == f"{source.stat().st_dev}:{source.stat().st_ino}"


@pytest.mark.slow
def test_kills_at_random_moments_while_the_file_grows_and_is_rotated(tmp_path: Path) -> None:
    """SIGKILL, again and again, while lines come in pieces; the file is renamed, watched and unwatched."""
    rng = random.Random(5)
    lines = [line(number, rng) for number in range(1800)]
    written = "".join(each + "\n" for each in lines).encode()
    source, folder, whole = tmp_path / "news.jsonl", tmp_path / "watch", tmp_path / "whole.jsonl"
    whole.write_bytes(written)
    source.touch()
    kills = rotations = 0
    while written:
        process = start(source, folder, "follow")
        rotating = rotations < 4 and kills % 3 == 2
        size = rng.randrange(1, 9000)
        if rotating:  # a renamed file ends with a whole line, and the one before it has been read
            size = written.find(b"\n", size - 1) + 1
            while not is_read(source, folder):
                time.sleep(0.02)
        with open(source, "ab") as file:
            file.write(written[:size])
        written = written[size:]
        watched = bool(rotations % 2)
        for step in ("rename", "kill") if watched else ("kill", "rename"):
            if step == "kill":
                time.sleep(rng.uniform(0, 0.15))
                kill(process)
                kills += 1
            elif rotating:
                source.rename(tmp_path / f"news.jsonl.{rotations}")
                source.touch()
                rotations += 1
    with opened(folder) as state:
        watch(config_of(str(source), folder), STUB, state)
        found = all_of(state)
    assert kills >= 15 and rotations == 4
    assert found == undisturbed(whole, tmp_path / "other")
    assert len(found["messages"]) + len(found["refused"]) == 1800 and len(found["alerts"]) >= 4
    assert rows(folder / "alerts.jsonl") == found["alerts"]
    assert [(row["reason"], row["line"]) for row in rows(folder / "refused.jsonl")] == found["refused"]


class PowerCut(BaseException):
    """Nothing that follows is done."""


@pytest.mark.parametrize("statement", range(1, 40, 3))
def test_a_stop_at_any_statement(statement: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    source, folder = tmp_path / "news.jsonl", tmp_path / "watch"
    source.write_text("".join(line(number, rng) + "\n" for number in range(195, 300)))
    seen = 0

    class Cut(sqlite3.Connection):
        def executemany(self, *arguments: Any) -> sqlite3.Cursor:
            nonlocal seen
            seen += 1
            if seen == statement:
                self.rollback = lambda: None  # type: ignore[method-assign]
                raise PowerCut
            return super().executemany(*arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Cut, **k))
    with pytest.raises(PowerCut), opened(folder) as state:
        watch(config_of(str(source), folder), STUB, state)
    monkeypatch.setattr(sqlite3, "connect", connect)
    with opened(folder) as state:
        watch(config_of(str(source), folder), STUB, state)
        found = all_of(state)
    assert found == undisturbed(source, tmp_path / "other")


def test_an_alert_is_written_once_although_the_monitor_died_before_and_behind_it(tmp_path: Path) -> None:
    source, folder = tmp_path / "news.txt", tmp_path / "watch"
    source.write_text("staff 1 bad\n" * 50)
    found = undisturbed(source, folder)
    assert [alert["kind"] for alert in found["alerts"]] == ["surge"]
    file = folder / "alerts.jsonl"
    content = file.read_bytes()
    for left in (b"", content[:-30]):
        file.write_bytes(left)
        assert undisturbed(source, folder) == found
        assert file.read_bytes() == content


def test_messages_with_an_id_may_be_sent_again(tmp_path: Path) -> None:
    source, folder = tmp_path / "one.jsonl", tmp_path / "watch"
    source.write_text('{"text": "a 1", "id": 1}\n{"text": "a 1", "id": "1"}\n{"text": "a 2", "id": 2}\n\n')
    assert len(undisturbed(source, folder)["messages"]) == 2
    other = tmp_path / "two.jsonl"
    other.write_text('{"text": "a 2", "id": 2}\n{"text": "a 3", "id": 3}\n{"text": "a 3"}\n')
    assert [row[6] for row in undisturbed(other, folder)["messages"]] == ["a 1", "a 2", "a 3", "a 3"]
    with opened(folder) as state:
        assert state.counted("repeated") == 2 and state.counted("blank") == 1


def test_two_monitors_in_one_folder_and_other_settings_are_refused(tmp_path: Path) -> None:
    source, folder = tmp_path / "news.txt", tmp_path / "watch"
    source.write_text("staff 1 bad\n")
    undisturbed(source, folder)
    with opened(folder), pytest.raises(UserError, match="another monitor is at work"), opened(folder):
        pass
    other = config_of(str(source), folder, alert={"baseline": 0.3})
    with opened(folder) as state, pytest.raises(UserError, match="judged with another alert"):
        watch(other, STUB, state)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "monitor.sqlite").write_text("hello " * 500)
    with pytest.raises(UserError, match="state cannot be read"), opened(tmp_path):
        pass


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    rng = random.Random(4)
    source, folder = tmp_path / "news.jsonl", tmp_path / "watch"
    source.write_text("".join(line(number, rng) + "\n" for number in range(150, 400)))
    with opened(folder) as state:
        state.connection.execute(f"PRAGMA max_page_count = {state.rows('PRAGMA page_count')[0][0] + 2}")
        with pytest.raises(UserError, match="cannot be written .*full.*Make room"):
            watch(config_of(str(source), folder), STUB, state)
        assert 0 < state.count("messages") < 240
    with opened(folder) as state:
        watch(config_of(str(source), folder), STUB, state)
        found = all_of(state)
    assert found == undisturbed(source, tmp_path / "other")


def test_the_batches_make_no_difference(tmp_path: Path) -> None:
    rng = random.Random(2)
    source = tmp_path / "news.jsonl"
    source.write_text("".join(line(number, rng) + "\n" for number in range(150, 350)))
    found = []
    for batch in (1, 17, 1000):
        with opened(tmp_path / str(batch)) as state:
            watching.watch(config_of(str(source), tmp_path / str(batch), batch=batch), STUB, state)
            found.append(all_of(state))
    assert found[0] == found[1] == found[2]
