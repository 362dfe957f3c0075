"""Entries of states on disk: whole or not at all, known by a digest, within a limit.

An entry is a folder named by the fingerprint of all that its states depend on. The time of change of its ``meta.json``
says when it was last used; when room is needed, what was used longest ago goes. A process that still has a file mapped
keeps its content until it is done (POSIX).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from rag_lightning.encoding.cache import cached
from rag_lightning.report.files import write_json
from rag_lightning.trunk.states import PackedStates, mapped

META, VALUES = "meta.json", "states.bin"
_SEEN: dict[Path, tuple[int, int, int]] = {}  # files whose digest was checked in this process, and what they were then


@dataclass(frozen=True)
class Shape:
    """What an entry holds.

    Attributes:
        tokens, width: of the array; ``stored`` is its dtype, ``given`` that in which the layers gave the states.
    """

    tokens: int
    width: int
    stored: torch.dtype
    given: torch.dtype

    @property
    def size(self) -> int:
        """In bytes."""
        return self.tokens * self.width * self.stored.itemsize


def opened(
    root: Path, fingerprint: str, shape: Shape, starts: np.ndarray, fill: Callable[[PackedStates], None]
) -> tuple[PackedStates, bool]:
    """An entry's states, made by ``fill`` if they are not there or are damaged.

    Returns:
        The states, and whether they had been there already.

    Raises:
        OSError: if they cannot be written, such as on a full disk.
    """

    def write(folder: Path) -> None:
        file = folder / VALUES
        with open(file, "wb") as opened_file:
            if shape.size:  # a full disk is told of here; in the midst of a mapping it would end the process
                _allocate(opened_file.fileno(), shape.size)
        fill(PackedStates(mapped(file, shape.tokens, shape.width, shape.stored, writes=True), starts, shape.given))
        write_json(folder / META, {**_described(shape), "sha256": _digest(file)})

    entry, found = cached(root, fingerprint, write, lambda folder: is_whole(folder, shape))
    with suppress(OSError):  # of another user: then it counts as used when it was made
        os.utime(entry / META)
    _note(entry / VALUES)
    values = mapped(entry / VALUES, shape.tokens, shape.width, shape.stored)
    return PackedStates(values, starts, shape.given), found


def is_whole(entry: Path, shape: Shape) -> bool:
    """Whether an entry holds what it was made with; the file is read once in a process."""
    file = entry / VALUES
    try:
        meta: dict[str, Any] = json.loads((entry / META).read_text(encoding="utf-8"))
        if {**_described(shape), "sha256": meta["sha256"]} != meta or file.stat().st_size != shape.size:
            return False
        if _SEEN.get(file) == _state_of(file):
            return True
        return bool(_digest(file) == meta["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def make_room(root: Path, needed: int, limit: int, keep: Iterable[str] = ()) -> None:
    """Remove entries, those first that were used longest ago, until ``needed`` bytes fit under ``limit``.

    What killed processes left half-made goes too.

    Args:
        keep: names of entries that stay in any case.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(str(root / ".room.lock")):
        _clear_leftovers(root)
        entries = sorted(_entries(root))
        total = sum(size for _, _, size in entries)
        for _, folder, size in entries:
            if total + needed <= limit:
                return
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def holds(root: Path, fingerprint: str) -> bool:
    """Whether there is an entry of this fingerprint, whole or damaged."""
    return (root / fingerprint / META).is_file()


def _entries(root: Path) -> Iterable[tuple[int, Path, int]]:
    """When each entry was last used, its folder, its bytes."""
    for meta in root.glob(f"[!.]*/{META}"):
        with suppress(OSError):  # another process removes it
            yield meta.stat().st_mtime_ns, meta.parent, (meta.parent / VALUES).stat().st_size


def _clear_leftovers(root: Path) -> None:
    for folder in root.glob(".*-*/"):
        lock = FileLock(str(root / f"{folder.name[1:].partition('-')[0]}.lock"))
        with suppress(Timeout), lock.acquire(timeout=0):  # else it is being made
            shutil.rmtree(folder, ignore_errors=True)


def _described(shape: Shape) -> dict[str, Any]:
    stored, given = (str(each).removeprefix("torch.") for each in (shape.stored, shape.given))
    return {"tokens": shape.tokens, "width": shape.width, "stored": stored, "given": given}


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _digest(file: Path) -> str:
    with open(file, "rb") as opened_file:
        return hashlib.file_digest(opened_file, "sha256").hexdigest()


def _state_of(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _note(file: Path) -> None:
    _SEEN[file] = _state_of(file)
