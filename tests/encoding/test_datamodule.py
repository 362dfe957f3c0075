"""The DataModule: encodes once, notices what changed, deals batches out fairly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rag_lightning.config.compose import compose
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.encoding.loader import EncodedDataset
from rag_lightning.training.build import build_data
from rag_lightning.training.plan import make_plan

Overrides = Callable[..., list[str]]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the splits that were encoded, as it happens."""
    seen: list[str] = []
    original = GuidedDataModule._columns

    def noted(self: GuidedDataModule, split: str, *rest: object) -> object:
        seen.append(split)
        return original(self, split, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(GuidedDataModule, "_columns", noted)
    return seen


def build(overrides: list[str]) -> GuidedDataModule:
    return build_data(make_plan(compose("train", overrides)))


def test_the_second_start_encodes_nothing(
    tiny_run: Overrides, encoded: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "cache"))
    first = build(tiny_run())
    assert encoded == ["train", "validation", "test"]
    second = build(tiny_run("optimizer.lr=1e-2", "batching.size=3"))
    assert len(encoded) == 3, "neither learning rate nor batches concern the encoding"
    assert [len(second.splits[s]) for s in second.splits] == [len(first.splits[s]) for s in first.splits]
    build(tiny_run("task.subwords=first"))
    build(tiny_run("model.max_length=32"))
    assert len(encoded) == 9


def test_changed_data_are_encoded_anew(
    tiny_run: Overrides, encoded: list[str], small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "cache"))
    build(tiny_run())
    file = small_data / "test.conll"
    file.write_text(file.read_text(encoding="utf-8") + "\nOslo B-LOC\n", encoding="utf-8")
    data = build(tiny_run())
    assert len(encoded) == 6
    assert data.splits["test"].records[-1]["tokens"] == ["Oslo"]


def test_a_failed_encoding_leaves_no_cache_entry(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        patch.setattr(GuidedDataModule, "_columns", lambda *_: (_ for _ in ()).throw(OSError("broken")))
        with pytest.raises(OSError, match="broken"):
            build(tiny_run())
    assert [p.name for p in (tmp_path / "cache" / "encoded").iterdir() if p.is_dir()] == []
    assert len(build(tiny_run()).splits["train"]) >= 24


def test_batches_hold_what_the_network_needs(tiny_run: Overrides) -> None:
    data = build(tiny_run())
    total = 0
    for batch in data.train_dataloader():
        assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
        assert float(batch["normaliser"]) == float((batch["labels"] != -100).sum())
        padding = batch["attention_mask"] == 0
        assert (batch["input_ids"][padding] == data.words.tokenizer.pad_token_id).all()
        assert (batch["labels"][padding] == -100).all()
        total += len(batch["example"])
    assert total == len(data.splits["train"])


def test_devices_share_every_batch_and_its_normaliser(tiny_run: Overrides) -> None:
    data = build(tiny_run())
    split, padding = data.splits["train"], {**data.task.output.padding, "input_ids": 0}
    rows = [0, 3, 5, 6, 7]
    whole = EncodedDataset(split, padding).__getitems__(rows)
    shares = [EncodedDataset(split, padding, deal_out=True, rank=r, world_size=2).__getitems__(rows) for r in (0, 1)]
    assert sorted(torch.cat([share["example"] for share in shares]).tolist()) == sorted(whole["example"].tolist())
    assert all(float(share["normaliser"]) == float(whole["normaliser"]) / 2 for share in shares)
    idle = EncodedDataset(split, padding, deal_out=True, rank=1, world_size=2).__getitems__([4])
    assert (idle["labels"] == -100).all()


def test_a_loader_goes_on_at_its_position(tiny_run: Overrides) -> None:
    data = build(tiny_run())
    loader = data.train_dataloader()
    loader.plan.set_epoch(1)
    batches = [batch["example"].tolist() for batch in loader]
    stopped = data.train_dataloader()
    stopped.plan.set_epoch(1)
    iterator = iter(stopped)
    seen = [next(iterator)["example"].tolist() for _ in range(2)]
    resumed = data.train_dataloader()
    resumed.load_state_dict(stopped.state_dict())
    assert seen + [batch["example"].tolist() for batch in resumed] == batches
    assert np.array_equal(resumed.plan.lengths, loader.plan.lengths)


def test_text_that_the_backbone_cannot_read_is_told(tiny_run: Overrides, small_data: Path) -> None:
    assert not [note for note in build(tiny_run()).notes if "no token" in note]
    for file in small_data.glob("*.conll"):
        file.write_text("\n\n".join(["北 O\n京 B-LOC\n在 O"] * 24) + "\n", encoding="utf-8")
    (note,) = [note for note in build(tiny_run()).notes if "no token" in note]
    assert "60%" in note  # three of five: the first and the last token are special
