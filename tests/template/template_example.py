"""The one example of each task on which the documentation shows every template."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rag_lightning.config.paths import conf_dir
from rag_lightning.config.validate import parse
from rag_lightning.data.records import Record
from rag_lightning.encoding.render import Render, words_of
from rag_lightning.rules.ruleset import LabelInfo, Rule, RuleSet
from rag_lightning.tasks.entity_marks import with_marks
from rag_lightning.template.build import build_render
from rag_lightning.template.options import TemplateConfig

FOLDER = conf_dir() / "template"
VARIANTS = sorted(path.stem for path in FOLDER.glob("[!_]*.yaml"))
KNOWLEDGE = "term,text\nIBM,a maker of computers .\ncomedy,a film that makes people laugh .\n"


def _rules(description: str, **labels: LabelInfo) -> RuleSet:
    rules = tuple(Rule(f"r_{label}", label) for label in labels)
    return RuleSet(description=description, labels=labels, rules=rules, fingerprint="f" * 64)


def tagged(text: str, **entities: str) -> Record:
    """A labelled sentence; ``entities`` maps a word (a name with _ for several) to its type."""
    tokens = text.split()
    tags = ["O"] * len(tokens)
    for words, kind in entities.items():
        for place, word in enumerate(words.split("_")):
            tags[tokens.index(word)] = f"{'I' if place else 'B'}-{kind}"
    return {"id": text, "source": "train", "tokens": tokens, "tags": tags, "hits": []}


NER: dict[str, Any] = {
    "ruleset": _rules(
        "Find names in news.",
        PER=LabelInfo("person", "the name of a human being"),
        LOC=LabelInfo("place", "a country, town or river"),
        ORG=LabelInfo("organisation", "a company or club"),
    ),
    "task_name": "ner",
    "labels": ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"),
    "train_records": [
        tagged("Shares of Siemens fell .", Siemens="ORG"),
        tagged("It rained in Lima .", Lima="LOC"),
        tagged("Marie Curie smiled .", Marie_Curie="PER"),
        tagged("Nothing happened ."),
        tagged("Oslo is cold .", Oslo="LOC"),
    ],
}
CLASSIFICATION: dict[str, Any] = {
    "ruleset": _rules(
        "Is this review of a film kind?",
        positive=LabelInfo("great", "the writer liked it"),
        negative=LabelInfo("terrible", "the writer disliked it"),
    ),
    "task_name": "classification",
    "labels": ("positive", "negative"),
    "train_records": [
        {"id": "1", "source": "train", "text": "Dull from start to end.", "label": "negative", "hits": []},
        {"id": "2", "source": "train", "text": "I would see it again!", "label": "positive", "hits": []},
        {"id": "3", "source": "train", "text": "What a waste.", "label": "negative", "hits": []},
        {"id": "4", "source": "train", "text": "Charming and clever.", "label": "positive", "hits": []},
    ],
}
DIALOGUE: dict[str, Any] = {
    "ruleset": _rules("Talk about films.", film=LabelInfo("film", "a kind of film")),
    "task_name": "dialogue",
    "labels": (),
    "train_records": [
        {"id": "1", "source": "train", "turns": [], "text": "Is it long?", "history": "", "target": "Two hours."},
    ],
}
_ADA = {
    "id": "d", "source": "test:1", "text": "Ada Lovelace lived in London.", "hits": [],
    "first": {"start": 0, "end": 12, "type": "PER"}, "second": {"start": 22, "end": 28, "type": "LOC"},
}  # fmt: skip
LIVED = with_marks(_ADA, {"PER": "person", "LOC": "place"})
RELATION: dict[str, Any] = {
    "ruleset": _rules("Say what holds between the two."),
    "task_name": "relation",
    "labels": ("lived_in(first,second)", "Other"),
    "train_records": [{**LIVED, "label": "lived_in(first,second)"}],
}
_WRENCH = {
    "id": "e", "source": "test:1", "text": "Where is the torque wrench?", "target_language": "German", "hits": [],
    "glossary": "Use torque wrench = Drehmomentschlüssel.",
}  # fmt: skip
_BOILER = {"id": "f", "source": "test:1", "text": "The boiler broke on Monday.", "length": "one sentence", "hits": []}
TRANSLATION, SUMMARIZATION = (
    {"ruleset": _rules(told), "task_name": name, "labels": (), "train_records": [{**example, "target": "…"}]}
    for told, name, example in (
        ("Translate notices.", "translation", _WRENCH), ("Sum up the news.", "summarization", _BOILER),
    )
)  # fmt: skip
TASKS = {"ner": NER, "classification": CLASSIFICATION}
GIVEN = {
    **TASKS, "dialogue": DIALOGUE, "relation": RELATION, "translation": TRANSLATION, "summarization": SUMMARIZATION,
}  # fmt: skip
EXAMPLES: dict[str, Record] = {
    "ner": {
        "id": "a", "source": "test:1", "tokens": ["Ada", "Lovelace", "met", "IBM", "in", "Berlin", "."],
        "hits": [[0, 2, "PER", "r_PER", 0, False], [3, 4, "ORG", "r_ORG", 0, False], [5, 6, "LOC", "r_LOC", 0, False]],
    },
    "classification": {
        "id": "b", "source": "test:1", "text": "A lovely comedy.", "hits": [[2, 8, "positive", "r_positive", 0, False]],
    },
    "dialogue": {
        "id": "c", "source": "test:1", "text": "A lovely comedy.", "hits": [[9, 15, "film", "r_film", 0, False]],
        "turns": [
            {"role": "user", "text": "I want to see a film."}, {"role": "assistant", "text": "What do you like?"},
        ],
        "history": "User: I want to see a film. Assistant: What do you like?",
    },
    "relation": LIVED,
    "translation": _WRENCH,
    "summarization": _BOILER,
}  # fmt: skip


def variant(name: str, **changes: Any) -> TemplateConfig:
    """A variant as Hydra composes it from its file and ``_base.yaml``."""
    values: dict[str, Any] = {}
    for file in ("_base", name):
        values = _merged(values, yaml.safe_load((FOLDER / f"{file}.yaml").read_text(encoding="utf-8")))
    values.pop("defaults", None)
    return parse(TemplateConfig, _merged(values, changes), "template")


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {key: (below[key], above[key]) for key in below.keys() & above.keys()}
    inner = {k: _merged(a, b) for k, (a, b) in both.items() if isinstance(a, dict) and isinstance(b, dict)}
    return {**below, **above, **inner}


def embed(texts: list[str]) -> np.ndarray:
    """Texts are similar that have words in common."""
    vectors = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            vectors[row, sum(map(ord, word)) % 64] += 1
    return vectors


def render_of(name: str, task: str, knowledge: Path, **changes: Any) -> tuple[Render, str]:
    """A variant built for a task, with a file of knowledge where it shows some."""
    if "context" in name:
        changes = {"context": {"path": str(knowledge)}, **changes}
    return build_render(variant(name, **changes), **GIVEN[task], embed=embed)


def rendered_form(name: str, knowledge: Path) -> str:
    """What the documentation shows for a variant: its form for the first task that it fits."""
    tasks = variant(name).tasks
    task = "ner" if tasks is None else tasks[0]
    render, _ = render_of(name, task, knowledge)
    return words_of(render(EXAMPLES[task]))
