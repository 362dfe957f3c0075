"""``python -m rag_lightning.evaluate``: the run's own scores again, and those on other data."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import Command

from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.train import train

pytestmark = pytest.mark.usefixtures("no_pictures")
# Known sentences; that Oslo is a place the gold tags deny.
OTHER = """\
Peter B-PER
saw O
New B-LOC
York I-LOC
. O

Paris B-LOC
is O
far O
from O
Oslo O
. O
"""


def same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (pytest.approx(value, abs=1e-3) if name.endswith("loss") else value), name


def test_its_own_test_data_give_its_own_scores(tiny_run, tmp_path: Path) -> None:
    result = train(tiny_run("trainer.max_epochs=3", "optimizer.lr=5e-3"))
    for split in ("test", "validation"):
        found = evaluate([f"run={result.folder}", f"split={split}", f"output={tmp_path / split}", "trainer=cpu"])
        same(found, {key: value for key, value in result.metrics.items() if key.startswith(f"{split}/")})
        one, other = (
            [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
            for folder in (result.folder, tmp_path / split)
        )
        if split == "test":
            assert [row["predicted"] for row in one] == [row["predicted"] for row in other]


def test_where_the_report_goes(finished: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "run")
    report = (copy / "report.md").read_bytes()
    assert evaluate([f"run={copy}", "trainer=cpu"])["test/f1"] == 1.0
    folder = copy / "evaluation-conll-test"
    assert {path.name for path in folder.iterdir()} == {"report.md", "metrics.json", "predictions.jsonl"}
    assert (copy / "report.md").read_bytes() == report
    assert str(folder) in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("given", ["folder", "file", "only test"])
def test_other_data(given: str, finished: Path, tmp_path: Path) -> None:
    data = tmp_path / "other"
    data.mkdir()
    (data / "test.conll").write_text(OTHER)
    if given == "folder":
        (data / "train.conll").write_text("Foo B-XXX\n")  # not asked for, and not read
    path = data / "test.conll" if given == "file" else data
    found = evaluate([f"run={finished}", "data=conll", f"data.path={path}", "trainer=cpu", f"output={tmp_path}/out"])
    assert found["test/recall"] == 1.0
    assert found["test/precision"] == pytest.approx(3 / 4)
    rows = (tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2


def test_other_formats(finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.jsonl"
    spans = [{"start": 0, "end": 5, "label": "PER"}, {"start": 10, "end": 18, "label": "LOC"}]
    row = {"text": "Peter saw New York.", "spans": spans}
    file.write_text(json.dumps(row) + "\n")
    found = evaluate([f"run={finished}", "data=jsonl", f"data.path={file}", "trainer=cpu", f"output={tmp_path}/out"])
    assert found["test/recall"] == 1.0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("data=conll", "data.path={tmp}/types"), "the test data has type 'GPE'"),
        (("data=conll", "data.path={tmp}/train", "split=validation"), "validation"),
        (("data=conll", "data.path={tmp}/nothing"), "nothing"),
        (("split=holdout",), "split must be 'train', 'validation' or 'test', not 'holdout'"),
        (("+splt=test",), "unknown key 'splt'. Did you mean split?"),
        (("trainer=gpu",), "no GPU can be used on this machine"),
        (("data=_base",), "data=_base only holds"),
    ],
)
def test_what_cannot_be_evaluated_is_told(
    overrides: tuple[str, ...], said: str, finished: Path, tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name, content in (("types", "Peter B-GPE\n"), ("train", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("test.conll" if name == "types" else "train.conll")).write_text(content)
    outcome = run("evaluate", f"run={finished}", "trainer=cpu", *(o.format(tmp=tmp_path) for o in overrides))
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(finished.glob("evaluation-*holdout*"))


def test_its_own_data_that_have_changed_are_told(
    tiny_run, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(tiny_run())
    shutil.rmtree(small_data)
    with pytest.raises(UserError) as caught:
        evaluate([f"run={result.folder}", "trainer=cpu"])
    assert str(small_data) in str(caught.value)
