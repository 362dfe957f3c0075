"""Read back what W&B wrote offline: the ``.wandb`` file is a LevelDB log of protobuf records.

wandb 0.31 has no Python reader of its own any more, so the framing is read here: a header of 7 bytes, then
blocks of 32 KiB with records of (crc32, length, type), where type 1 is a whole record and 2, 3, 4 its first,
middle and last part.
"""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

HEADER, BLOCK, FRAME = 7, 32_768, struct.Struct("<IHB")
WHOLE, FIRST, LAST = 1, 2, 4


@dataclass
class OfflineRun:
    """One offline run.

    Attributes:
        metrics: metric name -> the summaries that ``define_metric`` asked for, such as ``{"max", "last"}``.
        artifacts: ``{"name", "type", "files"}`` each, W&B's own tables (type ``run_table``) included.
        exit_code: None where the run was not finished.
    """

    folder: Path
    id: str = ""
    name: str = ""
    group: str = ""
    project: str = ""
    entity: str = ""
    notes: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, set[str]] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None

    def keys(self) -> set[str]:
        """Every name that was logged to the history."""
        return {name for row in self.history for name in row}

    def values(self, name: str) -> list[Any]:
        """The history of one name."""
        return [row[name] for row in self.history if name in row]

    def table(self, name: str) -> dict[str, Any]:
        """The last table logged under ``name``: ``{"columns": [...], "data": [[...]]}``."""
        entry = self.values(name)[-1]
        return dict(json.loads((self.folder / "files" / entry["path"]).read_text(encoding="utf-8")))

    def artifacts_of(self, kind: str) -> list[dict[str, Any]]:
        return [artifact for artifact in self.artifacts if artifact["type"] == kind]


def read_offline_runs(folder: Path) -> list[OfflineRun]:
    """All offline runs below ``folder``, in the order in which they were started."""
    files = sorted(path for path in folder.rglob("offline-run-*/*.wandb") if not path.parent.is_symlink())
    return [read_offline_run(path) for path in files]


def read_offline_run(path: Path, timeout: float = 10.0) -> OfflineRun:
    """The run in one ``.wandb`` file; waits for its end, because W&B writes in a process of its own."""
    deadline = time.monotonic() + timeout
    run = _read(path)
    while run.exit_code is None and time.monotonic() < deadline:
        time.sleep(0.05)
        run = _read(path)
    return run


def _read(path: Path) -> OfflineRun:
    run = OfflineRun(path.parent)
    for record in _records(path.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            _read_run(run, record.run)
        elif kind == "config":
            _assign_all(run.config, record.config.update)
        elif kind == "summary":
            _assign_all(run.summary, record.summary.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            _assign_all(row, record.history.item)
            run.history.append(row)
        elif kind == "metric":
            asked = record.metric.summary
            names = {name for name in ("min", "max", "mean", "last", "best") if getattr(asked, name)}
            run.metrics[record.metric.name or record.metric.glob_name] = names
        elif kind == "artifact":
            files = [entry.path for entry in record.artifact.manifest.contents]
            run.artifacts.append({"name": record.artifact.name, "type": record.artifact.type, "files": files})
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _read_run(run: OfflineRun, record: Any) -> None:
    run.id, run.name, run.group = record.run_id, record.display_name, record.run_group
    run.project, run.entity = record.project, record.entity
    run.notes, run.tags = record.notes, list(record.tags)
    _assign_all(run.config, record.config.update)


def _assign_all(target: dict[str, Any], items: Any) -> None:
    for item in items:
        place = target
        keys = list(item.nested_key) or [item.key]
        for key in keys[:-1]:
            inner = place.get(key)
            place[key] = place = inner if isinstance(inner, dict) else {}
        place[keys[-1]] = json.loads(item.value_json)


def _records(content: bytes) -> Iterator[Any]:
    assert content[:4] == b":W&B", "not a W&B file"
    position, parts = HEADER, b""
    while position + FRAME.size <= len(content):
        left = BLOCK - position % BLOCK
        if left < FRAME.size:
            position += left
            continue
        _, length, kind = FRAME.unpack_from(content, position)
        start = position + FRAME.size
        if kind == 0 or start + length > len(content):
            return
        parts = (b"" if kind in (WHOLE, FIRST) else parts) + content[start : start + length]
        position = start + length
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
