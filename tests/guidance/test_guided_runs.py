"""Every way from rules to the model, as users switch them: a run from the first example to the saved model in use."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from crashes import Crash, crash_after, fail, weights

from rag_lightning.config.compose import compose
from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.predict import predict
from rag_lightning.tasks.tag_schemes import repair_iob2
from rag_lightning.train import train
from rag_lightning.training.plan import make_plan

WAYS = sorted(path.stem for path in (conf_dir() / "guidance").glob("[!_]*.yaml"))
RULES = {
    "description": "Find names.",
    "labels": {"PER": "person", "LOC": "place", "ORG": "organisation", "MISC": "other name"},
    "lexicons": {"months": ["March", "May"]},
    "rules": {
        "capitals": {"pattern": r"(?P<PER>\p{Lu}\p{Ll}+)", "priority": 1},
        "months": {"lexicon": "months", "never": "PER"},
    },
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "names.yaml"
    path.write_text(yaml.safe_dump(RULES), encoding="utf-8")
    return path


@pytest.mark.parametrize("way", WAYS)
def test_every_way_runs_and_its_saved_model_answers_alike(
    way: str, rules: Path, tiny_run: Callable[..., list[str]], tmp_path: Path, no_pictures: None
) -> None:
    result = train(tiny_run(f"guidance={way}", f"rules.path={rules}", "data.shots=12"))
    rules.unlink()  # the model must not need it any more
    predicted = [json.loads(line) for line in (result.folder / "predictions.jsonl").read_text().splitlines()]
    run = load_run(str(result.folder))
    answers = Predictor(run, device="cpu").predict([{"tokens": row["tokens"]} for row in predicted])
    given = [tag for answer in answers for tag in repair_iob2(answer["tags"])[0]]
    expected = [tag for row in predicted for tag in row["predicted"]]
    same = sum(one == other for one, other in zip(given, expected, strict=True))
    assert same >= 0.97 * len(expected)  # batches of other shapes round otherwise, and a tiny model is hardly sure


def test_vetoes_and_transitions_hold_in_the_answers(
    rules: Path, tiny_run: Callable[..., list[str]], no_pictures: None
) -> None:
    result = train(tiny_run("guidance=decoding", f"rules.path={rules}"))
    run = load_run(str(result.folder))
    tokens = ["In", "May", "and", "March", "Rosa", "May", "spoke"]
    (answer,) = Predictor(run, device="cpu").predict([{"tokens": tokens}])
    before = "O"
    for token, tag in zip(tokens, answer["tags"], strict=True):
        assert not (token in ("May", "March") and tag.endswith("PER"))
        assert not tag.startswith("I-") or before[2:] == tag[2:]
        before = tag


def test_a_warm_up_is_not_repeated(rules: Path, tiny_run: Callable[..., list[str]], no_pictures: None) -> None:
    words = tiny_run("guidance=warmup", f"rules.path={rules}", "data.shots=12")
    folder = train(words).folder
    history = [json.loads(line) for line in (folder / "warmup" / "history.jsonl").read_text().splitlines()]
    assert history and all("train/loss" in row for row in history)
    assert train(words).already_done


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["guidance.features.enabled=true"], "needs rules"),
        (["guidance.self_training.rounds=1"], "needs unlabelled examples"),
        (["guidance.weak.warmup_epoch=1"], "warmup_epochs"),
        (["guidance.weak.joint_weight=2"], "guidance.weak.joint_weight"),
        (["rules.path=nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_work_is_refused_before_a_model_is_loaded(
    overrides: list[str], told: str, tiny_run: Callable[..., list[str]]
) -> None:
    with pytest.raises(UserError, match=told):
        make_plan(compose("train", tiny_run(*overrides)))


def test_a_rule_for_a_label_that_the_data_do_not_have(
    rules: Path, tiny_run: Callable[..., list[str]], tmp_path: Path
) -> None:
    rules.write_text(rules.read_text().replace("P<PER>", "P<PRE>").replace("PER:", "PRE:"), encoding="utf-8")
    with pytest.raises(UserError, match="PRE"):
        train(tiny_run(f"rules.path={rules}"))


def test_the_run_is_named_by_what_the_rules_say_and_not_by_where_they_lie(
    rules: Path, tiny_run: Callable[..., list[str]], tmp_path: Path
) -> None:
    first = make_plan(compose("train", tiny_run(f"rules.path={rules}"))).fingerprint
    moved = tmp_path / "elsewhere.yaml"
    rules.rename(moved)
    assert make_plan(compose("train", tiny_run(f"rules.path={moved}"))).fingerprint == first
    moved.write_text(moved.read_text().replace("March", "June"), encoding="utf-8")
    assert make_plan(compose("train", tiny_run(f"rules.path={moved}"))).fingerprint != first


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 4, 6, 8, 9])
def test_a_crash_in_any_stage_changes_nothing(
    step: int,
    rules: Path,
    tiny_run: Callable[..., list[str]],
    tmp_path: Path,
    no_pictures: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def words(name: str) -> list[str]:
        return tiny_run(
            "guidance=self_training", "guidance.self_training.rounds=1", "guidance.self_training.threshold=0",
            "guidance.weak.warmup_epochs=2", f"rules.path={rules}", "data.shots=12", "checkpoint.every_steps=2",
            f"run.folder={tmp_path / name}",
        )  # fmt: skip

    whole = weights(train(words("whole")).folder)
    with monkeypatch.context() as patch:
        crash_after(patch, step, fail)
        with pytest.raises(Crash):
            train(words("cut"))
    assert weights(train(words("cut")).folder) == whole


def test_examples_of_the_rule_file_are_labelled_texts(
    tiny_model: Path, tmp_path: Path, tiny_run: Callable[..., list[str]], no_pictures: None
) -> None:
    (tmp_path / "d.csv").write_text("text,label\n" + "".join(f"row {i} of many,{'ab'[i % 2]}\n" for i in range(40)))
    rules = {"labels": {"a": {"name": "even", "examples": ["an even one", "two"]}, "b": {"name": "odd"}}, "rules": {}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(rules))
    words = [
        "task=classification", "model=local", f"model.path={tiny_model}", "trainer=cpu", "logger=none", "data=csv",
        f"data.path={tmp_path / 'd.csv'}", f"rules.path={tmp_path / 'r.yaml'}", f"output_dir={tmp_path}/runs",
        "trainer.max_epochs=1", "trainer.enable_progress_bar=false",
    ]  # fmt: skip
    with_them = (train([*words, "data.shots_per_label=0"]).folder / "report.md").read_text(encoding="utf-8")
    assert "2 examples of the rule file join the 0 labelled training examples." in with_them
    rules["labels"]["b"]["examples"] = [f"row {i} of many" for i in range(1, 40, 2)]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(rules))
    note = (train([*words, "data.shots_per_label=0"]).folder / "report.md").read_text(encoding="utf-8")
    assert re.search(r"others are left out: they stand in validation or test", note)
    with pytest.raises(UserError, match="nothing to learn from"):
        make_plan(compose("train", [*words, "data.shots_per_label=0", "guidance.examples=false"]))
    with pytest.raises(UserError, match="self-training needs unlabelled examples"):
        train([*words, "guidance=self_training"])
    with pytest.raises(UserError, match="model.pooling=native the head sees other vectors"):
        make_plan(compose("train", [*words, "guidance=semantics"]))
    with_none = (train([*words, "guidance=semantics", "model.pooling=mean"]).folder / "report.md").read_text(
        encoding="utf-8"
    )
    assert "of the rule file" not in with_none


def test_a_template_with_a_further_field_is_applied_to_new_texts(
    tiny_model: Path, tmp_path: Path, no_pictures: None
) -> None:
    rows = "".join(f"row {i} of many,on {'ab'[i % 2]},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "d.csv").write_text(f"text,title,label\n{rows}")
    result = train(
        [
            "task=classification", "model=local", f"model.path={tiny_model}", "trainer=cpu", "logger=none", "data=csv",
            f"data.path={tmp_path / 'd.csv'}", "+data.fields.title=title", "template.text='{title} : {text}'",
            f"output_dir={tmp_path}/runs", "trainer.max_epochs=1", "trainer.enable_progress_bar=false",
        ]
    )  # fmt: skip
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"id": 7, "text": "row", "title": "on b", "label": "?"}\n')
    predict([f"run={result.folder}", f"input={asked}", f"output={tmp_path / 'answers.jsonl'}", "device=cpu"])
    answer = json.loads((tmp_path / "answers.jsonl").read_text())
    assert answer["id"] == 7 and answer["label"] in ("a", "b")
