"""``train([...])`` end to end: what it writes, how it refuses bad data, and that the process stays as it was."""

import errno
import gc
import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rag_lightning.errors import UserError
from rag_lightning.model.load import load_network
from rag_lightning.train import train
from rag_lightning.training import atomic, build
from rag_lightning.training.module import FineTuning

Overrides = Callable[..., list[str]]
GOOD = "Ada B-PER\nlived O\nin O\nLondon B-LOC\n. O\n"

pytestmark = pytest.mark.usefixtures("no_pictures")


def write(folder: Path, **splits: str | bytes) -> Path:
    """``train.conll`` and so on; what is not given is good."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        content = splits.get(split, GOOD)
        (folder / f"{split}.conll").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def refused(tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The sentence that a run is refused with; before weights are loaded, and with nothing half-written."""

    def refuse(*more: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(build, "load_network", lambda *_, **__: pytest.fail("the weights were loaded"))
            with pytest.raises(UserError) as caught:
                train(tiny_run(*more))
        assert caught.value.remedy, str(caught.value)
        for folder in (tmp_path / "runs").glob("*"):
            left = {path.name for path in folder.rglob("*") if path.is_file()} - {".lock"}
            assert left <= {"config.yaml", "run.json", "status.json"}, left
            assert json.loads((folder / "status.json").read_text())["state"] == "failed"
        cache = Path(os.environ["RAG_LIGHTNING_CACHE"]) / "encoded"
        assert not list(cache.glob(".*")), "a half-written cache entry"
        return str(caught.value)

    return refuse


def test_a_run_leaves_a_report_scores_predictions_and_a_model(tiny_run: Overrides) -> None:
    result = train(tiny_run())
    names = {path.name for path in result.folder.iterdir()}
    assert {"report.md", "metrics.json", "predictions.jsonl", "history.jsonl", "config.yaml", "status.json"} <= names
    assert not {name for name in names if name.startswith((".", "check")) and name != ".lock"}
    assert (
        result.metrics["test/f1"] == json.loads((result.folder / "metrics.json").read_text())["metrics"]["test"]["f1"]
    )
    assert result.score == result.metrics["validation/f1"]
    lines = (result.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 8
    for row in rows:
        assert len(row["tokens"]) == len(row["gold"]) == len(row["predicted"]) == len(row["confidence"])
        assert all(0 < confidence <= 1 for confidence in row["confidence"])
    assert {p.name for p in (result.folder / "model").iterdir()} >= {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    weights = load_file(result.folder / "model" / "model.safetensors")
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": "Ada B-PER\nlived\n"}, ("train.conll:2", "column")),
        ({"train": GOOD + "Rome\tB-LOC\nis O\n"}, ("train.conll", "tab")),
        (
            {"train": "Ada X-PER\nlived O\n"},
            ("train.conll:1", "the tag 'X-PER' has the prefix X-", "Known schemes: IOB1, IOB2"),
        ),
        ({"train": "Ada PER-B\nlived O\n"}, ("train.conll:1", "PER-B")),
        ({"test": "Ada B-PER\nin O\nKPMG B-ORG\n"}, ("test.conll", "'ORG'", "'task.labels=[LOC,PER,ORG]'")),
        ({"train": ""}, ("train.conll", "the file is empty")),
        ({"test": "\n\n  \n"}, ("test.conll", "the file is empty")),
        ({"train": "Köln B-LOC\n".encode("latin-1")}, ("train.conll:1", "not UTF-8", "data.encoding=latin-1")),
        ({"train": b"Ada B-PER\nli\x00ved O\n"}, ("train.conll:2", "NUL")),
        ({"train": "Ada O\nlived O\n"}, ("no entity in the training data",)),
        ({"train": "Ada 1\nlived 0\n"}, ("train.conll:1", "data.label_names")),
    ],
)
def test_bad_columns_are_told_with_file_and_line(
    splits: dict[str, Any], said: tuple[str, ...], refused: Callable[..., str], tmp_path: Path
) -> None:
    sentence = refused(f"data.path={write(tmp_path / 'bad', **splits)}")
    assert all(part in sentence for part in said), sentence


def test_a_line_of_200000_characters_is_no_trouble(tiny_run: Overrides, tmp_path: Path) -> None:
    folder = write(tmp_path / "long", train=GOOD + "\n" + "x" * 200_000 + " O\nParis B-LOC\n")
    metrics = train(tiny_run(f"data.path={folder}")).metrics
    assert "test/f1" in metrics


def test_windows_line_ends_and_byte_order_marks_change_nothing(
    tiny_run: Overrides, small_data: Path, tmp_path: Path
) -> None:
    windows = tmp_path / "windows"
    windows.mkdir()
    for file in small_data.iterdir():
        text = file.read_text(encoding="utf-8")
        (windows / file.name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert train(tiny_run()).metrics == train(tiny_run(f"data.path={windows}")).metrics


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("train",), ("no training file", "data.files.train")),
        (("train", "validation", "test"), ("data.files",)),
    ],
)
def test_a_missing_training_file_is_told(
    missing: tuple[str, ...], said: tuple[str, ...], refused: Callable[..., str], small_data: Path
) -> None:
    for split in missing:
        (small_data / f"{split}.conll").unlink()
    sentence = refused()
    assert str(small_data) in sentence
    assert any(part in sentence for part in said), sentence


def test_a_missing_test_split_is_cut_from_train_and_said(
    tiny_run: Overrides, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_data / "test.conll").unlink()
    result = train(tiny_run())
    assert "The data have no test split" in capsys.readouterr().out
    assert "The data have no test split" in (result.folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"tokens": ["Ada"]}], (":1", "there is no `tags` or `ner_tags` for the tags")),
        ([{"tokens": ["Ada", "x"], "tags": ["O"]}], (":1", "2 tokens but 1 tags")),
        ([{"id": 1, "tokens": ["Ada"], "tags": ["B-PER"]}] * 2, (":2", "the id '1' stands twice, first at")),
        ([{"text": "Ada x", "spans": [{"start": 0, "end": 99, "label": "PER"}]}], (":1", "does not lie in the text")),
    ],
)
def test_bad_json_lines(
    rows: list[dict[str, Any]], said: tuple[str, ...], refused: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "my.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sentence = refused("data=jsonl", f"data.path={file}")
    assert file.name in sentence.partition(" ")[0]
    assert all(part in sentence for part in said), sentence


def test_a_path_that_is_not_there_is_told_with_what_is_near(refused: Callable[..., str], small_data: Path) -> None:
    assert f"Did you mean {small_data}?" in refused(f"data.path={small_data}x")


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (("tokenizer.json", "tokenizer_config.json", "vocab.txt"), "tokenizer"),
        (("model.safetensors",), "safetensors"),
        (("config.json",), "config.json"),
    ],
)
def test_a_model_folder_that_lacks_something(
    without: tuple[str, ...], said: str, refused: Callable[..., str], tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model, ignore=shutil.ignore_patterns(*without))
    sentence = refused(f"model.path={model}")
    assert said in sentence
    assert str(model) in sentence


def test_a_tokenizer_that_is_only_slow(refused: Callable[..., str], tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model, ignore=shutil.ignore_patterns("tokenizer*", "special*"))
    (model / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n東\n京\n", encoding="utf-8")
    (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertJapaneseTokenizer"}))
    sentence = refused(f"model.path={model}")
    assert "tokenizer" in sentence
    assert "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)" in sentence


def test_more_frozen_layers_than_there_are(refused: Callable[..., str]) -> None:
    assert "Cannot freeze 3 layers: this BERT model has 2. Choose a number from 0 to 2, half or all." in refused(
        "tuning.frozen_layers=3"
    )


def test_no_validation_split(refused: Callable[..., str], small_data: Path) -> None:
    (small_data / "validation.conll").unlink()
    sentence = refused("data.split.validation=0")
    assert sentence.startswith("data.split.validation: there is no validation split, by which the best weights are")


def test_a_metric_to_stop_by_that_does_not_exist(tiny_run: Overrides) -> None:
    with pytest.raises(UserError, match=r"callbacks: Early stopping .* `validation/foo`.*`validation/f1`"):
        train(tiny_run("callbacks=early_stopping", "callbacks.early_stopping.monitor=validation/foo"))


# --- trouble on the way -----------------------------------------------------------------------------------------


class _FullDisk:
    """A file that takes some bytes and then has no room."""

    def __init__(self, file: Any, room: int = 5000) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def test_a_full_disk_keeps_the_checkpoint_before_and_the_run_goes_on_later(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = tiny_run("checkpoint.every_steps=2", f"run.folder={tmp_path}/full")
    whole = train(tiny_run("checkpoint.every_steps=2", f"run.folder={tmp_path}/whole"))
    opened = []

    def full(path: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(Path(path).name)
        file = open(path, *args, **kwargs)  # noqa: SIM115 (the caller closes it)
        return _FullDisk(file) if len(opened) == 2 else file

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "open", full, raising=False)
        with pytest.raises(
            UserError, match=r"the disk is full \(.* MB free\), the checkpoint could not be written"
        ) as caught:
            train(overrides)
    assert caught.value.remedy
    checkpoints = tmp_path / "full" / "checkpoints"
    assert [path.name for path in checkpoints.glob("step-*.ckpt")] == ["step-00000002.ckpt"]
    assert not list(checkpoints.glob("*.part"))
    result = train(overrides)
    assert result.metrics == whole.metrics


def test_a_disk_that_is_really_full(tiny_run: Overrides, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        with pytest.raises(UserError, match="the disk is full"):
            train(tiny_run("checkpoint.every_steps=1", f"run.folder={disk}/run"))
        assert not list(disk.rglob("*.part"))
        assert json.loads((disk / "run" / "status.json").read_text())["state"] in ("failed", "running")
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_loss_that_is_no_number_says_where_and_keeps_the_good_checkpoint(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    folder = tmp_path / "nan"
    overrides = tiny_run("checkpoint.every_steps=1", f"run.folder={folder}")
    forward, seen = FineTuning.forward, [0]

    def sick(self: FineTuning, batch: Any) -> Any:
        logits = forward(self, batch)
        if self.training:
            seen[0] += 1
        return logits * float("nan") if seen[0] == 3 and self.training else logits

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "forward", sick)
        outcome = run("train", *overrides)
    assert outcome.code == 2
    assert "epoch 0, batch 2: the loss is not a finite number (examples train.conll:" in outcome.err
    assert "The last good checkpoint is kept. Lower optimizer.lr" in outcome.err
    assert "Traceback" not in outcome.err
    points = sorted(path.name for path in (folder / "checkpoints").glob("step-*.ckpt"))
    assert points == ["step-00000001.ckpt", "step-00000002.ckpt"]
    state = torch.load(folder / "checkpoints" / points[-1], weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in state["state_dict"].values())
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    assert "test/f1" in train(overrides).metrics  # the sickness was not in the data: it goes on


def test_a_learning_rate_that_explodes_is_told(tiny_run: Overrides) -> None:
    with pytest.raises(UserError, match="the loss is not a finite number"):
        train(tiny_run("optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant", "trainer.gradient_clip_val=0"))
    assert "test/f1" in train(tiny_run("optimizer=sgd", "optimizer.lr=1e-3", "scheduler=constant")).metrics


# --- twice in one process ---------------------------------------------------------------------------------------


@pytest.fixture
def process_state() -> Iterator[Callable[[], dict[str, Any]]]:
    def state() -> dict[str, Any]:
        roots = ("rag_lightning", "pytorch_lightning", "lightning_fabric", "transformers", "hydra", "wandb")
        return {
            "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)},
            "threads": torch.get_num_threads(),
            "grad": torch.is_grad_enabled(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "dtype": torch.get_default_dtype(),
            "precision": torch.get_float32_matmul_precision(),
            "filters": len(warnings.filters),
            "handlers": {name: len(logging.getLogger(name).handlers) for name in ("", *roots)},
            "directory": os.getcwd(),
            "environment": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
            "random": torch.get_rng_state().tolist(),
        }

    # Libraries set variables of the environment when they are first imported, which is not a run's doing.
    for module in ("rag_lightning.training.run", "rag_lightning.tasks.ner"):
        importlib.import_module(module)
    yield state


def test_a_second_run_in_the_process_finds_it_as_the_first_did(
    tiny_run: Overrides, tmp_path: Path, process_state: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Any]] = []
    made = FineTuning.__init__

    def noted(self: FineTuning, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        alive.append(weakref.ref(self))

    monkeypatch.setattr(FineTuning, "__init__", noted)
    train(tiny_run(f"run.folder={tmp_path}/warm"))  # imports leave handlers and filters of their own, once
    torch.manual_seed(7)
    before = process_state()
    first = train(tiny_run(f"run.folder={tmp_path}/first"))
    after = process_state()
    assert {key for key in before if before[key] != after[key]} == set()
    second = train(tiny_run(f"run.folder={tmp_path}/second", "seed=2"))
    assert second.metrics != first.metrics
    third = train(tiny_run(f"run.folder={tmp_path}/third"))
    assert third.metrics == first.metrics
    gc.collect()
    assert len(alive) == 4
    assert [reference() for reference in alive] == [None] * 4, "networks of earlier runs stay in memory"


def test_a_failed_run_leaves_the_process_as_it_was(
    tiny_run: Overrides, process_state: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(FineTuning, "training_step", broken)
    before = process_state()
    with pytest.raises(RuntimeError, match="a defect"):
        train(tiny_run())
    after = process_state()
    assert {key for key in before if before[key] != after[key]} <= {"random"}


def test_loading_a_network_leaves_the_random_numbers_alone(tiny_model: Path) -> None:
    from rag_lightning.model.options import ModelConfig

    state = torch.get_rng_state()
    load_network(tiny_model, "token_labels", ("O", "B-X", "I-X"), ModelConfig(name="x", path=tiny_model), 3)
    assert torch.equal(state, torch.get_rng_state())
