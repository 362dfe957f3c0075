"""Relation runs from the command to answers, alone and behind a NER run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.joint import pairs_of
from rag_lightning.inference.saved import load_run
from rag_lightning.predict import predict
from rag_lightning.train import train
from rag_lightning.training.run import RunResult

pytestmark = pytest.mark.usefixtures("no_pictures")
# A tiny model learns by heart who is marked where: the same words, other entities, other labels.
SENTENCES = [
    ("<e1:PER>Ada</e1> lived in <e2:LOC>London</e2> .", "lives_in(first,second)"),
    ("In <e1:LOC>London</e1> lived <e2:PER>Ada</e2> .", "lives_in(second,first)"),
    ("<e1:PER>Ada</e1> saw <e2:PER>Peter</e2> in Paris .", "Other"),
    ("Ada saw <e1:PER>Peter</e1> in <e2:LOC>Paris</e2> .", "lives_in(first,second)"),
    ("<e1:LOC>Paris</e1> is far from <e2:LOC>Oslo</e2> .", "Other"),
    ("Old <e1:LOC>Oslo</e1> had <e2:PER>Marie</e2> .", "lives_in(second,first)"),
]
NER = """\
Ada/B-PER lived/O in/O London/B-LOC ./O
Ada/B-PER saw/O Peter/B-PER in/O Paris/B-LOC ./O
Paris/B-LOC is/O far/O from/O Oslo/B-LOC ./O
In/O London/B-LOC lived/O Ada/B-PER ./O
It/O rained/O ./O
"""
BY_HEART = ["trainer.max_epochs=30", "model.dropout=0", "model.attn_dropout=0", "trainer.check_val_every_n_epoch=30"]


def write_sentences(folder: Path, times: int = 4) -> Path:
    from rag_lightning.tasks.entity_marks import read_tagged

    folder.mkdir(exist_ok=True)
    rows = "".join(json.dumps({**read_tagged(text), "label": label}) + "\n" for text, label in SENTENCES)
    for split in ("train", "validation", "test"):
        (folder / f"{split}.jsonl").write_text(rows * (times if split == "train" else 1), encoding="utf-8")
    return folder


def overrides(model: Path, data: Path, output: Path, *more: str) -> list[str]:
    return [
        "model=local", f"model.path={model}", "model.name=tiny", f"data.path={data}", f"output_dir={output}",
        "trainer=cpu", "logger=none", "optimizer.lr=5e-3", "batching.size=8", "trainer.enable_progress_bar=false",
        "trainer.precision=32-true", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows its sentences."""
    root = tmp_path_factory.mktemp("relation")
    data = write_sentences(root / "data")
    result = train(overrides(tiny_model, data, root / "runs", "task=relation", "data=jsonl", *BY_HEART))
    assert result.metrics["test/macro_f1"] == result.metrics["test/accuracy"] == 1.0
    return result.folder


@pytest.fixture(scope="module")
def ner(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("entities")
    (root / "data").mkdir()
    for split, times in (("train", 5), ("validation", 1), ("test", 1)):
        lines = [line.replace(" ", "\n").replace("/", " ") + "\n" for line in NER.splitlines() * times]
        (root / "data" / f"{split}.conll").write_text("\n".join(lines), encoding="utf-8")
    result = train(overrides(tiny_model, root / "data", root / "runs", "task=ner", "data=conll", *BY_HEART))
    assert result.metrics["test/f1"] == 1.0
    return result.folder


def answers(tmp_path: Path, *more: str) -> list[dict[str, Any]]:
    predict([f"output={tmp_path / 'out.jsonl'}", "device=cpu", *more])
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_is_evaluated_as_it_was(folder: Path, tmp_path: Path) -> None:
    run = load_run(str(folder))
    assert run.network.pooling == "entities" and run.labels[0] == "Other"
    found = evaluate([f"run={folder}", "trainer=cpu", "trainer.precision=32-true", f"output={tmp_path / 'again'}"])
    assert found["test/macro_f1"] == 1.0 and found["test/wrong_direction"] == 0.0
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "Directions" in report and "Beside trivial answers" in report
    assert "pipeline(" not in report


def test_the_marks_decide(folder: Path, tmp_path: Path) -> None:
    lines = [{"text": text, "id": i} for i, (text, _) in enumerate(SENTENCES)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = answers(tmp_path, f"run={folder}", f"input={tmp_path / 'in.jsonl'}")
    assert [(row["id"], row["label"]) for row in rows] == [(i, label) for i, (_, label) in enumerate(SENTENCES)]
    assert rows[1]["relation"] == "lives_in" and rows[1]["arguments"] == ["Ada", "London"]
    [row] = answers(tmp_path, f"run={folder}", f'text="{SENTENCES[0][0]}"')
    assert row["first"] == {"start": 0, "end": 3, "text": "Ada", "type": "PER"}
    (tmp_path / "in.txt").write_text(f"{SENTENCES[0][0]}\nAda lived in London .\n")
    with pytest.raises(UserError, match=r"in.txt:2: the text does not mark one <e1>"):
        answers(tmp_path, f"run={folder}", f"input={tmp_path / 'in.txt'}")


def test_two_runs_find_entities_and_relations(folder: Path, ner: Path, tmp_path: Path) -> None:
    lines = [
        '{"id": 3, "text": "In London lived Ada ."}', "Ada saw Peter in Paris .", "It rained .",
        '{"tokens": ["Ada", "lived", "in", "London", "."]}',
    ]  # fmt: skip
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n")
    rows = answers(tmp_path, f"run={folder}", f"ner={ner}", f"input={tmp_path / 'in.txt'}")
    assert [row["text"] for row in rows] == [
        "In London lived Ada .", "Ada saw Peter in Paris .", "It rained .", "Ada lived in London .",
    ]  # fmt: skip
    assert rows[0]["id"] == 3 and "id" not in rows[1]
    for row in rows:
        assert all(row["text"][e["start"] : e["end"]] == e["text"] for e in row["entities"])
    [lived] = rows[0]["relations"]
    assert lived.pop("confidence") > 0.5
    assert lived == {
        "label": "lives_in(second,first)", "relation": "lives_in", "arguments": ["Ada", "London"],
        "first": 0, "second": 1,
    }  # fmt: skip
    found = {(relation["first"], relation["second"]): relation["label"] for relation in rows[1]["relations"]}
    assert (0, 1) not in found and found[1, 2] == "lives_in(first,second)"
    assert rows[2]["entities"] == rows[2]["relations"] == []
    assert rows[3]["relations"][0]["arguments"] == ["Ada", "London"]
    [few] = answers(tmp_path, f"run={folder}", f"ner={ner}", "pairs=1", 'text="Ada saw Peter in Paris ."')
    assert few["pairs_left_out"] == 2 and len(few["relations"]) <= 1


def test_runs_that_do_not_fit_are_told(folder: Path, ner: Path, tmp_path: Path) -> None:
    for run, beside, said in (
        (ner, folder, "run: the two runs have changed places"),
        (folder, folder, "ner: the entities are found by a run of task=ner, and this one is of task=relation"),
        (ner, ner, "run: ner=… finds the entities for a run of task=relation, and this is one of task=ner"),
    ):
        with pytest.raises(UserError, match=said):
            answers(tmp_path, f"run={run}", f"ner={beside}", "text=Ada")
    with pytest.raises(UserError, match="the text does not mark"):
        answers(tmp_path, f"run={folder}", "text=Ada")


def test_pairs_are_taken_from_the_nearest_on() -> None:
    entities = [{"start": s, "end": e} for s, e in ((0, 3), (10, 12), (11, 15), (20, 22))]
    assert pairs_of(entities, False) == [(2, 3), (0, 1), (0, 2), (1, 3), (0, 3)]
    assert pairs_of(entities[:2], True) == [(0, 1), (1, 0)]


@pytest.fixture
def quick(tiny_model: Path, tmp_path: Path) -> Callable[..., RunResult]:
    """A short training on the sentences."""

    def run(*more: str) -> RunResult:
        data = write_sentences(tmp_path / "data")
        given = overrides(
            tiny_model, data, tmp_path / "runs", "task=relation", "data=jsonl", "trainer.max_epochs=2", *more
        )
        return train(given)

    return run


@pytest.mark.parametrize(
    "more",
    [
        ["template=typed_entity_markers", "tuning.frozen_layers=1"],
        ["template=none"],
        ["model.pooling=mean"],
        ["model.pooling=native", "template=labels"],
    ],
    ids=" ".join,
)
def test_other_templates_and_poolings_run_and_are_loaded_as_they_were(
    more: list[str], quick: Callable[..., RunResult], tmp_path: Path
) -> None:
    result = quick(*more)
    found = evaluate([f"run={result.folder}", "trainer=cpu", "trainer.precision=32-true", f"output={tmp_path / 'e'}"])
    assert found == pytest.approx({k: v for k, v in result.metrics.items() if k.startswith("test/")}, abs=1e-3)


def test_a_mask_between_the_entities_is_answered(quick: Callable[..., RunResult], tmp_path: Path) -> None:
    rules = tmp_path / "words.yaml"
    rules.write_text("""\
description: Say where people live.
labels:
  lives_in(first,second): {name: in, description: lives there}
  lives_in(second,first): {name: of, description: lived in by}
  Other: {name: and, description: neither}
""")
    text = "template.text='{marked} : {first_text} {mask} {second_text} .'"
    result = quick(text, "template.name=prompt", "template.tasks=null", f"rules.path={rules}")
    run = load_run(str(result.folder))
    assert run.task.output.name == "masked_tokens"
    found = evaluate([f"run={result.folder}", "trainer=cpu", "trainer.precision=32-true", f"output={tmp_path / 'e'}"])
    assert found == pytest.approx({k: v for k, v in result.metrics.items() if k.startswith("test/")}, abs=1e-3)


def test_rules_teach_a_run_without_labels(quick: Callable[..., RunResult], tmp_path: Path) -> None:
    rules = tmp_path / "cues.yaml"
    rules.write_text("""\
description: Say where people live.
labels:
  lives_in(first,second): {name: lives in, description: a home is told}
  lives_in(second,first): {name: home of, description: a home is told}
  Other: {name: neither, description: no home is told, examples: ["<e1>Ada</e1> met <e2>Marie</e2> ."]}
rules:
  lived: {pattern: 'lived in|in', label: 'lives_in(first,second)'}
  home: {pattern: 'lived|had', label: 'lives_in(second,first)', priority: -1}
  met: {lexicon: met, label: Other, priority: 2}
lexicons: {met: [saw, far from]}
""")
    result = quick(
        "data.shots=0",
        f"rules.path={rules}",
        "guidance=warmup",
        "guidance.examples=true",
        "template.text='{hints} {sep} {marked}'",
    )
    report = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "Rules labelled 24 of 24 unlabelled examples" in report
    assert "1 examples of the rule file join the 0 labelled training examples" in report
    [row] = answers(tmp_path, f"run={result.folder}", f'text="{SENTENCES[3][0]}"')
    assert set(row["scores"]) == {"Other", "lives_in(first,second)", "lives_in(second,first)"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["guidance.semantics=true"], "with model.pooling=entities the head sees other vectors.*model.pooling=mean"),
        (["task=classification", "model.pooling=entities"], "two marked entities, which only task=relation has"),
        (["template.text='{labels} {first_text}'", "template.tasks=null"], "does not show the sentence with its two"),
        (["template=cloze"], "template=cloze fits classification, not relation"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(more: list[str], said: str, quick: Callable[..., RunResult]) -> None:
    with pytest.raises(UserError, match=said):
        quick(*more)


def test_types_that_are_missing_are_told(quick: Callable[..., RunResult], tmp_path: Path) -> None:
    folder = write_sentences(tmp_path / "data")
    for file in folder.iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            del row["first"]["type"], row["second"]["type"]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other = folder.rename(tmp_path / "untyped")
    with pytest.raises(UserError, match=r"shows the entities' types \(\{typed\}\), and the entities have none"):
        quick("template=typed_entity_markers", f"data.path={other}")


@pytest.mark.parametrize("model_type", ["gpt2", "t5"])
def test_backbones_that_do_not_read_both_ways_have_their_own_head(model_type: str) -> None:
    from tiny_families import tiny_config

    from rag_lightning.model.options import ModelConfig
    from rag_lightning.model.pooling import choose_pooling

    config = tiny_config(model_type)
    assert choose_pooling(Path("none"), config, ModelConfig(name="x"), "entity_pair") == "native"
    with pytest.raises(UserError, match="model.pooling: .*Set model.pooling=native"):
        choose_pooling(Path("none"), config, ModelConfig(name="x", pooling="entities"), "entity_pair")
