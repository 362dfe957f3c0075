"""Pairs of texts: a label for each (entailment, paraphrase), how alike they are, or whether they belong together."""

import math
from dataclasses import replace
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.load import label_field
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Splits
from rag_lightning.errors import UserError
from rag_lightning.model.interface import INTERFACES, families, is_seq2seq, supports
from rag_lightning.tasks.forms.matching import answer, read_fields, read_text, text_of
from rag_lightning.tasks.label_sets import ClassWeights, check_known, known_labels, notes_on, weighted
from rag_lightning.tasks.outputs.class_weights import with_class_weights
from rag_lightning.tasks.outputs.pair_retrieval import PAIR_RELATED, PAIR_RELATED_AMONG_ALL
from rag_lightning.tasks.outputs.pair_vectors import PAIR_COSENT, PAIR_COSINE, PAIR_SOFTMAX, choose_line
from rag_lightning.tasks.outputs.sequence_label import PAIR_LABEL
from rag_lightning.tasks.outputs.value import VALUE
from rag_lightning.tasks.pair_scores import evaluate_pairs, with_popularity
from rag_lightning.tasks.positive import check_positive
from rag_lightning.tasks.task import OutputKind, Prepared, Task

RELATED = "related"  # the label of pairs that come without one
BI_ENCODERS: dict[str, OutputKind] = {
    "softmax": PAIR_SOFTMAX, "cosent": PAIR_COSENT, "cosine": PAIR_COSINE, "in_batch": PAIR_RELATED,
}  # fmt: skip


class MatchingOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "matching"
    answer: Literal["auto", "label", "score"] = Field(
        "auto", description="label: one for each pair; score: a number on a scale; auto: what the data have"
    )
    encoder: Literal["cross", "bi"] = Field(
        "cross", description="cross: both texts are read together; bi: each by itself, as a vector"
    )
    loss: Literal["auto", "softmax", "cosent", "cosine", "in_batch"] = Field(
        "auto",
        description="of encoder=bi: softmax (labels), cosent or cosine (scores), in_batch (which second text belongs "
        "to the first, among those of the batch); auto: softmax for labels, cosent for scores",
    )
    labels: list[str] | None = Field(None, description="all labels; null: those of the training data")
    positive: str | None = Field(
        None, description="of two labels the one that is looked for; null: the one that does not say no"
    )
    scale: tuple[float, float] | None = Field(
        None, description="lowest and highest score; null: the whole numbers around those of the training data"
    )
    ranking: Literal["auto", "none", "given", "all"] = Field(
        "auto",
        description="what is ranked for each first text: the second texts given with it, or all (with loss=in_batch); "
        "auto: all with loss=in_batch, else none",
    )
    class_weights: ClassWeights = Field(
        "none", description="what a training pair counts in the loss: none (1), balanced, or {label: weight}"
    )

    @property
    def bi_loss(self) -> str:
        """The loss of a bi-encoder."""
        if self.loss != "auto":
            return self.loss
        return "cosent" if self.answer == "score" else "softmax"

    @property
    def finds_related(self) -> bool:
        """Whether the pairs that belong together are learnt from, rather than labels."""
        return self.encoder == "bi" and self.loss == "in_batch"

    @property
    def ranked(self) -> str:
        """What is ranked: none, given or all."""
        if self.ranking != "auto":
            return self.ranking
        return "all" if self.finds_related else "none"


# --- which task the options make ----------------------------------------------------------------------------------


def settle(options: MatchingOptions, data: DataConfig) -> MatchingOptions:
    """The options with the kind of answer that the data have."""
    if options.answer != "auto":
        return options
    found = "label" if options.finds_related else label_field(data, TASK.reading)
    return options.model_copy(update={"answer": found})


def fit(task: Task, options: MatchingOptions, model_type: str) -> Task:
    """Cross- or bi-encoder, with a label, a score or a ranking for answer.

    Raises:
        UserError: for options that do not go together, or a backbone that gives no vectors of texts.
    """
    _check(options)
    answer = "score" if options.answer == "score" else "label"
    output: OutputKind = VALUE if answer == "score" else PAIR_LABEL
    if options.encoder == "bi":
        _check_vectors(model_type)
        output = PAIR_RELATED_AMONG_ALL if options.ranked == "all" else BI_ENCODERS[options.bi_loss]
    if options.class_weights != "none":
        output = with_class_weights(output)
    headline = {"label": "accuracy", "score": "spearman"}[answer]
    if options.ranked != "none":
        headline = "mrr" if options.ranked == "all" else "ndcg@10"
    return replace(
        task,
        output=output,
        reading=Reading(("first", "second", answer), (answer,), (answer,) if options.finds_related else ()),
        evaluate=partial(evaluate_pairs, ranked=options.ranked, positive=options.positive),
        headline=headline,
        pipeline=None if options.encoder == "bi" or answer == "score" else task.pipeline,
        choose=choose_line if options.encoder == "bi" and answer == "score" else None,
    )


def _check(options: MatchingOptions) -> None:
    bi, score = options.encoder == "bi", options.answer == "score"
    fitting = ("auto", "cosent", "cosine") if score else ("auto", "softmax", "in_batch")
    if options.loss != "auto" and not bi:
        raise _mistake("loss", f"loss={options.loss} is of a bi-encoder", "Set task.encoder=bi, or task.loss=auto.")
    if options.loss not in fitting:
        what = "scores" if score else "labels"
        raise _mistake(
            "loss", f"loss={options.loss} does not learn from {what}", f"Choose one of: {', '.join(fitting)}."
        )
    if options.ranking == "all" and not options.finds_related:
        raise _mistake(
            "ranking", "every second text can be ranked for every first one only where vectors are compared",
            "Set task.encoder=bi task.loss=in_batch, or task.ranking=given.",
        )  # fmt: skip
    if options.finds_related and options.ranked == "none":
        raise _mistake(
            "ranking", "loss=in_batch learns what belongs together, and is judged by rankings only",
            "Set task.ranking=given or task.ranking=all.",
        )  # fmt: skip
    if score and options.labels is not None:
        raise _mistake("labels", "scores have no labels", "Set task.scale=[lowest,highest], or task.answer=label.")
    if options.scale is not None and not score:
        raise _mistake("scale", "labels have no scale", "Set task.answer=score, or task.scale=null.")
    if options.scale is not None and not options.scale[0] < options.scale[1]:
        raise _mistake("scale", "the lowest score comes first", "Write task.scale=[0,5].")
    if options.class_weights != "none" and (score or options.finds_related):
        raise _mistake("class_weights", "only labels have weights", "Set task.class_weights=none.")


def _mistake(key: str, reason: str, remedy: str) -> UserError:
    return UserError(reason, where=f"task.{key}", remedy=remedy)


def _check_vectors(model_type: str) -> None:
    if is_seq2seq(model_type):
        able = families(each for each in INTERFACES if supports(each, "vectors") and not is_seq2seq(each))
        raise UserError(
            f"a model of type '{model_type}' has an encoder and a decoder, and gives no vector of a text",
            where="model",
            remedy=f"Set task.encoder=cross, or choose one of these families: {', '.join(able)}.",
        )


# --- records -----------------------------------------------------------------------------------------------------


def prepare(splits: Splits, options: MatchingOptions) -> Prepared:
    """The records with both texts as one ``text``, which rules read, and the labels (or the ends of the scale).

    Raises:
        UserError: for labels or scores that do not fit the training data's, or if nothing can be told apart.
    """
    splits = {name: [{**record, "text": text_of(record)} for record in records] for name, records in splits.items()}
    train = splits.get("train", [])
    by_score = options.answer == "score" or (
        options.answer == "auto" and not any(record.get("label") is not None for record in train)
    )
    if by_score and not options.finds_related:
        ends = _scale(splits, options)
        notes: list[str] = []
    else:
        ends = _labels(splits, options)
        check_known(splits, ends, options.labels is not None)
        # Pairs without a label all belong together: there is nothing about labels to say.
        notes = [] if ends == [RELATED] else notes_on(train, ends, lambda record: record["text"], "pair")
        splits = weighted(splits, ends, options.class_weights)
    if options.ranked == "given":
        if not by_score and len(ends) > 1:
            check_positive(ends, options.positive)
        splits = with_popularity(splits, ends, options.positive)
    return Prepared(splits, tuple(ends), notes)


def _labels(splits: Splits, options: MatchingOptions) -> list[str]:
    """All labels; where pairs that belong together are learnt, theirs is the last one."""
    if not options.finds_related:
        return known_labels(splits, options.labels)
    if options.labels is None and not any(r.get("label") is not None for r in splits.get("train", [])):
        return [RELATED]
    labels = known_labels(splits, options.labels, least=1)
    positive = labels[0] if len(labels) == 1 else check_positive(labels, options.positive)
    return [*(label for label in labels if label != positive), positive]


def _scale(splits: Splits, options: MatchingOptions) -> list[str]:
    """The ends of the scale as text: the option's, a finished run's (its labels), or the whole numbers around the
    scores of the training data."""
    scored = [record for records in splits.values() for record in records if record.get("score") is not None]
    if options.scale is not None:
        ends = list(options.scale)
    elif options.labels:
        ends = [float(end) for end in options.labels]
    else:
        own = [record["score"] for record in splits.get("train", []) if record.get("score") is not None]
        ends = [math.floor(min(own)), math.ceil(max(own))] if own else []
    if len(ends) != 2 or ends[0] == ends[1]:
        raise UserError(
            "the scores of the training data are all the same" if ends else "no training example has a score",
            where="task.scale",
            remedy="Give the lowest and the highest score that there can be: task.scale=[0,5].",
        )
    for record in scored:
        if not ends[0] <= record["score"] <= ends[1]:
            raise UserError(
                f"the score {record['score']:g} is outside of the scale from {ends[0]:g} to {ends[1]:g}",
                where=record["source"],
                remedy="Give the lowest and the highest score that there can be: task.scale=[0,5].",
            )
    return [short if float(short := f"{end:g}") == end else repr(end) for end in ends]


# --- in use ------------------------------------------------------------------------------------------------------


TASK = Task(
    name="matching",
    output=PAIR_LABEL,
    options=MatchingOptions,
    headline="accuracy",
    reading=Reading(fields=("first", "second", "label", "score"), labels=("label", "score")),
    prepare=prepare,
    evaluate=evaluate_pairs,
    read_text=read_text,
    answer=answer,
    pipeline="text-classification",
    fit=fit,
    settle=settle,
    read_fields=read_fields,
    example="The shop is closed on Mondays. ||| On Monday you cannot buy anything there.",
)
