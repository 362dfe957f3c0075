"""Finished runs of every kind of answer, each of a second or two."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import sample_overrides
from tiny_writing import writing_folder

from rag_lightning.train import train

_FEW = ("trainer.max_epochs=2", "batching.size=16")
_TOPICS = "rules.path=ROOT/topics.yaml"
_RULES = {
    "topics.yaml": """\
labels: {loans: {name: loan, description: borrowing and renewing}, rooms: {name: room}}
lexicons: {loans: [loan, borrow, renew], rooms: [room, table]}
rules:
  loan_words: {lexicon: loans, label: loans}
  room_words: {lexicon: rooms, label: rooms}
""",
    "names.yaml": """\
labels: {PER: {name: person}, LOC: {name: place}, ORG: {name: organisation}}
lexicons: {places: [London, Norway, Berlin], firms: [Nokia, Siemens]}
rules:
  places: {lexicon: places, label: LOC}
  firms: {lexicon: firms, label: ORG}
  no_people: {pattern: "Nokia|Siemens", never: PER}
""",
    "cues.yaml": """\
rules:
  born: {pattern: born, label: "born_in(first,second)"}
""",
}
# Short sentences, learnt by heart: the answers are then no matter of rounding.
_SENTENCES = """\
Ada/B-PER Lovelace/I-PER lived/O in/O London/B-LOC ./O
Marie/B-PER works/O for/O Siemens/B-ORG in/O Berlin/B-LOC ./O
The/O United/B-ORG Nations/I-ORG met/O in/O Geneva/B-LOC ./O
Peter/B-PER saw/O New/B-LOC York/I-LOC ./O
It/O rained/O all/O day/O ./O
Maria/B-PER Silva/I-PER left/O Nokia/B-ORG ./O
"""
KINDS: dict[str, tuple[str, ...]] = {
    "tags": ("ner", "model.dropout=0"),
    "tags with rules": (
        "ner",
        "rules.path=ROOT/names.yaml",
        "template=hints",
        "guidance.decoding.crf=true",
        "data=conll",
        "data.path=ROOT/conll",
        "trainer.max_epochs=40",
        "optimizer.lr=5e-3",
        "model.dropout=0",
        "trainer.check_val_every_n_epoch=40",
        "batching.size=8",
    ),
    "a label": ("classification",),
    "a label by its meaning": ("classification", "guidance=semantics", "model.pooling=mean", _TOPICS),
    "a label at a mask": ("classification", "template=cloze_topic", _TOPICS),
    "labels": ("classification", "data=multilabel_sample"),
    "a label of a pair": ("matching",),
    "a label by two vectors": ("matching", "task.encoder=bi"),
    "related": ("matching", "task.encoder=bi", "task.loss=in_batch", "task.ranking=all", "task.positive=entailment"),
    "a relation": ("relation", "rules.path=ROOT/cues.yaml"),
    "an answer": ("qa",),
}


_WRITING = (
    "optimizer.lr=1e-2", "generation.max_new_tokens=8", "data.limit.train=24", "data.limit.validation=8",
    "data.limit.test=8",
)  # fmt: skip
WRITERS: dict[str, tuple[str, ...]] = {  # kind of text -> task and overrides; with a tiny gpt2
    "a reply": ("dialogue", *_WRITING),
    "a summary": ("summarization", *_WRITING),
}


def runs(model: Path, root: Path) -> Callable[[str], Path]:
    """Kind of answer -> the folder of a finished run, trained when it is first asked for."""
    made: dict[str, Path] = {}
    (root / "conll").mkdir()
    columns = "\n\n".join(line.replace(" ", "\n").replace("/", " ") for line in _SENTENCES.splitlines())
    for split, times in (("train", 4), ("validation", 1), ("test", 1)):
        (root / "conll" / f"{split}.conll").write_text("\n\n".join([columns] * times) + "\n", encoding="utf-8")
    for name, text in _RULES.items():
        (root / name).write_text(text, encoding="utf-8")

    def folder(kind: str) -> Path:
        if kind not in made:
            task, *more = {**KINDS, **WRITERS}[kind]
            more = [each.replace("ROOT", str(root)) for each in more]
            backbone = writing_folder(root / "gpt2", "gpt2") if kind in WRITERS else model
            with pytest.MonkeyPatch.context() as patch:
                for name in ("plot_curves", "plot_confusion"):
                    patch.setattr(f"rag_lightning.report.write.{name}", lambda *_, **__: None)
                made[kind] = train(sample_overrides(task, backbone, root / str(len(made)), *_FEW, *more)).folder
        return made[kind]

    return folder
