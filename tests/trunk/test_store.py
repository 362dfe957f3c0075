"""Entries of states: whole or not at all, made anew when damaged, within a limit, shared by processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rag_lightning.trunk import store
from rag_lightning.trunk.states import PackedStates
from rag_lightning.trunk.store import META, VALUES, Shape, make_room, opened

STARTS = np.array([0, 2, 5])
SHAPE = Shape(5, 3, torch.bfloat16, torch.float32)


def numbers(packed: PackedStates) -> None:
    packed.values.copy_(torch.arange(15.0).view(5, 3))


def get(root: Path, name: str = "a", fill: Callable[[PackedStates], None] = numbers) -> tuple[PackedStates, bool]:
    return opened(root, name, SHAPE, STARTS, fill)


def refuse(packed: PackedStates) -> None:
    raise AssertionError("made again")


def test_made_once_and_found_ever_after(tmp_path: Path) -> None:
    made, was_there = get(tmp_path)
    found, is_there = get(tmp_path, fill=refuse)
    assert (was_there, is_there) == (False, True)
    assert torch.equal(made.values, found.values)
    assert found.values.dtype == torch.bfloat16
    assert found.gather([1]).dtype == torch.float32


@pytest.mark.parametrize("damage", ["a bit", "the end", "the description"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    get(tmp_path)
    file = tmp_path / "a" / (META if damage == "the description" else VALUES)
    content = bytearray(file.read_bytes())
    if damage == "a bit":
        content[7] ^= 1
    file.write_bytes(content[: -(len(content) // 2)] if damage != "a bit" else content)
    again, was_there = get(tmp_path)
    assert not was_there
    assert again.values.flatten().tolist() == list(range(15))


def test_an_interrupted_making_leaves_nothing(tmp_path: Path) -> None:
    def crash(packed: PackedStates) -> None:
        numbers(packed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(tmp_path, fill=crash)
    assert not list(tmp_path.glob("**/states.bin"))


def test_what_a_killed_process_left_goes_and_what_is_being_made_stays(tmp_path: Path) -> None:
    for name in ("dead", "busy"):
        (tmp_path / f".{name}-x1").mkdir()
    with store.FileLock(str(tmp_path / "busy.lock")):
        make_room(tmp_path, 0, 1 << 30)
    assert [each.name for each in tmp_path.glob(".*-*")] == [".busy-x1"]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "older", "kept")):
        get(tmp_path, name)
        os.utime(tmp_path / name / META, (1e9 - age, 1e9 - age))
    get(tmp_path, "older", refuse)  # which is a use
    make_room(tmp_path, SHAPE.size, 3 * SHAPE.size, keep={"kept"})
    assert sorted(each.parent.name for each in tmp_path.glob(f"*/{META}")) == ["kept", "older"]
    make_room(tmp_path, 2 * SHAPE.size, 3 * SHAPE.size)
    assert [each.parent.name for each in tmp_path.glob(f"*/{META}")] == ["older"]


def test_states_in_use_stay_readable_when_their_entry_goes(tmp_path: Path) -> None:
    packed, _ = get(tmp_path)
    make_room(tmp_path, 1, 1)
    assert not (tmp_path / "a").exists()
    assert packed.gather([0])[0].flatten().tolist() == list(range(6))


def test_a_full_disk_is_an_error_and_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_allocate", full)
    with pytest.raises(OSError, match="No space"):
        get(tmp_path)
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_two_processes_make_an_entry_once(tmp_path: Path) -> None:
    work = (
        "import sys, time, pathlib; sys.path[:0] = ['tests/trunk', 'tests']\n"
        "import test_store as t\n"
        "def slow(packed):\n"
        "    with open(sys.argv[1] + '/made', 'a') as file: file.write('x')\n"
        "    time.sleep(0.5); t.numbers(packed)\n"
        "print(t.get(pathlib.Path(sys.argv[1]), fill=slow)[0].values.sum().item())"
    )
    command = [sys.executable, "-c", work, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert outputs == ["105.0", "105.0"]
    assert (tmp_path / "made").read_text() == "x"
