"""Sweeps in tests: their records, without what differs between two times."""

from dataclasses import replace
from pathlib import Path

from rag_lightning.sweep.record import QUESTION, Record, read_records


def sweep_folder(runs: Path) -> Path:
    """The one sweep under an output_dir."""
    (question,) = (runs / "sweeps").glob(f"*/{QUESTION}")
    return question.parent


def records_of(runs: Path) -> list[Record]:
    return read_records(sweep_folder(runs))


def states(runs: Path) -> list[str]:
    return [record.state for record in records_of(runs)]


def timeless(records: list[Record]) -> list[Record]:
    """The records without times, processes, and measured speeds."""
    return [
        replace(
            record, time="", worker="", seconds=0.0, broken=0, inputs={}, origin="",
            folder=Path(record.folder).name if record.folder else None,
            metrics={k: v for k, v in record.metrics.items() if "second" not in k and "throughput" not in k},
        )
        for record in records
    ]  # fmt: skip
