"""Fixtures for all tests: a tiny real model, small data, the optional folder of real data."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rag_lightning.data import samples

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLE = Path(samples.__path__[0]) / "ner"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and models that may not be redistributed; tests that need them skip where they are absent."""
    folder = Path(os.environ.get("RAG_LIGHTNING_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no folder of real data and models (RAG_LIGHTNING_SHARED)")
    return folder


@pytest.fixture(autouse=True)
def _no_traces(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests write into folders of their own, and use one thread."""
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT with a WordPiece vocabulary of the sample's words; a folder, read only."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    wordpiece = BertWordPieceTokenizer(lowercase=False)
    wordpiece.train([str(SAMPLE / "unlabelled.txt")], vocab_size=600, show_progress=False)
    tokenizer = BertTokenizerFast(tokenizer_object=wordpiece._tokenizer, model_max_length=64, do_lower_case=False)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    """A folder of CoNLL files: 24 + 8 + 8 sentences of the sample."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, size in (("train", 24), ("validation", 8), ("test", 8)):
        sentences = (SAMPLE / f"{split}.conll").read_text(encoding="utf-8").strip().split("\n\n")
        (folder / f"{split}.conll").write_text("\n\n".join(sentences[:size]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def tiny_run(tiny_model: Path, small_data: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Overrides of a training that takes a second; further ones may be given."""

    def overrides(*more: str, **changes: Any) -> list[str]:
        return [
            "model=local", f"model.path={tiny_model}", "model.name=tiny", "data=conll", f"data.path={small_data}",
            f"output_dir={tmp_path / 'runs'}", "trainer=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=1",
            "batching.size=6", "logger=none", "optimizer.lr=1e-3", *more,
        ]  # fmt: skip

    return overrides
