"""What tasks share whose answer is a text: options, records with what templates show, rows, samples and notes."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError
from rag_lightning.metrics.writing import TOKENIZERS
from rag_lightning.model.interface import is_seq2seq
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.outputs.text import text_output
from rag_lightning.tasks.task import Prepared, Task

READING = Reading(fields=("text", "target"), labels=("target",))
Fields = Callable[[Record], dict[str, Any]]
Score = Callable[[Sequence[str], Sequence[Any]], tuple[dict[str, float], str]]
_SAMPLES = 5  # shown in the report
_SHOWN = 200  # characters of a sample's source
_UNSPACED = r"\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_SCRIPTS = regex.compile(rf"(?P<han>\p{{Han}})|(?P<other>[{_UNSPACED}])|[\p{{L}}--[\p{{Han}}{_UNSPACED}]]+", regex.V1)


class WritingOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    chat: bool | Literal["auto"] = Field(
        "auto",
        description="write the prompt as a message by the backbone's chat template; auto: if its tokenizer has one "
        "(only decoders; encoder-decoders read the prompt as it is)",
    )
    system: str | None = Field(
        None, description="with a chat template: the system's message before the prompt; null: the template's own"
    )
    tokenize: str = Field(
        "auto",
        description="how words are counted in the scores, one of sacrebleu's tokenizers (13a, intl, zh, char …); auto: "
        "by the script of the references",
    )


def fit_writing(task: Task, options: WritingOptions, model_type: str) -> Task:
    """The task with the output kind of this backbone.

    Raises:
        UserError: an unknown tokenizer of the scores, or a conversation with a backbone that has none.
    """
    if options.tokenize not in ("auto", *TOKENIZERS):
        raise UserError(
            f"there is no tokenizer {options.tokenize!r} for the scores",
            where="task.tokenize",
            remedy=f"Choose one of auto, {', '.join(TOKENIZERS)}.",
        )
    if options.chat is True and is_seq2seq(model_type):
        raise UserError(
            f"a model of type '{model_type}' reads a source, not a conversation",
            where="task.chat",
            remedy="Set task.chat=auto.",
        )
    return replace(task, output=text_output(model_type))


def fit_with_fields(
    task: Task, options: WritingOptions, model_type: str, fields: Fields, evaluate: Callable[..., Evaluation]
) -> Task:
    """As :func:`fit_writing`, for a task whose templates show ``fields`` and whose ``evaluate`` takes the options."""
    return replace(
        fit_writing(task, options, model_type),
        evaluate=partial(evaluate, options=options),
        read_text=partial(read_line, fields=fields),
        read_fields=partial(read_object, fields=fields),
    )


def told_by_system(options: WritingOptions) -> dict[str, Any]:
    """The field of a record with what the system says before it, where the user wrote that."""
    return {} if options.system is None else {"turns": [{"role": "system", "text": options.system}]}


def prepare_writing(splits: Splits, fields: Fields) -> Prepared:
    """The records with what templates and conversations show beside the text; what a record has of that is kept.

    Args:
        splits: records with ``text`` and ``target``.
        fields: record -> further fields.
    """
    prepared = {name: [{**fields(record), **record} for record in records] for name, records in splits.items()}
    train = [record.get("target") for record in prepared.get("train", [])]
    several = sum(isinstance(target, list) and len(target) > 1 for target in train)
    count = "1 training example has" if several == 1 else f"{several:,} training examples have"
    note = f"{count} several references; the first of them is learnt, all are scored."
    return Prepared(prepared, (), [note] if several else [])


def read_line(line: str, fields: Fields) -> Record:
    """A line of plain text as an unlabelled record."""
    return {**fields({"text": line}), "text": line}


def read_object(given: dict[str, Any], where: str, fields: Fields) -> Record:
    """A JSON object with ``text``, and whatever else templates show, as an unlabelled record.

    Raises:
        UserError: there is no text.
    """
    if not isinstance(given.get("text"), str):
        raise UserError("an input needs a text", where=where, remedy='As {"id": 1, "text": "…"}.')
    record = read_line(given["text"], fields)
    return {**record, **{name: given[name] for name in record if isinstance(given.get(name), str)}}


def references_of(record: Record) -> list[str]:
    """The right texts of a record."""
    target = record["target"]
    return [target] if isinstance(target, str) else list(target)


def tokenizer_for(wanted: str, references: Sequence[Sequence[str]]) -> str:
    """The scores' tokenizer: as wanted, or for ``auto`` zh for Chinese, char for other scripts without spaces, 13a."""
    if wanted != "auto":
        return wanted
    counts = Counter(found.lastgroup for texts in references for text in texts for found in _SCRIPTS.finditer(text))
    han, other, words = counts["han"], counts["other"], counts[None]
    if han + other <= words:
        return "13a"
    return "char" if other > han / 10 else "zh"  # Japanese has Han characters too


def evaluation_of(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    *,
    metrics: dict[str, float],
    headline: str,
    tables: Sequence[Table],
    closeness: Callable[[str, Sequence[str]], float],
) -> Evaluation:
    """The parts of an evaluation that do not depend on how texts are scored.

    Args:
        metrics: of the task; perplexity is added.
        tables: with the baselines; samples are added.
        closeness: (text, references) -> how good one text is; the worst are shown as mistakes.
    """
    rows = [_row(record, prediction) for record, prediction in zip(records, predictions, strict=True)]
    return Evaluation(
        split=split,
        metrics={**metrics, **_perplexity(predictions)},
        headline=headline,
        tables=(*tables, _samples(rows)),
        predictions=rows,
        mistakes=_mistakes(rows, closeness),
        notes=_notes(split, predictions),
    )


def _row(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    row = {"id": record["id"], "text": record["text"], "gold": references_of(record), "predicted": prediction["text"]}
    return {**row, "ended": prediction["ended"], "log_likelihood": round(prediction["log_likelihood"], 4)}


def _perplexity(predictions: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of a token of the first reference; it hangs on the backbone's tokens and compares only models that share them."""
    tokens = sum(each["n_tokens"] for each in predictions)
    likelihood = sum(each["log_likelihood"] for each in predictions)
    return {"perplexity": math.exp(min(-likelihood / tokens, 700.0))} if tokens else {}


def _samples(rows: Sequence[dict[str, Any]]) -> Table:
    """Examples from the whole split, always the same ones."""
    step = max(1, len(rows) // _SAMPLES)
    shown = tuple((shorten(row["text"], _SHOWN), row["gold"][0], row["predicted"]) for row in rows[::step][:_SAMPLES])
    return Table("Samples", ("input", "reference", "written"), shown)


def _mistakes(rows: Sequence[dict[str, Any]], closeness: Callable[[str, Sequence[str]], float]) -> list[dict[str, str]]:
    """The texts that are no reference, the worst first."""
    wrong = [(closeness(row["predicted"], row["gold"]), row) for row in rows if row["predicted"] not in row["gold"]]
    return [
        {"id": row["id"], "text": row["text"], "gold": row["gold"][0], "predicted": row["predicted"]}
        for _, row in sorted(wrong, key=lambda each: each[0])
    ]


def _notes(split: str, predictions: Sequence[dict[str, Any]]) -> list[str]:
    notes = []
    total = len(predictions)
    if unfinished := sum(each["ended"] == "length" for each in predictions):
        notes.append(
            f"{unfinished:,} of {total:,} texts written for {split} did not end within generation.max_new_tokens."
        )
    if cut := sum(each["target_cut"] > 0 for each in predictions):
        notes.append(f"{cut:,} of {total:,} reference texts of {split} do not fit the window; perplexity sees a part.")
    return notes


def answer_as(key: str) -> Callable[[Record, dict[str, Any]], dict[str, Any]]:
    """What prediction gives: the text, what was written under ``key``, and what a user should know about it."""

    def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {"text": record["text"], key: prediction["text"]}
        if prediction["ended"] == "length":
            given["unfinished"] = True
        return {**given, "cut": prediction["cut"]} if prediction["cut"] else given

    return answer
