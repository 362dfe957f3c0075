"""Extractive question answering: records with ``question``, ``context`` and the ``answers`` that stand in it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.decoding.answers import N_BEST, THRESHOLD
from rag_lightning.metrics.answers import answer_scores, best_thresholds, exact_match, f1
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.forms.qa import BETWEEN, answer, read_fields, read_text
from rag_lightning.tasks.outputs.span import LONGEST, SPAN, decode
from rag_lightning.tasks.task import Prepared, Task

_ASKING = regex.compile(r"\b(who|whom|whose|when|where|what|which|why|how)\b", regex.IGNORECASE)
_LETTER = regex.compile(r"\p{L}")
_IDEOGRAPH = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")
_SENTENCE = regex.compile(r"(?:[^.!?。！？]|[.!?](?=\S))+[.!?。！？]*+")
_SAMPLE = 200  # texts whose script is looked at
_SHOWN = 60  # characters on either side of an answer in the table of mistakes


class QaOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "qa"
    no_answer: Literal["auto"] | bool = Field(
        "auto", description="whether a text may lack the answer; auto: if validation has such questions"
    )
    n_best: int = Field(N_BEST, ge=1, le=100, description="different answers that are given, the likeliest first")
    max_answer_tokens: int = Field(LONGEST, ge=1, description="sub-tokens of the longest answer")
    by_character: Literal["auto"] | bool = Field(
        "auto", description="score Chinese, Japanese and Korean by character, as CMRC 2018 does; auto: by the script"
    )


def fit(task: Task, options: QaOptions, model_type: str) -> Task:
    """The task with its options in all that it does."""
    output = replace(SPAN, decode=partial(decode, n_best=options.n_best, longest=options.max_answer_tokens))
    choose = partial(choose_threshold, options=options)
    return replace(task, output=output, evaluate=partial(evaluate, options=options), choose=choose)


def prepare(splits: Splits, options: QaOptions) -> Prepared:
    """The records with their context as ``text``, which rules read and a template shows."""
    changed = {name: [_with_text(record) for record in records] for name, records in splits.items()}
    return Prepared(changed, (), _notes(changed.get("train", [])))


def _with_text(record: Record) -> Record:
    return {"text" if field == "context" else field: value for field, value in record.items()}


def _notes(train: Sequence[Record]) -> list[str]:
    without = sum(record.get("answers") == [] for record in train)
    return [f"{without:,} of {len(train):,} training questions have no answer in their text."] if without else []


def choose_threshold(
    network: Any, records: Sequence[Record], predictions: Sequence[dict[str, Any]], *, options: QaOptions
) -> None:
    """Set in the network's config how much likelier than the best answer no answer must be for silence.

    As the official script of SQuAD 2.0 finds it: the difference of log-probabilities with the best F1 on these records
    (validation). None where every question is answered.
    """
    all_answered = all(record["answers"] for record in records)
    threshold: float | None = None
    if options.no_answer is True or (options.no_answer == "auto" and not all_answered):
        threshold = 0.0 if all_answered else _best_threshold(records, predictions, options)
    setattr(network.config, THRESHOLD, threshold)


def _best_threshold(records: Sequence[Record], predictions: Sequence[dict[str, Any]], options: QaOptions) -> float:
    answers = [_best(prediction) for prediction in predictions]
    differences = [prediction["difference"] for prediction in predictions]
    found = best_thresholds(answers, _references(records), differences, _by_character(records, options))
    # It is the score of one of these questions: half way to the next, rounding cannot turn that question's answer.
    least = found["best_f1_threshold"]
    above = min((each for each in differences if each > least), default=least)
    return round((least + above) / 2, 6)


def _best(prediction: dict[str, Any]) -> str:
    """The best answer, whether it is given or not."""
    return str(prediction["n_best"][0]["answer"]) if prediction["n_best"] else ""


def _references(records: Sequence[Record]) -> list[list[str]]:
    return [[answer["text"] for answer in record["answers"]] for record in records]


def _by_character(records: Sequence[Record], options: QaOptions) -> bool:
    """Whether answers are compared by characters: asked for, or most letters are of a script without spaces."""
    if options.by_character != "auto":
        return options.by_character
    text = " ".join(record["text"] for record in records[:_SAMPLE])
    return 2 * len(_IDEOGRAPH.findall(text)) > len(_LETTER.findall(text))


def evaluate(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    *,
    options: QaOptions,
) -> Evaluation:
    """Exact match and F1 as the official scripts count them, of all questions and of those with and without answer."""
    by_character = _by_character(records, options)
    references = _references(records)
    rows = [_row(record, prediction, by_character) for record, prediction in zip(records, predictions, strict=True)]
    scores = answer_scores([row["predicted"] for row in rows], references, by_character)
    tables = (
        _score_table(scores, by_character),
        _comparison(records, rows, references, by_character),
        _by_question(rows),
    )
    return Evaluation(
        split=split,
        metrics={name: value for name, value in scores.items() if not name.endswith("total")},
        headline="f1",
        tables=tuple(table for table in tables if table is not None),
        predictions=rows,
        mistakes=[_mistake(row) for row in sorted(rows, key=lambda row: -row["confidence"]) if not row["exact_match"]],
        notes=_evaluation_notes(predictions),
    )


def _row(record: Record, prediction: dict[str, Any], by_character: bool) -> dict[str, Any]:
    gold = [answer["text"] for answer in record["answers"]]
    return {
        "id": record["id"],
        "question": record["question"],
        "text": record["text"],
        "gold": list(dict.fromkeys(gold)),
        "predicted": prediction["answer"],
        **{name: prediction[name] for name in ("confidence", "start", "end")},
        "exact_match": exact_match(prediction["answer"], gold, by_character),
        "f1": round(f1(prediction["answer"], gold, by_character), 4),
        "no_answer": prediction["no_answer"],
        "difference": round(prediction["difference"], 4),
        "n_best": prediction["n_best"],
    }


def _score_table(scores: dict[str, float], by_character: bool) -> Table:
    named = {"": "all", "HasAns/": "with an answer", "NoAns/": "without an answer"}
    rows = tuple(
        (name, int(scores[f"{key}total"]), scores[f"{key}exact_match"], scores[f"{key}f1"])
        for key, name in named.items()
        if f"{key}total" in scores
    )
    script = "CMRC 2018, by character" if by_character else "SQuAD, by word"
    return Table(
        "Answers", ("questions", "number", "exact match", "F1"), rows, f"Counted as by the script of {script}."
    )


def _comparison(
    records: Sequence[Record], rows: Sequence[dict[str, Any]], references: list[list[str]], by_character: bool
) -> Table:
    """What needs no training beside the model, and what a perfect choice among its likeliest answers would give."""
    compared = {
        "the sentence most like the question": [_likely_sentence(record, by_character) for record in records],
        "this model": [row["predicted"] for row in rows],
        "the best of the model's likeliest": [_best_of(row, by_character) for row in rows],
    }
    if not all(references):
        compared = {"never an answer": [""] * len(rows), **compared}
    lines = []
    for name, answers in compared.items():
        scores = answer_scores(answers, references, by_character)
        lines.append((name, scores["exact_match"], scores["f1"]))
    return Table("Beside simpler and better answers", ("answers", "exact match", "F1"), tuple(lines))


def _likely_sentence(record: Record, by_character: bool) -> str:
    """The sentence that shares most words (characters) with the question."""
    cut: Callable[[str], list[str]] = list if by_character else str.split
    asked = set(cut(record["question"].lower()))
    sentences = [found.strip() for found in _SENTENCE.findall(record["text"])] or [""]
    return max(sentences, key=lambda sentence: len(asked & set(cut(sentence.lower()))))


def _best_of(row: dict[str, Any], by_character: bool) -> str:
    candidates = [row["predicted"], *(each["answer"] for each in row["n_best"])]
    return max(candidates, key=lambda answer: f1(answer, row["gold"], by_character))


def _by_question(rows: Sequence[dict[str, Any]]) -> Table | None:
    """Scores by the word that asks, where the questions are English."""
    kinds = [found.group().lower() if (found := _ASKING.search(row["question"])) else "other" for row in rows]
    counts = Counter(kinds)
    if 2 * counts["other"] > len(rows):
        return None
    lines = []
    for kind, count in counts.most_common():
        own = [row for row, found in zip(rows, kinds, strict=True) if found == kind]
        mean = {name: sum(row[name] for row in own) / count for name in ("exact_match", "f1")}
        lines.append((kind, count, mean["exact_match"], mean["f1"]))
    return Table("By the word that asks", ("word", "number", "exact match", "F1"), tuple(lines))


def _mistake(row: dict[str, Any]) -> dict[str, str]:
    return {
        "id": row["id"],
        "text": f"{row['question']} {BETWEEN} {_around(row)}",
        "gold": " / ".join(row["gold"]) or "no answer",
        "predicted": f"{row['predicted'] or 'no answer'} ({row['confidence']:.2f})",
    }


def _around(row: dict[str, Any]) -> str:
    """The text on both sides of the first right answer, else of the one that was given."""
    text, place = row["text"], row["start"] or 0
    if row["gold"]:
        place = max(0, text.find(row["gold"][0]))
    start, end = max(0, place - _SHOWN), place + _SHOWN
    return f"{'… ' if start else ''}{text[start:end].strip()}{' …' if end < len(text) else ''}"


def _evaluation_notes(predictions: Sequence[dict[str, Any]]) -> list[str]:
    threshold = predictions[0]["threshold"] if predictions else None
    if threshold is None:
        return []
    return [
        f"No answer is given where ln P(no answer) - ln P(best answer) exceeds {threshold:.3f}, "
        "the threshold with the best F1 on validation."
    ]


TASK = Task(
    name="qa",
    output=SPAN,
    options=QaOptions,
    headline="f1",
    reading=Reading(fields=("question", "context", "answers"), labels=("answers",)),
    prepare=prepare,
    evaluate=partial(evaluate, options=QaOptions()),
    read_text=read_text,
    answer=answer,
    fit=fit,
    read_fields=read_fields,
    example=f"Where did Ada live? {BETWEEN} Ada Lovelace lived in London.",
)
