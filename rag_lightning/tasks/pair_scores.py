"""What an evaluation of pairs of texts holds: labels, agreement of scores, rankings; each beside a trivial baseline."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rag_lightning.data.records import Record, Splits
from rag_lightning.metrics.agreement import agreement_scores
from rag_lightning.metrics.classes import class_scores, overall_scores
from rag_lightning.metrics.ranking import ranking_scores
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.label_scores import evaluate_labels
from rag_lightning.tasks.outputs.pair_retrieval import is_related
from rag_lightning.tasks.positive import positive_label

CUTOFFS = (1, 5, 10)
_RANKING = ("map", "mrr", "ndcg@10", "recall@1", "recall@10")
_MISTAKES_FROM = 0.1  # share of the scale


def with_popularity(splits: Splits, labels: Sequence[str], positive: str | None) -> Splits:
    """The records with ``popularity``, unless the data give it: how often the second text was right in train."""
    train = splits.get("train", [])
    counts = Counter(r["second"] for r in train if _relevance(r, labels, positive) > 0)
    if not train:  # other data than those of the training
        return splits
    return {
        name: [{"popularity": counts[record["second"]], **record} for record in records]
        for name, records in splits.items()
    }


def evaluate_pairs(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    ranked: str = "none",
    positive: str | None = None,
) -> Evaluation:
    """Scores of labels, of numbers or of rankings, as the predictions are.

    Args:
        records: with ``first``, ``second`` and ``label`` or ``score``.
        predictions: ``{"label", "confidence", "scores"}`` or ``{"score"}`` each.
        labels: the labels, or the ends of the scale.
        ranked: ``given``: the second texts of each first text are candidates for it; ``all``: all second texts are.
        positive: the label that is looked for; None: found by its name.
    """
    if ranked == "all":
        return _among_all(split, records, predictions, labels)
    if predictions and "label" in predictions[0]:
        evaluation = _of_labels(split, records, predictions, labels, positive)
    elif records and records[0].get("score") is not None:
        evaluation = _of_scores(split, records, predictions, labels)
    else:
        evaluation = Evaluation(split, {}, "ndcg@10", predictions=_rows(records, predictions))
    if ranked == "none":
        return evaluation
    return _with_ranking(evaluation, records, predictions, labels, positive)


# --- labels ------------------------------------------------------------------------------------------------------


def _of_labels(
    split: str, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...],
    wanted: str | None,
) -> Evaluation:  # fmt: skip
    """As for single texts; with a positive label also ``precision``, ``recall`` and ``f1`` of it."""
    evaluation = evaluate_labels(
        split, records, predictions, labels, lambda record: {"first": record["first"], "second": record["second"]}
    )
    metrics, gold = dict(evaluation.metrics), [record["label"] for record in records]
    positive = positive_label(labels, wanted)
    if positive is not None:
        metrics |= {name: metrics.get(f"{positive}/{name}", 0.0) for name in ("precision", "recall", "f1")}
    frequent = Counter(gold).most_common(1)[0][0]
    constant = [frequent] * len(gold)
    trivial = overall_scores(gold, constant, class_scores(gold, constant, labels))
    table = _label_baseline(metrics, trivial, frequent)
    if positive is not None:
        of_constant = class_scores(gold, constant, labels)[positive]["f1-score"] if frequent == positive else 0.0
        table = _with_column(table, f"f1 of {positive}", (metrics["f1"], of_constant))
    return replace(evaluation, metrics=metrics, tables=(*evaluation.tables, table))


def _label_baseline(metrics: dict[str, float], trivial: dict[str, float], frequent: str) -> Table:
    rows = [
        (name, scores["accuracy"], scores["macro_f1"], scores["mcc"])
        for name, scores in (("the model", metrics), (f"always {frequent}", trivial))
    ]
    return Table("Baseline", ("", "accuracy", "macro f1", "mcc"), tuple(rows))


def _with_column(table: Table, name: str, cells: Sequence[float]) -> Table:
    rows = tuple((*row, cell) for row, cell in zip(table.rows, cells, strict=True))
    return replace(table, columns=(*table.columns, name), rows=rows)


# --- scores ------------------------------------------------------------------------------------------------------


def _of_scores(
    split: str, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> Evaluation:
    gold = [float(record["score"]) for record in records]
    metrics = agreement_scores(gold, [prediction["score"] for prediction in predictions])
    trivial = agreement_scores(gold, [word_overlap(record) for record in records])
    rows = (
        ("the model", metrics["pearson"], metrics["spearman"]),
        ("share of words in common", trivial["pearson"], trivial["spearman"]),
    )
    return Evaluation(
        split=split,
        metrics=metrics,
        headline="spearman",
        tables=(Table("Agreement with the gold scores", ("", "pearson", "spearman"), rows),),
        predictions=_rows(records, predictions),
        mistakes=_far_off(records, predictions, float(labels[1]) - float(labels[0])),
    )


def word_overlap(record: Record) -> float:
    """Words in common by words in all (Jaccard), capitals and small letters alike."""
    first, second = (set(record[side].casefold().split()) for side in ("first", "second"))
    return len(first & second) / max(1, len(first | second))


def _rows(records: Sequence[Record], predictions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "id": record["id"],
            "first": record["first"],
            "second": record["second"],
            "gold": record.get("label", record.get("score")),
            "predicted": prediction["score"],
        }
        for record, prediction in zip(records, predictions, strict=True)
    ]


def _far_off(records: Sequence[Record], predictions: Sequence[dict[str, Any]], size: float) -> list[dict[str, str]]:
    """The pairs whose score is furthest from the gold one first."""
    pairs = zip(records, predictions, strict=True)
    far = sorted(((abs(p["score"] - r["score"]), r, p["score"]) for r, p in pairs), key=lambda each: -each[0])
    return [
        {"id": r["id"], "text": f"{r['first']} | {r['second']}", "gold": f"{r['score']:g}", "predicted": f"{score:.2f}"}
        for distance, r, score in far
        if distance > _MISTAKES_FROM * size
    ]


# --- rankings ----------------------------------------------------------------------------------------------------


def _relevance(record: Record, labels: Sequence[str], positive: str | None) -> float:
    """1 for the positive label, or how far a score is above the lowest."""
    if record.get("score") is not None:
        return float(record["score"]) - float(labels[0])
    found = positive_label(labels, positive)
    return float(is_related(record, labels) if found is None else record.get("label") in (None, found))


def _with_ranking(
    evaluation: Evaluation, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...],
    wanted: str | None,
) -> Evaluation:  # fmt: skip
    """The evaluation with ``map``, ``mrr``, ``ndcg@k`` and ``recall@k`` of the candidates of each first text."""
    positive = positive_label(labels, wanted)
    lists: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        lists[record["first"]].append(row)

    def grouped(values: Sequence[float]) -> list[list[float]]:
        return [[values[row] for row in rows] for rows in lists.values()]

    relevance = grouped([_relevance(record, labels, wanted) for record in records])
    by_model = [p["score"] if "score" in p else p["scores"][positive] for p in predictions]
    metrics = ranking_scores(relevance, grouped(by_model), CUTOFFS)
    compared = {"the model": metrics}
    if all("popularity" in record for record in records):
        popular = [float(record["popularity"]) for record in records]
        compared["popularity (how often right in train)"] = ranking_scores(relevance, grouped(popular), CUTOFFS)
        metrics = {**metrics, "popularity/ndcg@10": compared["popularity (how often right in train)"]["ndcg@10"]}
    overlap = grouped([word_overlap(record) for record in records])
    compared["share of words in common"] = ranking_scores(relevance, overlap, CUTOFFS)
    compared["chance"] = ranking_scores(relevance, [[0.0] * len(each) for each in relevance], CUTOFFS)
    table = _ranking_table(compared, f"{len(lists):,} first texts with {len(records) / len(lists):.1f} candidates each")
    notes = list(evaluation.notes)
    if left_out := len(lists) - int(metrics["queries"]):
        notes.append(f"{left_out:,} of {len(lists):,} first texts have no right candidate and are not ranked.")
    return replace(
        evaluation,
        metrics={**evaluation.metrics, **metrics},
        headline="ndcg@10",
        tables=(table, *evaluation.tables),
        notes=notes,
    )


def _among_all(
    split: str, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> Evaluation:
    """Each right pair as a query of its own: its second text among all that do not belong to the first."""
    right = [p for r, p in zip(records, predictions, strict=True) if is_related(r, labels)]
    lists = [_as_list(prediction) for prediction in right]
    relevance = [[1.0, *[0.0] * (len(scores) - 1)] for scores in lists]
    metrics = ranking_scores(relevance, lists, CUTOFFS)
    chance = ranking_scores(relevance, [[0.0] * len(scores) for scores in lists], CUTOFFS)
    size = max((prediction["of"] for prediction in right), default=0) + 1
    return Evaluation(
        split=split,
        metrics=metrics,
        headline="mrr",
        tables=(_ranking_table({"the model": metrics, "chance": chance}, f"among up to {size:,} second texts"),),
        predictions=[
            {**row, "better": prediction["better"], "of": prediction["of"]}
            for row, prediction in zip(_rows(records, predictions), predictions, strict=True)
        ],
        mistakes=[
            {
                "id": record["id"],
                "text": record["first"],
                "gold": record["second"],
                "predicted": f"{prediction['better']:,} others are more alike",
            }
            for record, prediction in sorted(
                zip(records, predictions, strict=True), key=lambda pair: -int(pair[1]["better"])
            )
            if is_related(record, labels) and prediction["better"]
        ],
    )


def _as_list(prediction: dict[str, Any]) -> list[float]:
    """Scores of the own second text, which is first, and of the others, as far as their order tells."""
    better, equal = prediction["better"], prediction["equal"]
    return [0.0, *[1.0] * better, *[0.0] * equal, *[-1.0] * (prediction["of"] - better - equal)]


def _ranking_table(compared: dict[str, dict[str, float]], note: str) -> Table:
    rows: list[tuple[str | int | float, ...]] = []
    for name, scores in compared.items():
        rows.append((name, *[scores[each] for each in _RANKING]))
    return Table("Ranking", ("", *_RANKING), tuple(rows), note)
