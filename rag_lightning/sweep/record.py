"""What a sweep leaves in its folder: the question (``sweep.json``) and a record of each trial (``trials/KEY.json``).

Workers write records, each its own file and whole; whoever reads the folder may do so at any time.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rag_lightning.errors import UserError
from rag_lightning.report.files import write_json

# waiting: not begun; hopeless: stopped early, since others of the sweep are clearly better;
# refused: a mistake of the user's, found before anything was loaded.
State = Literal["waiting", "running", "finished", "hopeless", "failed", "refused", "stopped"]
QUESTION = "sweep.json"
TRIALS = "trials"


@dataclass(frozen=True)
class Question:
    """What a sweep was asked.

    Attributes:
        name: for people and dashboards.
        command: the command line that began it, without the interpreter.
        fixed: overrides that all trials share, as typed.
        swept: each swept key with the values or the range that were typed; ``seed`` may be one of them.
        total: trials that were asked for.
        task, headline: the task's name, and the metric that it is judged by, such as ``f1``.
        lower_is_better: of the headline.
    """

    name: str
    command: tuple[str, ...]
    fixed: tuple[str, ...]
    swept: Mapping[str, str]
    total: int
    task: str
    headline: str
    lower_is_better: bool = False


@dataclass(frozen=True)
class Record:
    """One trial, and how far it came.

    Attributes:
        key: of its overrides (:func:`key_of`), which names the record's file.
        number: its place in the sweep, from 0.
        overrides: all of them, as on the command line: these alone do the trial again.
        values: of the swept keys, as typed.
        fingerprint, folder: of the run; None before it was planned. Sweeps that share trials share the folder.
        state: see :data:`State`; ``reason`` says why, where it is no success.
        metrics: flat, such as ``test/f1``, ``probe/similarity/spearman/kept``.
        score: the validation headline.
        seconds: of training and evaluation.
        worker: who did it, as host:process.
        inputs: files that were read and their size and time of change (ns): what is finished stays so while
            these are as they were.
        origin: what else a result hangs on: package version, content of conf/, working directory.
        broken: workers that died over it since the sweep was last begun.
    """

    key: str
    number: int
    overrides: tuple[str, ...]
    values: Mapping[str, str]
    state: State = "waiting"
    reason: str | None = None
    fingerprint: str | None = None
    folder: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    seconds: float = 0.0
    time: str = ""
    worker: str = ""
    inputs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    origin: str = ""
    broken: int = 0


def key_of(overrides: Sequence[str]) -> str:
    """Sixteen hexadecimal digits for overrides, in whatever order they were typed."""
    return hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:16]


def write_question(folder: Path, question: Question) -> None:
    write_json(folder / QUESTION, asdict(question))


def read_question(folder: Path) -> Question:
    """What the sweep in this folder was asked.

    Raises:
        UserError: if there is no sweep.
    """
    try:
        given = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
        return Question(**{**given, "command": tuple(given["command"]), "fixed": tuple(given["fixed"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        others = sorted(str(path.parent) for path in folder.parent.glob(f"*/{QUESTION}"))[:8]
        begin = "Begin one with python -m rag_lightning.train -m optimizer.lr=1e-5,3e-5."
        remedy = f"Sweeps beside it: {', '.join(others)}." if others else begin
        raise UserError(f"not a sweep's folder ({error})", where=str(folder), remedy=remedy) from None


def write_record(folder: Path, record: Record) -> None:
    (folder / TRIALS).mkdir(parents=True, exist_ok=True)
    write_json(folder / TRIALS / f"{record.key}.json", asdict(record))


def read_record(folder: Path, key: str) -> Record | None:
    """A trial's record, or None if there is none that can be read."""
    return _read(folder / TRIALS / f"{key}.json")


def read_records(folder: Path) -> list[Record]:
    """All records of a sweep, in the order of the trials."""
    return sorted(_records(folder), key=lambda record: record.number)


def _records(folder: Path) -> Iterator[Record]:
    for file in (folder / TRIALS).glob("*.json"):
        if (record := _read(file)) is not None:
            yield record


def _read(file: Path) -> Record | None:
    try:
        given: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        inputs = {path: (int(size), int(changed)) for path, (size, changed) in given.get("inputs", {}).items()}
        return Record(**{**given, "overrides": tuple(given["overrides"]), "inputs": inputs})
    except (OSError, ValueError, TypeError, KeyError):
        return None
