"""Summarization: records with ``text`` and its summary (or several) as ``target``."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import Field

from rag_lightning.data.records import Record, Splits
from rag_lightning.metrics.writing import lead, rouge
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.outputs.text import CONTINUED
from rag_lightning.tasks.task import Prepared, Task
from rag_lightning.tasks.writing import (
    READING,
    WritingOptions,
    answer_as,
    evaluation_of,
    fit_with_fields,
    prepare_writing,
    read_line,
    references_of,
    tokenizer_for,
    told_by_system,
)


class SummarizationOptions(WritingOptions):
    name: str = "summarization"
    length: str = Field("one sentence", description="fills {length}")
    lead: int = Field(1, ge=1, description="sentences of the baseline that is shown beside: the first of the text")


def slot_fields(record: Record, options: SummarizationOptions) -> dict[str, Any]:
    """What templates show of a record beside its text."""
    return {"length": options.length, **told_by_system(options)}


def prepare(splits: Splits, options: SummarizationOptions) -> Prepared:
    """The records with the length that is asked for."""
    return prepare_writing(splits, partial(slot_fields, options=options))


def evaluate(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    options: SummarizationOptions,
) -> Evaluation:
    """ROUGE-1, -2 and -L beside those of the text's first sentences, and perplexity."""
    references = [references_of(record) for record in records]
    wanted = tokenizer_for(options.tokenize, references)
    # ROUGE has a tokenizer of its own, for languages written with a-z.
    tokenize = None if options.tokenize == "auto" and wanted == "13a" else wanted
    scores, signature = rouge([prediction["text"] for prediction in predictions], references, tokenize)
    first, _ = rouge(lead([record["text"] for record in records], options.lead), references, tokenize)
    sentences = "first sentence" if options.lead == 1 else f"first {options.lead} sentences"
    rows = tuple(
        (name, each["rouge1"], each["rouge2"], each["rougeL"])
        for name, each in (("this model", scores), (sentences, first))
    )
    return evaluation_of(
        split,
        records,
        predictions,
        metrics={**scores, **{f"lead/{key}": value for key, value in first.items()}},
        headline="rougeL",
        tables=[Table("Scores", ("", "ROUGE-1", "ROUGE-2", "ROUGE-L"), rows, signature)],
        closeness=lambda text, rights: rouge([text], [rights], tokenize or "none")[0]["rougeL"],
    )


def fit(task: Task, options: SummarizationOptions, model_type: str) -> Task:
    """The task for this backbone. Errors as of ``fit_writing``."""
    return fit_with_fields(task, options, model_type, partial(slot_fields, options=options), evaluate)


TASK = Task(
    name="summarization",
    output=CONTINUED,
    options=SummarizationOptions,
    headline="rougeL",
    reading=READING,
    prepare=prepare,
    evaluate=partial(evaluate, options=SummarizationOptions()),
    read_text=partial(read_line, fields=partial(slot_fields, options=SummarizationOptions())),
    answer=answer_as("summary"),
    fit=fit,
    shows_before=True,
    example="The boiler broke on Monday. The school stays shut until Thursday, when a new burner arrives.",
)
