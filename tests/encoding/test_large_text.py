"""Running text is read, encoded and kept on disk in pieces: what stays in memory is a small share of it."""

import pickle
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from rag_lightning.config.compose import compose
from rag_lightning.data.json_lines import JsonLines
from rag_lightning.encoding import cache, datamodule
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.training.build import build_data
from rag_lightning.training.plan import make_plan

SENTENCE = "the snail had found it first and hare judge wood story beginning spring seed evening leaf"


def corpus(file: Path, paragraphs: int) -> Path:
    rng = random.Random(paragraphs)
    words = SENTENCE.split()
    lines = (" ".join(rng.choices(words, k=60)) + ("\n" if i % 5 else "\n\n") for i in range(paragraphs))
    file.write_text("".join(lines), encoding="utf-8")
    return file


def encoded(model: Path, file: Path) -> GuidedDataModule:
    return build_data(
        make_plan(
            compose(
                "train",
                [
                    "task=pretraining", "model=local", f"model.path={model}", "data=texts", f"data.path={file}",
                    "trainer=cpu", "model.max_length=64", "data.split.validation=0.02",
                    "data.split.test=0.02",
                ],
            )
        )
    )  # fmt: skip


@pytest.mark.slow
def test_memory_stays_small_while_text_grows(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LARGE_FILE", 0)
    monkeypatch.setattr(datamodule, "CHUNK", 50)
    monkeypatch.setattr("rag_lightning.data.running_text._AT_ONCE", 50)
    encoded(tiny_model, corpus(tmp_path / "warm.txt", 200))  # what is imported or kept once counts for neither
    peaks, kept = [], []
    for paragraphs in (500, 4000):
        file = corpus(tmp_path / f"{paragraphs}.txt", paragraphs)
        tracemalloc.start()
        data = encoded(tiny_model, file)
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        peaks.append(peak), kept.append(now)
        assert sum(len(split.records) for split in data.splits.values()) == paragraphs
        assert data.splits["train"].lengths.sum() > paragraphs * 50
    text = sum((tmp_path / f"{paragraphs}.txt").stat().st_size * sign for paragraphs, sign in ((4000, 1), (500, -1)))
    assert text > 1_000_000
    assert peaks[1] - peaks[0] < 0.5 * text and kept[1] - kept[0] < 0.2 * text


def test_json_lines_are_read_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_lightning.data.json_lines._BLOCK", 7)  # lines go over the borders of blocks
    rows: list[dict[str, Any]] = [{"id": str(i), "text": "ü\u2028" * i} for i in range(9)]
    file = tmp_path / "rows.jsonl"
    cache.write_split(
        tmp_path, "rows", rows, [{"input_ids": [[1]] * 9, "n_labels": [1] * 9, "example": list(range(9))}]
    )
    lines = JsonLines(file)
    assert list(lines) == rows == lines[:] and lines[3] == rows[3] and lines[-1] == rows[-1] and len(lines) == 9
    assert lines[7:2:-2] == rows[7:2:-2]
    with pytest.raises(IndexError):
        lines[9]
    file.rename(tmp_path / "moved.jsonl")  # what is open stays readable
    file.write_text('{"id": "other"}\n')
    assert lines[3] == rows[3] and list(pickle.loads(pickle.dumps(lines))) == [{"id": "other"}]
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert list(JsonLines(empty)) == [] and not JsonLines(empty)
