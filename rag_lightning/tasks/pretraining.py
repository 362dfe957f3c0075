"""Self-supervised pretraining on running text: words behind masks, or the next word.

Continued on texts of a domain or of a task it adapts a backbone before it is fine-tuned (Gururangan et al. 2020, "Don't
Stop Pretraining"): the exported model is the ``model.path`` of any other task.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.encoding.packing import ALONE, text_of
from rag_lightning.errors import UserError
from rag_lightning.model.interface import INTERFACES, families, is_causal, is_seq2seq, supports
from rag_lightning.report.text import shorten
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.outputs.masked_tokens import MASKED_TOKENS
from rag_lightning.tasks.outputs.next_tokens import NEXT_TOKENS
from rag_lightning.tasks.task import Prepared, Task
from rag_lightning.template.options import TemplateConfig
from rag_lightning.template.parse import Slot, parse
from rag_lightning.template.render import MAIN

_HARDEST = 5  # texts that the report shows
_ENOUGH = 10  # guessed tokens of a text whose perplexity says something
_LARGEST = 700.0  # mean loss of which the exponential is still a number
_SHOWN = 120  # characters of a text in a table
# How the mask of these is written; elsewhere it is [MASK].
_MASK_WORDS = dict.fromkeys(("roberta", "camembert", "xlm-roberta", "xlm-roberta-xl", "mpnet"), "<mask>")


class PretrainingOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "pretraining"
    objective: Literal["auto", "masked", "causal"] = Field(
        "auto", description="guess words behind masks, or the next word; auto: what the backbone was made for"
    )
    pack: bool = Field(True, description="fill each window with several documents; else a document has its own windows")
    mask_probability: float = Field(0.15, gt=0, lt=1, description="of a word to be masked")
    whole_words: bool = Field(True, description="mask all sub-tokens of a word together")
    mask_hits: float = Field(0.5, ge=0, lt=1, description="of a word to be masked on which a rule speaks")


def fit(task: Task, options: PretrainingOptions, model_type: str) -> Task:
    """The task with masks or from left to right.

    Raises:
        UserError: for a backbone that cannot do so.
    """
    objective = options.objective
    if objective == "auto":
        objective = "causal" if is_causal(model_type) else "masked"
    _check_objective(objective, options, model_type)
    if objective == "causal":
        return replace(
            task, output=NEXT_TOKENS, evaluate=partial(evaluate, objective=objective), check=_check_causal,
            pipeline="text-generation", example="The ship sailed across the",
        )  # fmt: skip
    mask = _MASK_WORDS.get(model_type, "[MASK]")
    return replace(
        task, output=MASKED_TOKENS, evaluate=partial(evaluate, objective=objective), pipeline="fill-mask",
        example=f"The ship sailed across the {mask}.",
    )  # fmt: skip


def _check_objective(objective: str, options: PretrainingOptions, model_type: str) -> None:
    head = {"masked": "masked_tokens", "causal": "next_tokens"}[objective]
    # transformers has a masked head for some encoder-decoders, which were trained otherwise.
    if supports(model_type, head) and not is_seq2seq(model_type):
        return
    able = families(each for each in INTERFACES if supports(each, head) and not is_seq2seq(each))
    if is_seq2seq(model_type):
        reason = (
            f"a model of type '{model_type}' has an encoder and a decoder, which learn from gaps in a text that they "
            "write anew; this is not offered"
        )
    elif objective == "causal":
        reason = (
            f"a model of type '{model_type}' sees the words behind a place too, so that it cannot learn to guess them"
        )
    else:
        reason = f"a model of type '{model_type}' has no head that guesses words behind masks"
    raise UserError(
        reason,
        where="task.objective" if options.objective != "auto" else "model",
        remedy=f"Choose one of these families: {', '.join(able)}"
        + ("." if options.objective == "auto" else ", or task.objective=auto."),
    )


def check(template: TemplateConfig, ruleset: RuleSet) -> None:
    """Raise a UserError for a template: whole windows of running text have no room for words around them."""
    visible = [part for part in parse(template.text) if isinstance(part, Slot) or part.strip()]
    if len(visible) != 1 or not isinstance(visible[0], Slot) or visible[0].name not in MAIN:
        raise UserError(
            f"template={template.name} puts words around an example, and pretraining reads running text as it stands",
            where="template",
            remedy="Choose template=none. Rules take part without one: words on which they speak are masked more often "
            "(task.mask_hits).",
        )


def _check_causal(template: TemplateConfig, ruleset: RuleSet) -> None:
    check(template, ruleset)
    if ruleset.rules:
        raise UserError(
            "rules say which words are masked more often, and a network that guesses the next word masks none",
            where="rules",
            remedy="Choose rules=none, or a backbone with masks.",
        )


def prepare(splits: Splits, options: PretrainingOptions) -> Prepared:
    """The records as they are; there are no labels."""
    return Prepared(splits, (), [])


def evaluate(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    objective: str = "masked",
) -> Evaluation:
    """Perplexity, bits per token, and how often the likeliest token was right, over all tokens that were guessed."""
    tokens = sum(prediction["tokens"] for prediction in predictions)
    scores = _scores(predictions)
    what = "masked" if objective == "masked" else "next"
    row = (f"{tokens:,}", _number(scores["perplexity"]), _number(scores["bits_per_token"]), f"{scores['accuracy']:.1%}")
    table = Table(f"Guessing the {what} token", ("tokens guessed", "perplexity", "bits per token", "right"), (row,))
    return Evaluation(
        split=split,
        metrics=scores,
        headline="perplexity",
        tables=(table, *_hardest(records, predictions)),
        predictions=[
            {"id": record["id"], **answer(record, prediction)}
            for record, prediction in zip(records, predictions, strict=True)
        ],
    )


def _scores(predictions: Sequence[dict[str, Any]]) -> dict[str, float]:
    tokens = max(1, sum(prediction["tokens"] for prediction in predictions))
    mean = sum(prediction["loss"] for prediction in predictions) / tokens
    return {
        "perplexity": math.exp(min(mean, _LARGEST)),
        "bits_per_token": mean / math.log(2),
        "accuracy": sum(prediction["right"] for prediction in predictions) / tokens,
    }


def _hardest(records: Sequence[Record], predictions: Sequence[dict[str, Any]]) -> list[Table]:
    """The texts that surprise most: another language, tables, damaged files."""
    long = [(p["loss"] / p["tokens"], number) for number, p in enumerate(predictions) if p["tokens"] >= _ENOUGH]
    rows = [
        (str(records[number]["id"]), _number(math.exp(min(mean, _LARGEST))), shorten(text_of(records[number]), _SHOWN))
        for mean, number in sorted(long, reverse=True)[:_HARDEST]
    ]
    return [Table("Hardest texts", ("id", "perplexity", "text"), tuple(rows))] if rows else []


def _number(value: float) -> str:
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def read_text(line: str) -> Record:
    """A line of plain text as a record that is read by itself."""
    return {"text": line, "document": ALONE}


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The text, how many of its tokens were guessed, and how well; without any, only the text."""
    text, tokens = text_of(record), prediction["tokens"]
    if not tokens:
        return {"text": text, "tokens": 0}
    scores = {name: round(value, 4) for name, value in _scores([prediction]).items()}
    return {"text": text, "tokens": tokens, **scores}


TASK = Task(
    name="pretraining",
    output=MASKED_TOKENS,
    options=PretrainingOptions,
    headline="perplexity",
    reading=Reading(fields=("text", "tokens")),
    prepare=prepare,
    evaluate=evaluate,
    read_text=read_text,
    answer=answer,
    fit=fit,
    check=check,
    lower_is_better=True,
    shows_before=True,
)
