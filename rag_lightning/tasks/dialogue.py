"""Dialogue: the assistant's next turn, written from what was said before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.nested_values import read_turns
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.encoding.render import Segment, render_plain
from rag_lightning.errors import UserError
from rag_lightning.metrics.ranking import ranking_scores
from rag_lightning.metrics.writing import bleu, chrf, distinct, most_frequent
from rag_lightning.model.interface import is_seq2seq
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.outputs.candidates import choosing
from rag_lightning.tasks.outputs.prompts import uses_chat
from rag_lightning.tasks.outputs.text import CONTINUED
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind, Prepared, Task
from rag_lightning.tasks.turns import (
    CANDIDATES,
    NAMES,
    answered_by_assistant,
    examples_of,
    merged,
    most_frequent_reply,
    question,
    with_candidates,
)
from rag_lightning.tasks.writing import (
    WritingOptions,
    answer_as,
    evaluation_of,
    fit_writing,
    references_of,
    tokenizer_for,
)

_FREQUENT = "most_frequent"  # the field of an example to be judged that holds the baseline's reply
_READS_LINES = DataConfig(name="prediction", format="jsonl")
Encode = Callable[[Sequence[Record], int, EncodingContext], Columns]


class SelectionOptions(BaseModel):
    """Response selection: whether the model finds the right reply likelier than wrong ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    among: int = Field(10, ge=0, description="replies to choose from, the right one among them; 0: none of this")
    examples: int | None = Field(50, ge=1, description="test examples that it is done for, drawn; null: all")
    wrong: str = Field(
        "split",
        description="where wrong replies come from; split: other examples of the split; else a field that lists them, "
        "such as negatives",
    )
    seed: int = Field(0, ge=0, description="of the draw")


class DialogueOptions(WritingOptions):
    name: str = "dialogue"
    replies: Literal["all", "last"] = Field(
        "all", description="which turns of the assistant are examples: all, or the last of each dialogue"
    )
    most_turns: int | None = Field(
        None, ge=0, description="turns before the user's last one that are read, the latest; null: all that fit"
    )
    system: str | None = Field(None, description="a message of the system before dialogues that have none")
    selection: SelectionOptions = SelectionOptions()


def fit(task: Task, options: DialogueOptions, model_type: str) -> Task:
    """The task with the output kind of this backbone, reading what the options say of earlier turns."""
    task = fit_writing(task, options, model_type)
    return replace(
        task,
        output=choosing(telling_history(task.output, chats=not is_seq2seq(model_type))),
        evaluate=partial(evaluate, tokenize=options.tokenize),
        read_text=partial(read_text, options=options),
        read_fields=partial(read_fields, options=options),
    )


def telling_history(kind: OutputKind, chats: bool = True) -> OutputKind:
    """The kind that puts earlier turns before the last one where neither a chat template nor one of ours does."""
    return replace(kind, encode=partial(_encode, encode=kind.encode, chats=chats))


def _encode(records: Sequence[Record], first: int, context: EncodingContext, *, encode: Encode, chats: bool) -> Columns:
    if context.render is render_plain and not (chats and uses_chat(context.words, context)):  # type: ignore[arg-type]
        context = replace(context, render=render_lines)
    return encode(records, first, context)


def render_lines(record: Record) -> list[Segment]:
    """``User: Are you open? Assistant: Until six. User: On Sundays too? Assistant:``, as template=dialogue_history."""
    asked = [Segment((f"{NAMES['user']}:",)), Segment(record["text"].split(), "text")]
    earlier = [Segment(record["history"].split(), "history", rank=1)] if record["history"] else []
    return [*earlier, *asked, Segment((f"{NAMES['assistant']}:",))]


def prepare(splits: Splits, options: DialogueOptions) -> Prepared:
    """An example for each reply; the test split's with replies to choose from, judged ones with the baseline's.

    Raises:
        UserError: if a split has no reply.
    """
    examples, notes = {}, []
    for name, records in splits.items():
        found = [_examples(record, options) for record in records]
        examples[name] = [example for each in found for example in each]
        if records and not examples[name]:
            raise UserError(
                f"no dialogue of {name} has a turn of the assistant behind one of the user",
                where=records[0]["source"],
                remedy='The roles are "user" and "assistant"; turns without roles take turns, the user\'s first.',
            )
        if without := sum(not each for each in found):
            notes.append(f"{without:,} of {len(records):,} dialogues of {name} have no reply and are left out.")
    frequent = most_frequent_reply(examples.get("train", []))
    # Validation, which is done again and again, goes without candidates, unless it is all that is asked for.
    choosing_in = ("test",) if "train" in examples else ("validation", "test")
    for name in ("validation", "test"):
        if name in examples:
            judged = examples[name] if name not in choosing_in else _with_candidates(examples[name], options.selection)
            examples[name] = judged if frequent is None else [{**record, _FREQUENT: frequent} for record in judged]
    return Prepared(examples, (), notes)


def _with_candidates(examples: Sequence[Record], options: SelectionOptions) -> list[Record]:
    if options.among < 2:
        return list(examples)
    return list(
        with_candidates(examples, among=options.among, most=options.examples, source=options.wrong, seed=options.seed)
    )


def _examples(record: Record, options: DialogueOptions) -> list[Record]:
    if "turns" not in record:  # an unlabelled text
        return [{**record, **read_text(record["text"], options=options)}]
    return examples_of(record, replies=options.replies, most_turns=options.most_turns, system=options.system)


def evaluate(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    *,
    tokenize: str = "auto",
) -> Evaluation:
    """Perplexity, BLEU, distinct-n and response selection, beside the reply that is most frequent in training."""
    references = [references_of(record) for record in records]
    words = tokenizer_for(tokenize, references)
    written = [prediction["text"] for prediction in predictions]
    scores, signature = bleu(written, references, words)
    metrics = {**scores, **distinct(written, words)}
    rows = [_scores_row("model", metrics)]
    if frequent := next((record[_FREQUENT] for record in records if _FREQUENT in record), None):
        same = most_frequent([frequent], len(records))
        others = {**bleu(same, references, words)[0], **distinct(same, words)}
        rows.append(_scores_row(f"most frequent: {frequent}", others))
    tables = [
        Table("Replies", ("", "BLEU", "distinct-1", "distinct-2", "length"), tuple(rows), note=f"BLEU: {signature}")
    ]
    selected = _selection(predictions)
    if selected is not None:
        tables.append(selected[0])
        metrics |= selected[1]
    evaluation = evaluation_of(
        split, [_with_history(record) for record in records], predictions, metrics=metrics, headline="perplexity",
        tables=tables, closeness=lambda text, right: chrf([text], [right])[0]["chrf"],
    )  # fmt: skip
    rows_of_file = [
        {**row, **_choice(record, prediction)}
        for row, record, prediction in zip(evaluation.predictions, records, predictions, strict=True)
    ]
    return replace(evaluation, predictions=rows_of_file)


def _scores_row(name: str, scores: dict[str, float]) -> tuple[str | float, ...]:
    return (name, f"{scores['bleu']:.2f}", scores["distinct-1"], scores["distinct-2"], f"{scores['length_ratio']:.2f}")


def _selection(predictions: Sequence[dict[str, Any]]) -> tuple[Table, dict[str, float]] | None:
    """Table and metrics of the examples that had candidates; the first of these is the right one."""
    scores = [prediction[CANDIDATES] for prediction in predictions if prediction.get(CANDIDATES)]
    if not scores:
        return None
    found = ranking_scores([[1.0, *[0.0] * (len(row) - 1)] for row in scores], scores, cutoffs=(1,))
    chance = float(np.mean([1 / len(row) for row in scores]))
    metrics = {"recall@1": found["recall@1"], "mrr": found["mrr"]}
    most = max(map(len, scores))
    table = Table(
        f"Response selection among {most}",
        ("", "recall@1", "MRR"),
        (("model", *metrics.values()), ("by chance", chance, float(np.mean([_mrr(len(row)) for row in scores])))),
        note=f"Of {len(scores):,} examples; chosen is the reply with the highest log-likelihood per token.",
    )
    return table, metrics


def _mrr(size: int) -> float:
    """The mean reciprocal rank of a random order."""
    return sum(1 / rank for rank in range(1, size + 1)) / size


def _with_history(record: Record) -> Record:
    """With all that was said as its text, as a reader of samples needs it."""
    return {**record, "text": f"{record['history']} {NAMES['user']}: {record['text']}".strip()}


def _choice(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    if not prediction.get(CANDIDATES):
        return {}
    scores = prediction[CANDIDATES]
    chosen = record[CANDIDATES][int(np.argmax(scores))]
    return {
        "chosen": chosen,
        CANDIDATES: {text: round(s, 4) for text, s in zip(record[CANDIDATES], scores, strict=True)},
    }


def read_text(line: str, *, options: DialogueOptions) -> Record:
    """A line of plain text as the first turn of a dialogue."""
    return question([{"role": "user", "text": line}], options.most_turns, options.system)


def read_fields(given: dict[str, Any], where: str, *, options: DialogueOptions) -> Record:
    """``{"turns": […]}`` or ``{"text": "…"}`` as an unlabelled record.

    Raises:
        UserError: if there is neither, or nothing to answer.
    """
    if isinstance(given.get("text"), str) and "turns" not in given:
        return read_text(given["text"], options=options)
    if "turns" not in given:
        raise UserError("a dialogue needs turns or a text", where=where, remedy='As {"turns": ["Hello", "Hi!", "…"]}.')
    turns = merged(read_turns(given["turns"], _READS_LINES, where))
    if not any(isinstance(turn, dict) for turn in given["turns"]):
        turns = answered_by_assistant(turns)  # who spoke first is not said
    if turns[-1]["role"] != "user":
        raise UserError(
            f"the last turn is the {turns[-1]['role']}'s, so that there is nothing to answer",
            where=where,
            remedy="Let a turn of the user be the last.",
        )
    return question(turns, options.most_turns, options.system)


_DEFAULTS = DialogueOptions()

TASK = Task(
    name="dialogue",
    output=choosing(telling_history(CONTINUED)),
    options=DialogueOptions,
    headline="perplexity",
    reading=Reading(fields=("turns", "target"), optional=("target",)),
    prepare=prepare,
    evaluate=evaluate,
    read_text=partial(read_text, options=_DEFAULTS),
    answer=answer_as("reply"),
    fit=fit,
    read_fields=partial(read_fields, options=_DEFAULTS),
    lower_is_better=True,
    shows_before=True,
    example="Are you open on Sundays?",
)
