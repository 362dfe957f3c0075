"""``task=ner model=bert-base-cased`` through the real Hub client, against a server on this machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_server import HubServer, SilentServer, closed_port
from tiny import write_small_data

REPOSITORY = Path(__file__).parents[1]
NAME = "google-bert/bert-base-cased"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT base in small: the real vocabulary where it is at hand, two layers, random weights."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("published")
    shared = Path(os.environ.get("RAG_LIGHTNING_SHARED", REPOSITORY.parent / "shared"))
    real = shared / "models" / "bert-base-cased-tokenizer"
    source = real if real.is_dir() else tiny_model
    for file in source.iterdir():
        if "token" in file.name or file.name == "vocab.txt":
            shutil.copy(file, folder / file.name)
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
    return folder


class Outcome:
    def __init__(self, url: str, home: Path, *overrides: str) -> None:
        cleared = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        own = {"HF_ENDPOINT": url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "rag_lightning.train", "task=ner", "model=bert-base-cased", *overrides],
            cwd=REPOSITORY, env=cleared | own, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.seconds = time.monotonic() - began


def test_from_the_hub_then_from_the_cache(published: Path, tmp_path: Path) -> None:
    data = write_small_data(tmp_path / "data")
    where = ["data=conll", f"data.path={data}", f"output_dir={tmp_path}/runs"]
    overrides = [*where, "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    with HubServer({NAME: published}) as server:
        first = Outcome(server.url, tmp_path / "hf", *overrides)
        assert first.code == 0, first.err
        assert any(request.endswith("/model.safetensors") for request in server.requests)
    assert f"the Hugging Face Hub: {NAME} at c0ffee" in first.out
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("ner-bert-base-cased-")
    assert f"base_model: {NAME}" in (folder / "model" / "README.md").read_text(encoding="utf-8")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    again = Outcome(server.url, tmp_path / "hf", *overrides, "force=true")  # the server is gone
    assert again.code == 0, again.err
    assert again.seconds < first.seconds + 20
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder.name]
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"] == metrics["metrics"]


@pytest.mark.slow
def test_without_the_hub_it_is_told_within_20_seconds(tmp_path: Path) -> None:
    refused = Outcome(closed_port(), tmp_path / "hf", f"output_dir={tmp_path}/runs")
    with SilentServer() as server:
        silent = Outcome(server.url, tmp_path / "hf2", f"output_dir={tmp_path}/runs")
    for outcome in (refused, silent):
        assert outcome.code == 2
        assert outcome.err.startswith(f"error: model.name: The model '{NAME}' is not in the local cache and cannot be")
        for instead in ("model.path=FOLDER", "model=minilm", "HF_ENDPOINT"):
            assert instead in outcome.err
        assert outcome.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
    # A refusal comes at once, so its time is the start of Python and torch, which other processes may slow down.
    assert silent.seconds < refused.seconds + 12
