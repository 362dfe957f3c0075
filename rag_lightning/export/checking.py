"""Whether an exported model gives the original's answers, on examples of the run's own data; and how fast it is."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rag_lightning.data.records import Record
from rag_lightning.data.shots import without_labels
from rag_lightning.errors import UserError
from rag_lightning.export.graph import graph_of
from rag_lightning.export.options import ExportConfig
from rag_lightning.export.runtime import ExportedModel
from rag_lightning.inference.evaluating import own_data
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import SavedRun

AT_LEAST = 0.5  # seconds that a speed is measured over


@dataclass(frozen=True)
class Difference:
    """Of an exported model from the original.

    Attributes:
        examples: how many were compared.
        logits: the largest difference of a number that the network gives.
        metric: the name of the task's headline.
        ours, theirs: its value by the original and by the export.
        answers: share of the examples with the same answer, confidences aside.
    """

    examples: int
    logits: float
    metric: str
    ours: float
    theirs: float
    answers: float


def examples_of(run: SavedRun, most: int) -> tuple[str, list[Record]]:
    """Examples of the run's test split (else of validation), and the split's name."""
    data = own_data(run)
    split = "test" if "test" in data.splits else "validation"
    return split, [dict(record) for record in data.splits[split].records[:most]]


def compare(run: SavedRun, exported: ExportedModel, split: str, records: list[Record]) -> Difference:
    """Compare in float32, with the same batches.

    Args:
        run: not accelerated.
        records: with labels, for the metric.
    """
    bare = [without_labels(record, run.task.reading) for record in records]
    predictor = Predictor(run, exported.tokens, "cpu", accelerated=False)
    ours, theirs = predictor.predict(bare), exported.predict(bare)
    name = run.task.headline
    here, there = (
        float(run.task.evaluate(split, records, found, run.labels).metrics[name]) for found in (ours, theirs)
    )
    same = sum(_answer(run, r, a) == _answer(run, r, b) for r, a, b in zip(bare, ours, theirs, strict=True))
    largest = largest_difference(run, exported, bare)
    return Difference(len(records), largest, name, here, there, same / max(1, len(records)))


def largest_difference(run: SavedRun, exported: ExportedModel, records: list[Record]) -> float:
    """The largest difference of what the two networks give, where tokens are; both see the export's own input."""
    graph, largest = graph_of(run), 0.0
    for inputs in _inputs(exported, records):
        with torch.inference_mode():
            own = graph(*(torch.from_numpy(inputs[name]) for name in graph.inputs)).numpy()
        apart = np.abs(own - exported.session(inputs))
        if own.ndim == 3:
            apart = apart[inputs["attention_mask"].astype(bool)]
        largest = float(np.maximum(largest, apart.max(initial=0.0)))  # max() would lose what is no number
    return largest


def check(difference: Difference, config: ExportConfig) -> None:
    """Raise a UserError where the export differs by more than is let pass."""
    apart = abs(difference.ours - difference.theirs)
    if not difference.logits <= config.logit_limit:
        what, limit, key = f"a logit differs by {difference.logits:.2g}", config.logit_limit, "tolerance"
    elif not apart <= config.metric_limit:
        what, limit, key = f"{difference.metric} differs by {apart:.3f}", config.metric_limit, "metric_tolerance"
    else:
        return
    raise UserError(
        f"{what} from the original on {difference.examples} examples, more than {limit:g}; nothing was written",
        where=key,
        remedy=f"Set {key}=… if that is good enough" + (", or int8=false." if config.int8 else "."),
    )


def texts_per_second(model: Any, records: list[Record]) -> float:
    """Examples answered in a second on this machine, tokenizer, rules and answers included."""
    model.predict(records[:8])
    done, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < AT_LEAST:
        model.predict(records)
        done += len(records)
    return done / taken


def _inputs(exported: ExportedModel, records: list[Record]) -> Iterator[dict[str, np.ndarray]]:
    for batch in exported.batches(records):
        yield from exported.inputs(batch)


_UNSURE = ("confidence", "scores", "score", "n_best", "no_answer")


def _answer(run: SavedRun, record: Record, prediction: Any) -> Any:
    return _without_numbers(run.task.answer(record, prediction))


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(each) for key, each in value.items() if key not in _UNSURE}
    return [_without_numbers(each) for each in value] if isinstance(value, list) else value
