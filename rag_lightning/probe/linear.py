"""What a linear classifier reads off the frozen states (Alain & Bengio 2017), on data of other tasks.

Multinomial logistic regression with a fixed penalty on standardised states, learnt anew at each measurement: of texts
on the mean of the last hidden states, of words (with tags) on the state of their first sub-token. It is scored on
examples of the same data that it did not learn from.
"""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import PreTrainedModel

from rag_lightning.data.load import load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import TAGGED_TOKENS, Reading
from rag_lightning.data.records import Record
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.probe.examples import above_chance, content_of, labelled_content, limited
from rag_lightning.probe.probe import Prepared, Probe, ProbeOptions, Scores, Setting
from rag_lightning.probe.states import batches, encode_texts, last_states, text_vectors

TEXTS = Reading(fields=("text", "label"), labels=("label",))
OUTSIDE = "O"
_PREFIX = re.compile(r"^[BIESLU]-")


class LinearOptions(ProbeOptions):
    """Which data the classifiers learn."""

    data: dict[str, DataConfig] = Field(description="data sets by name: texts with a label, or words with tags")
    limit: int | None = Field(500, ge=2, description="examples of each split at most; null: all")
    penalty: float = Field(10.0, gt=0, description="of the classifier's weights (the inverse of scikit-learn's C)")


@dataclass(frozen=True)
class Part:
    """Inputs of a split, with the places that are classified in each; no places: the mean of all."""

    inputs: list[list[int]]
    places: list[list[int]]
    labels: list[str]


@dataclass(frozen=True)
class Task:
    """A data set to be learnt."""

    name: str
    of_words: bool
    train: Part
    test: Part


def prepare(setting: Setting, options: LinearOptions) -> Prepared:
    """All data sets but those of the task that the run learns."""
    tasks, notes = [], []
    for name, data in options.data.items():
        of_words = "tags" in data.fields and "label" not in data.fields
        same_task = data.format == "sample" and setting.task == ("ner" if of_words else "classification")
        if same_task or labelled_content(data) == setting.trained_on:
            notes.append(f"Linear probe: {data.name} is of the task that the run learns, and is left out.")
        else:
            tasks.append(_task(name, data, of_words, setting, options))
    padding = int(setting.tokenizer.pad_token_id or 0)

    def measure(network: PreTrainedModel) -> Scores:
        scores: Scores = {}
        for task in tasks:
            train, test = (_states(network, part, padding) for part in (task.train, task.test))
            guessed = _classify(train, task.train.labels, test, options)
            scores |= _scores(task, guessed)
        return scores

    floors = {f"{task.name}/accuracy": _luck(task.test.labels) for task in tasks if not task.of_words}
    return Prepared(
        measure,
        content_of([vars(part) for task in tasks for part in (task.train, task.test)]),
        tuple(notes),
        floors,
    )


def _luck(labels: Sequence[str]) -> float:
    """What always saying the most frequent label may score."""
    return above_chance(max(Counter(labels).values()) / len(labels), len(labels))


def _task(name: str, data: DataConfig, of_words: bool, setting: Setting, options: LinearOptions) -> Task:
    splits = load_splits(data, data.split.seed, TAGGED_TOKENS if of_words else TEXTS).splits
    if "test" not in splits:
        raise UserError(
            "a linear probe is scored on a test split, which these data lack",
            where=f"probe.linear.data.{name}", remedy=f"Set probe.linear.data.{name}.split.test=0.2.",
        )  # fmt: skip
    records = [limited(splits[split], options.limit, options.seed) for split in ("train", "test")]
    train, test = (_words(part, setting) if of_words else _texts(part, setting) for part in records)
    if len(set(train.labels)) < 2:
        raise UserError(
            "there is but one label to be told", where=f"probe.linear.data.{name}", remedy="Give other data, or more."
        )
    return Task(name, of_words, train, test)


def _texts(records: Sequence[Record], setting: Setting) -> Part:
    texts = [str(record["text"]) for record in records]
    labels = [str(record["label"]) for record in records]
    return Part(encode_texts(setting.tokenizer, texts, setting.window), [], labels)


def _words(records: Sequence[Record], setting: Setting) -> Part:
    """Each word by the place of its first sub-token, with its type; words beyond the window are left out."""
    encoder = WordEncoder(load_tokenizer(setting.folder), setting.window)
    part = Part([], [], [])
    for record, pieces in zip(records, encoder.encode([record["tokens"] for record in records]), strict=True):
        ids, places = list(encoder.prefix), []
        for tag, piece in zip(record["tags"], pieces, strict=True):
            if len(ids) + len(piece) + len(encoder.suffix) > setting.window:
                break
            places.append(len(ids))
            ids += piece
            part.labels.append(_PREFIX.sub("", tag))
        part.inputs.append([*ids, *encoder.suffix])
        part.places.append(places)
    return part


def _states(network: PreTrainedModel, part: Part, padding: int) -> NDArray[np.float32]:
    """(texts or words, width)."""
    if not part.places:
        vectors: NDArray[np.float32] = text_vectors(network, part.inputs, padding).numpy()
        return vectors
    found: dict[int, NDArray[np.float32]] = {}
    for batch in batches(part.inputs, padding, next(network.parameters()).device):
        states = last_states(network, batch).cpu()
        for row, place in enumerate(batch.places):
            found[place] = states[row, torch.tensor(part.places[place], dtype=torch.long)].numpy()
    return np.concatenate([found[place] for place in range(len(part.inputs))])


def _classify(
    train: NDArray[np.float32], labels: Sequence[str], test: NDArray[np.float32], options: LinearOptions
) -> list[str]:
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / options.penalty, max_iter=500, random_state=options.seed)
    )
    with warnings.catch_warnings():  # where it is not yet at its end the answers do not change any more
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(train, labels)
    return [str(label) for label in classifier.predict(test)]


def _scores(task: Task, guessed: Sequence[str]) -> Scores:
    if not task.of_words:
        return {f"{task.name}/accuracy": float(accuracy_score(task.test.labels, guessed))}
    types = sorted(set(task.train.labels) - {OUTSIDE})
    f1 = f1_score(task.test.labels, guessed, labels=types, average="micro", zero_division=0)
    return {f"{task.name}/f1": float(f1)}


PROBE = Probe(name="linear", options=LinearOptions, prepare=prepare)
