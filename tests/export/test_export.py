"""``python -m rag_lightning.export``: folders that answer as the run does, or are refused in words."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Command
from tiny import sample_overrides
from tiny_runs import KINDS

from rag_lightning.errors import UserError
from rag_lightning.export.__main__ import export
from rag_lightning.export.runtime import load
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.train import train

RunOf = Callable[[str], Path]
FEW = "examples=24"


def predicted(run: Path, given: list[Any]) -> list[dict[str, Any]]:
    saved = load_run(str(run))
    form = saved.task
    records = [form.read_text(one) if isinstance(one, str) else form.read_fields(one, "x") for one in given]  # type: ignore[misc]
    return list(Predictor(saved, device="cpu", accelerated=False).answers(records))


def alike(one: Any, other: Any) -> bool:
    """Equal but for the rounding of probabilities."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == pytest.approx(other, abs=2e-4) if isinstance(one, float) else one == other


@pytest.mark.parametrize("kind", ["tags with rules", pytest.param("tags", marks=pytest.mark.slow)])
@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_tags(kind: str, format: str, run_of: RunOf, tmp_path: Path) -> None:
    made = export([f"run={run_of(kind)}", f"format={format}", f"output={tmp_path / 'out'}", FEW])
    assert made.difference is not None and made.difference.logits < 1e-4
    assert made.difference.answers == 1.0
    texts = ["Ada Lovelace lived in London.", "", "Nokia Corp. and Siemens AG [SEP] of 東京", "word " * 150]
    model = load(made.folder)
    assert alike([model.answer(text) for text in texts], predicted(run_of(kind), texts))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("tags")])
@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_every_kind_of_answer(kind: str, format: str, run_of: RunOf, tmp_path: Path) -> None:
    made = export([f"run={run_of(kind)}", f"format={format}", f"output={tmp_path / 'out'}", FEW])
    assert made.difference is not None and made.difference.logits < 1e-4
    assert made.difference.answers == 1.0
    example = load_run(str(run_of(kind))).task.example
    given = [example, f"{example} And more."]
    model = load(made.folder)
    assert alike([model.answer(text) for text in given], predicted(run_of(kind), given))


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_folder_for_transformers_says_what_it_cannot_do(
    kind: str, run_of: RunOf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = export([f"run={run_of(kind)}", f"output={tmp_path / 'out'}", FEW])
    assert (made.folder / "README.md").is_file() and (made.folder / "config.json").is_file()
    told = capsys.readouterr().out
    if kind in ("tags", "a label", "labels", "a label of a pair", "related", "an answer"):
        assert made.difference is not None and made.difference.logits == 0
    else:
        assert "not with transformers alone" in told
    if "rules" in kind:
        assert (made.folder / "rules.yaml").is_file() and (made.folder / "template.json").is_file()


WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = sys.modules["transformers"] = None  # an import of them fails
from rag_lightning.export.runtime import load
model = load(sys.argv[1])
print(json.dumps([model.answer(text) for text in json.loads(sys.argv[2])]))
"""


@pytest.mark.slow
def test_onnx_needs_no_torch(run_of: RunOf, tmp_path: Path) -> None:
    kind = "tags with rules"
    made = export([f"run={run_of(kind)}", "format=onnx", f"output={tmp_path / 'out'}", FEW])
    texts = ["Ada Lovelace lived in London.", "The United Nations met in Geneva ."]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(made.folder), json.dumps(texts)], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert alike(json.loads(done.stdout), predicted(run_of(kind), texts))


@pytest.mark.slow
def test_eight_bits_are_smaller_and_checked(run_of: RunOf, tmp_path: Path) -> None:
    run = f"run={run_of('tags')}"
    whole = export([run, "format=onnx", f"output={tmp_path / 'whole'}", FEW])
    small = export([run, "format=onnx", "int8=true", f"output={tmp_path / 'small'}", FEW, "metric_tolerance=1"])
    sizes = [(made.folder / "model.onnx").stat().st_size for made in (whole, small)]
    assert sizes[1] < sizes[0]
    assert not list(small.folder.glob("whole*"))
    with pytest.raises(UserError, match="a logit differs by .* more than 1e-12; nothing was written"):
        export([run, "format=onnx", "int8=true", f"output={tmp_path / 'refused'}", FEW, "tolerance=1e-12"])
    assert not list(tmp_path.glob("refused*"))


@pytest.mark.slow
def test_a_place_that_is_taken(run_of: RunOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine").write_text("x")
    overrides = [f"run={run_of('tags')}", "format=torch", f"output={target}", FEW]
    with pytest.raises(UserError, match="there is something already"):
        export(overrides)

    def broken(*_: Any) -> None:
        raise UserError("no", where="here")

    with monkeypatch.context() as patch:
        patch.setattr("rag_lightning.export.run.check", broken)
        with pytest.raises(UserError, match="no"):
            export([*overrides, "force=true"])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (target / "mine").is_file()
    export([*overrides, "force=true"])
    assert not (target / "mine").exists()
    assert (target / "model.pt2").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


class _Touch:
    """What makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_a_program_whose_sample_inputs_are_code_is_not_read(run_of: RunOf, tmp_path: Path) -> None:
    made = export([f"run={run_of('tags')}", "format=torch", f"output={tmp_path / 'out'}", FEW])
    file, harm = made.folder / "model.pt2", io.BytesIO()
    torch.save((_Touch(tmp_path / "harm"),), harm)
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    [place] = [name for name in entries if "sample_inputs" in name]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, harm.getvalue() if name == place else content)
    with pytest.raises(UserError, match="pickled objects"):
        load(made.folder)
    assert not (tmp_path / "harm").exists()


def test_a_program_with_pickled_objects_is_not_read(run_of: RunOf, tmp_path: Path) -> None:
    made = export([f"run={run_of('tags')}", "format=torch", f"output={tmp_path / 'out'}", FEW])
    file = made.folder / "model.pt2"
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/data/constants/custom_obj_0", b"x")
    with pytest.raises(UserError, match="pickled objects"):
        load(made.folder)
    file.write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read"):
        load(made.folder)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("format=onxx", "there is no format 'onxx'. Did you mean onnx?"),
        ("int8=true", "format=hf keeps its weights in 32 bits"),
        ("examples=0", "examples must be greater than or equal to 1"),
        ("run=/nowhere", "not a run's folder"),
        ("+formt=x", "unknown key 'formt'. Did you mean format?"),
    ],
)
def test_mistakes_are_told(override: str, said: str, run_of: RunOf, run: Command) -> None:
    given = [] if override.startswith("run=") else [f"run={run_of('tags')}"]
    outcome = run("export", *given, override)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_what_writes_is_refused_and_told_what_else(run_of: RunOf) -> None:
    folder = run_of("a reply")
    with pytest.raises(UserError, match="writes text step by step.*Choose format=hf"):
        export([f"run={folder}", "format=onnx"])
    assert not list((folder / "export").iterdir())
    made = export([f"run={folder}", "format=hf"])
    assert made.difference is None and (made.folder / "model.safetensors").is_file()


@pytest.mark.slow
def test_nearest_examples_are_refused(tiny_model: Path, tmp_path: Path, no_pictures: None) -> None:
    more = ("trainer.max_steps=1", "template=nearest_examples")
    folder = train(sample_overrides("classification", tiny_model, tmp_path, *more)).folder
    with pytest.raises(UserError, match="nearest to each input"):
        export([f"run={folder}", "format=onnx"])
