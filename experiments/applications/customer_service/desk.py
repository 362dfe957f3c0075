"""A service desk: questions by part, a backbone that reads them, and the way from a question to an answer."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.guidance.embedder import embedder_of
from rag_lightning.inference.drawn import Writer, as_context
from rag_lightning.inference.lookup import Floats, nearest
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.refusal import LOGITS, highest_probability, log_sum, nearness, threshold_at, with_logits
from rag_lightning.inference.replies import Replies
from rag_lightning.inference.saved import load_run
from rag_lightning.model.files import fingerprint
from rag_lightning.model.quiet import quiet
from rag_lightning.model.resolve import resolve
from rag_lightning.template.retrieval import Entry

SCORES = ("probability", "energy", "nearness")
SHOWN = 3  # answers that the writer is given
LOOKED_AT = 10  # past questions among which they are sought

Parts = dict[
    str, list[Record]
]  # train, validation, test; unseen_past, unseen (held-out intents); other (no question to a bank)


def texts_of(rows: Sequence[Record]) -> list[str]:
    return [row["text"] for row in rows]


def labels_of(rows: Sequence[Record]) -> list[str]:
    return [row["label"] for row in rows]


class Reader:
    """A backbone: vectors of texts and, where it was trained, what its head says. Both are kept in ``cache``.

    Args:
        run: folder of a finished run.
        pretrained: take the run's backbone as it was before the training, which has no head.
        cache: folder of the kept arrays.
    """

    def __init__(self, run: Path, cache: Path, *, pretrained: bool = False) -> None:
        self._run, self._cache, self.has_head = run, cache, not pretrained
        model = load_run(str(run)).config.model
        self._folder = resolve(model).folder if pretrained else run / "model"
        self._embed = embedder_of(lambda: self._folder, model)

    @cached_property
    def predictor(self) -> Predictor:
        loaded = load_run(str(self._run))
        return Predictor(replace(loaded, task=replace(loaded.task, output=with_logits(loaded.task.output))))

    def vectors(self, texts: Sequence[str]) -> Floats:
        """(texts, width) unit vectors: the mean of the last hidden states."""
        with quiet():
            return self._kept("vectors", texts, lambda: self._embed(list(texts)))

    def logits(self, texts: Sequence[str]) -> Floats:
        """(texts, labels) of the head."""

        def computed() -> Floats:
            answers = self.predictor.predict([{"text": text} for text in texts])
            return np.stack([answer[LOGITS] for answer in answers])

        return self._kept("logits", texts, computed)

    @cached_property
    def _content(self) -> str:
        return fingerprint(self._folder)

    def _kept(self, what: str, texts: Sequence[str], compute: Callable[[], Floats]) -> Floats:
        if len(texts) < 10:  # a question that somebody asks
            return compute()
        asked = json.dumps([self._content, *texts])
        file = self._cache / f"{what}-{hashlib.sha256(asked.encode()).hexdigest()[:20]}.npy"
        if not file.is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            np.save(file, compute())
        kept: Floats = np.load(file)
        return kept


@dataclass(frozen=True)
class Judged:
    """What is said of some questions.

    Attributes:
        vectors: (questions, width).
        labels: the intents, likeliest or nearest.
        scores: score -> (questions,), higher where the question looks more like those of the training.
    """

    vectors: Floats
    labels: list[str]
    scores: dict[str, Floats]


class Desk:
    """A reader with past questions, answers, and thresholds chosen on validation.

    Args:
        parts: see ``Parts``; the reader was trained on ``train``, and looks up in ``train`` and ``unseen_past``.
        share: of the validation questions that may be refused by mistake.
    """

    def __init__(self, reader: Reader, parts: Parts, replies: Replies, share: float) -> None:
        self.reader, self.replies = reader, replies
        self.past = [*parts["train"], *parts["unseen_past"]]
        self._trained_on = parts["train"]
        self._known = reader.vectors(texts_of(parts["train"]))
        self._past = np.concatenate([self._known, reader.vectors(texts_of(parts["unseen_past"]))])
        validation = self.judge(texts_of(parts["validation"]))
        self.thresholds = {name: threshold_at(scores, share) for name, scores in validation.scores.items()}
        # What is farther from all past questions than all but so small a share of the usual ones is for a person.
        self.floor = threshold_at(nearness(validation.vectors, self._past), share)

    def judge(self, texts: Sequence[str]) -> Judged:
        """Intents and scores of questions."""
        vectors = self.reader.vectors(texts)
        near = nearest(vectors, self._known, 1)
        scores = {"nearness": near.cosines[:, 0]}
        if not self.reader.has_head:
            return Judged(vectors, [self._trained_on[place]["label"] for place in near.places[:, 0]], scores)
        logits = self.reader.logits(texts)
        scores = {"probability": highest_probability(logits), "energy": log_sum(logits), **scores}
        names = self.reader.predictor.run.labels
        return Judged(vectors, [names[place] for place in logits.argmax(axis=1)], scores)

    def similar(self, vectors: Floats, count: int = LOOKED_AT) -> list[list[tuple[Record, float]]]:
        """For each question the past ones most like it, with their cosines."""
        found = nearest(vectors, self._past, count)
        return [
            [(self.past[place], float(cosine)) for place, cosine in zip(places, cosines, strict=True)]
            for places, cosines in zip(found.places, found.cosines, strict=True)
        ]

    def entries(self, similar: Sequence[tuple[Record, float]]) -> list[Entry]:
        """The nearest past questions that had different answers, with these: one answer several times says no more."""
        first: dict[str, str] = {}
        for row, _ in similar:
            first.setdefault(row["label"], row["text"])
        return [Entry(text, self.replies.plain(label)) for label, text in list(first.items())[:SHOWN]]


def answer_in_steps(desk: Desk, question: str, score: str, writer: Writer | None, tell: Callable[[str], Any]) -> None:
    """Each step from a question to its answer, told."""
    judged = desk.judge([question])
    label, value, threshold = judged.labels[0], float(judged.scores[score][0]), desk.thresholds[score]
    tell(f"intent    {label} ({score} {_shown(score, value)}, answered from {_shown(score, threshold)})")
    similar = desk.similar(judged.vectors)[0]
    known = value >= threshold
    if known:
        reply = desk.replies.reply(label, question)
        taken = f"  [{', '.join(f'{slot}: {words}' for slot, words in reply.filled.items())}]" if reply.filled else ""
        tell(f"answer    {reply.text}{taken}")
    else:
        tell("answer    none: the question is not sure to be one of the intents")
    for row, cosine in similar[:SHOWN]:
        tell(f"similar   {cosine:.2f}  {row['text']}  ({row['label']})")
    if not known and similar[0][1] < desk.floor:
        tell(f"written   nothing: no past question is near enough (from {desk.floor:.2f}); passed on to a person")
    elif writer is not None:
        entries = desk.entries(similar)
        tell(f"context   {as_context(entries)}")
        tell(f"written   {writer.write([question], [entries])[0]}")


def _shown(score: str, value: float) -> str:
    """A score as people read it; that of the probability is its log-odds."""
    return f"{1 / (1 + np.exp(-value)) if score == 'probability' else value:.3f}"
