"""The Hub's way through the real huggingface_hub code, against a server on this machine.

Each start is a process of its own, as HF_ENDPOINT is read at import time.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hub_server import COMMIT, HubServer, SilentServer, closed_port
from transformers import BertConfig, BertForMaskedLM

NAME = "google-bert/bert-base-cased"
FETCH = """
import sys
from rag_lightning.errors import UserError
from rag_lightning.model import hub
known = ["google-bert/bert-base-cased", "openai-community/gpt2"]
revision = sys.argv[2] if len(sys.argv) > 2 else None
try:
    hub.fetch_config(sys.argv[1], revision, known=known)
    print(hub.fetch(sys.argv[1], revision, weights=True, code=False, known=known))
except UserError as error:
    sys.exit(str(error))
"""
RESOLVE = """
import sys
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.resolve import read_config, resolve
from rag_lightning.model.tokenizer import load_tokenizer
config = ModelConfig(name=sys.argv[1])
print(read_config(config).model_type)
found = resolve(config)
tokenizer = load_tokenizer(found.folder)
network = load_network(found.folder, "token_labels", ["O", "B-X"], config, 1)
print(found.origin)
print(tuple(network(**tokenizer("Paris .", return_tensors="pt")).logits.shape))
"""


@dataclass
class Outcome:
    code: int
    output: str
    error: str
    seconds: float


def start(program: str, url: str, home: Path, *arguments: str, **environment: str) -> Outcome:
    cleared = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    root = str(Path(__file__).parents[2])
    own = {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "RAG_LIGHTNING_CACHE": str(home / "own"),
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=cleared | own | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.strip(), done.stderr.strip(), time.monotonic() - begun)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """bert-base-cased with its real vocabulary where at hand, two random layers, and files not to fetch."""
    folder = tmp_path_factory.mktemp("served")
    default = Path(__file__).parents[3] / "shared"
    real = Path(os.environ.get("RAG_LIGHTNING_SHARED", default)) / "models" / "bert-base-cased-tokenizer"
    source = real if real.is_dir() else request.getfixturevalue("model_folder")
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if real.is_dir():
        torch.manual_seed(0)
        small = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 96}
        config = BertConfig.from_pretrained(folder, **small)
        BertForMaskedLM(config).save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"not to be fetched")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"not to be fetched")
    return folder


def test_download_then_cache_then_neither(served: Path, tmp_path: Path) -> None:
    with HubServer({NAME: served}) as server:
        first = start(RESOLVE, server.url, tmp_path, NAME)
        assert first.code == 0, first.error
        assert first.output.splitlines()[0] == "bert" and first.output.endswith("2)") and NAME in first.output
        fetched = {line.rsplit("/", 1)[1] for line in server.requests if line.startswith("GET") and "/resolve/" in line}
        assert "model.safetensors" in fetched and "pytorch_model.bin" not in fetched
        assert not any("onnx" in line for line in server.requests)
        before = len(server.requests)
        second = start(FETCH, server.url, tmp_path, NAME)
        assert second.code == 0, second.error
        again = [line for line in server.requests[before:] if "agent-harnesses" not in line]
        assert again == [f"GET /api/models/{NAME}"]  # one question, no file
        url = server.url
    third = start(FETCH, url, tmp_path, NAME)
    assert third.code == 0 and third.output == second.output, third.error
    offline = start(FETCH, url, tmp_path, NAME, HF_HUB_OFFLINE="1")
    assert offline.output == second.output
    pinned = start(FETCH, closed_port(), tmp_path, NAME, COMMIT)
    assert pinned.output == second.output


def test_the_rest_of_a_download_that_broke_off(served: Path, tmp_path: Path) -> None:
    with HubServer({NAME: served}) as server:
        assert start(FETCH, server.url, tmp_path, NAME).code == 0
        (weights,) = tmp_path.rglob("snapshots/*/model.safetensors")
        weights.resolve().unlink()
        weights.unlink()
        partial = start(FETCH, closed_port(), tmp_path, NAME)
        assert "only a part of it was downloaded before" in partial.error
        assert start(FETCH, server.url, tmp_path, NAME).code == 0


@pytest.mark.parametrize("kind", ["closed port", "offline"])
def test_no_hub_and_no_cache(kind: str, tmp_path: Path) -> None:
    offline = {"HF_HUB_OFFLINE": "1"} if kind == "offline" else {}
    outcome = start(FETCH, closed_port(), tmp_path, NAME, **offline)
    assert outcome.code == 1 and outcome.seconds < 20
    assert f"The model '{NAME}' is not in the local cache and cannot be downloaded" in outcome.error
    for way in ("model.path=FOLDER", "model=minilm", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        assert way in outcome.error
    assert "Traceback" not in outcome.error and len(outcome.error.splitlines()) == 1


@pytest.mark.slow
def test_a_server_that_never_answers(served: Path, tmp_path: Path) -> None:
    with SilentServer() as server:
        outcome = start(FETCH, server.url, tmp_path, NAME)
        assert outcome.code == 1 and "cannot be downloaded: no answer from" in outcome.error
        assert outcome.seconds < 20


def test_what_the_hub_refuses(served: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for file in served.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            (pickled / file.name).write_bytes(file.read_bytes())
    repositories = {"meta/gated": served, "old/pickled": pickled, "old/offered": pickled, NAME: served}
    cases = {
        ("google-bert/bert-base-casedd",): "no model .* on the Hub.*Did you mean google-bert/bert-base-cased",
        (NAME, "v9"): "has no revision 'v9'",
        ("meta/gated",): "gated.*hf auth login",
        ("old/pickled",): "only as pytorch_model.bin, a pickle.*model.path=FOLDER",
        ("old/offered",): "only as pytorch_model.bin.*model.revision=refs/pr/7",
        ("../etc",): "not a valid model name",
    }
    with HubServer(repositories, gated=("meta/gated",), conversions={"old/offered": 7}) as server:
        for number, (arguments, message) in enumerate(cases.items()):
            outcome = start(FETCH, server.url, tmp_path / str(number), *arguments)
            assert outcome.code == 1
            with pytest.raises(AssertionError, match=message):
                raise AssertionError(outcome.error)
