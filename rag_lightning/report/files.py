"""Machine-readable results, written so that a reader never sees half a file."""

import json
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from rag_lightning.report.info import RunInfo, file_name, main_evaluation
from rag_lightning.tasks.evaluation import Evaluation


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``path`` whole or not at all: a crash leaves the former file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Like :func:`write_bytes`, as UTF-8; lone surrogates become ``\\udXXX``, as JSON escapes them."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """JSON that every parser reads: NaN and infinities become null."""
    write_text(path, json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def dump_yaml(value: Any) -> str:
    """Plain data as YAML in their own order, by libyaml where it is there (ten times as fast)."""
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 120}
    try:
        return str(yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), **options))
    except UnicodeError:  # libyaml has no form for a lone surrogate
        return str(yaml.safe_dump(value, **options))


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line."""
    lines = (_line(row) for row in rows)
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_metrics(folder: Path, info: RunInfo, evaluations: list[Evaluation]) -> None:
    """``metrics.json``: the run's identity, the headline score, every split's metrics and those of the probes."""
    main = main_evaluation(evaluations)
    result: dict[str, Any] = {
        "name": info.name,
        "fingerprint": info.fingerprint,
        "task": info.task,
        "model": info.model,
        "data": info.data,
        "seed": info.seed,
        "parameters": info.n_parameters,
        "trainable": info.n_trainable,
        "duration_s": info.duration_s,
        "best_epoch": info.best_epoch,
        "split_sizes": info.split_sizes,
        "headline": None,
        "metrics": {evaluation.split: evaluation.metrics for evaluation in evaluations},
        "versions": info.versions,
    }
    if info.knowledge is not None:
        result["metrics"]["probe"] = info.knowledge.metrics()
    if main is not None:
        result["headline"] = {
            "split": main.split,
            "name": main.headline,
            "value": main.metrics.get(main.headline),
        }
    write_json(folder / "metrics.json", result)


def write_predictions(folder: Path, evaluations: list[Evaluation]) -> None:
    """``predictions.jsonl`` of the main evaluation, ``predictions-<split>.jsonl`` of the others."""
    for evaluation in evaluations:
        if evaluation.predictions:
            name = file_name("predictions", ".jsonl", evaluation, evaluations)
            write_jsonl(folder / name, evaluation.predictions)


def _line(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a number that JSON has no form for; looking for one in every row takes longer than writing
        return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
