"""Fixtures of the model tests: a tiny real model folder, and the optional folder of real models."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_tokenizer import word_piece_tokenizer
from transformers import BertConfig, BertForMaskedLM

sys.path.insert(0, str(Path(__file__).parent.parent))  # hub_server


@pytest.fixture(scope="session")
def shared() -> Path:
    """The optional folder of real data and models."""
    default = Path(__file__).parents[3] / "shared"
    folder = Path(os.environ.get("RAG_LIGHTNING_SHARED", default))
    if not (folder / "models").is_dir():
        pytest.skip("no folder of real models (RAG_LIGHTNING_SHARED)")
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random 2-layer BERT with its tokenizer; read only, copy it to change it."""
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = word_piece_tokenizer()
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def own_copy(model_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny model without some of its files."""

    def copy(*without: str) -> Path:
        target = tmp_path / "copy"
        target.mkdir()
        for file in model_folder.iterdir():
            if file.name not in without:
                (target / file.name).write_bytes(file.read_bytes())
        return target

    return copy


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LIGHTNING_CACHE", str(tmp_path / "cache"))
