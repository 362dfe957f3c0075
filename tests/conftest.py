"""Fixtures for all tests: a tiny real model, small data, the optional folder of real data."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from command_line import Command, command
from tiny import SAMPLE, tiny_overrides, write_small_data

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and models that may not be redistributed; tests that need them skip where they are absent."""
    folder = Path(os.environ.get("RAG_LIGHTNING_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no folder of real data and models (RAG_LIGHTNING_SHARED)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests write into folders of their own, and use one thread; also fixtures that many tests share do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("WANDB_SILENT", "true")
        gc.freeze()  # every run collects garbage at its end; the modules need not be searched each time
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
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
    return write_small_data(tmp_path / "data")


@pytest.fixture
def tiny_run(tiny_model: Path, small_data: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Overrides of a training that takes a second; further ones may be given."""

    def overrides(*more: str) -> list[str]:
        return tiny_overrides(tiny_model, small_data, tmp_path / "runs", *more)

    return overrides


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command as typed, such as ``run("train", "task=ner")``, in this process."""
    return command(monkeypatch, capsys)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without PNGs, which take longer than a tiny training."""
    for name in ("plot_curves", "plot_confusion"):
        monkeypatch.setattr(f"rag_lightning.report.write.{name}", lambda *_, **__: None)
