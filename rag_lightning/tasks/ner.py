"""Named-entity recognition: records with ``tokens`` and ``tags`` (any usual scheme) or ``text`` and ``spans``."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.reading import TAGGED_TOKENS
from rag_lightning.data.records import Record, Splits
from rag_lightning.errors import UserError, nearest
from rag_lightning.metrics.entities import AVERAGES, entity_scores, score_table
from rag_lightning.metrics.tokens import tag_confusion, token_scores
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.tasks.forms.ner import answer, entities_of, read_text
from rag_lightning.tasks.outputs.token_labels import TOKEN_LABELS
from rag_lightning.tasks.spans import spans_to_tags, words_with_offsets
from rag_lightning.tasks.tag_schemes import detect_scheme, repair_iob2, to_iob2
from rag_lightning.tasks.task import Prepared, Task


class NerOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "ner"
    labels: list[str] | None = Field(None, description="entity types; null: those of the training data")
    subwords: Literal["all", "first"] = Field("all", description="sub-tokens of a word that carry its tag")


def prepare(splits: Splits, options: NerOptions) -> Prepared:
    """All records with tokens and IOB2 tags.

    Raises:
        UserError: for an unknown tag scheme, or a type that the training data does not have.
    """
    notes: list[str] = []
    splits = {name: [_with_tags(record) for record in records] for name, records in splits.items()}
    everything = [record for records in splits.values() for record in records if record.get("tags") is not None]
    scheme = detect_scheme([r["tags"] for r in everything], [r["source"] for r in everything])
    if scheme.name != "IOB2":
        notes.append(f"Tags are {scheme.description}; converted to IOB2.")
    converted = iter(to_iob2([r["tags"] for r in everything], scheme))
    repaired = 0
    for records in splits.values():
        for position, record in enumerate(records):
            if record.get("tags") is not None:
                tags, n = repair_iob2(next(converted))
                repaired += n
                records[position] = {**record, "tags": tags}
    if repaired:
        notes.append(f"{repaired} tags I-X that began an entity were read as B-X.")
    types = _types(splits, options)
    labels = ("O", *(f"{prefix}-{name}" for name in types for prefix in "BI"))
    return Prepared(splits, labels, notes)


def _with_tags(record: Record) -> Record:
    """A record of text and spans, as annotation tools give it, in words and tags."""
    if "tokens" in record:
        return dict(record)
    words = words_with_offsets(record["text"])
    made = {**record, "tokens": [word for word, _, _ in words]}
    if record.get("spans") is not None:
        made["tags"], _ = spans_to_tags(words, record["spans"])
    return made


def _types(splits: Splits, options: NerOptions) -> list[str]:
    if options.labels is not None:
        known, origin = list(options.labels), "task.labels"
    else:
        known = sorted({tag[2:] for record in splits["train"] for tag in record["tags"] if tag != "O"})
        origin = "the training data"
    if not known:
        raise UserError(
            "no entity in the training data, every tag is O",
            where=splits["train"][0]["source"] if splits["train"] else "train",
            remedy="Check the tag column with data.fields.tags=….",
        )
    for name, records in splits.items():
        for record in records:
            for tag in record.get("tags") or ():
                if tag != "O" and tag[2:] not in known:
                    close = nearest(tag[2:], known)
                    hint = f"Misspelt {close[0]}? Else " if close else ""
                    raise UserError(
                        f"the {name} data has type {tag[2:]!r}, which {origin} does not have ({', '.join(known)})",
                        where=record["source"],
                        remedy=f"{hint}{'n' if hint else 'N'}ame all types: "
                        f"'task.labels=[{','.join([*known, tag[2:]])}]'.",
                    )
    return known


def evaluate(
    split: str, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> Evaluation:
    """Entity level (strict IOB2) and token level, as the literature gives them."""
    gold = [record["tags"] for record in records]
    repaired = [repair_iob2(prediction["tags"]) for prediction in predictions]
    predicted = [tags for tags, _ in repaired]
    by_entity, by_token = entity_scores(gold, predicted), token_scores(gold, predicted, labels)
    rows = [
        _prediction_row(record, tags, prediction["confidence"])
        for record, tags, prediction in zip(records, predicted, predictions, strict=True)
    ]
    n_repaired = sum(n for _, n in repaired)
    notes = [f"{n_repaired} predicted tags I-X that began an entity were read as B-X."] if n_repaired else []
    ordered = [label for label in labels if label != "O"] + ["O"]
    return Evaluation(
        split=split,
        metrics=_metrics(by_entity, by_token),
        headline="f1",
        tables=(
            score_table("Entities", by_entity, "strict IOB2: type and both ends must be right"),
            score_table("Tags", {**{k: by_token[k] for k in ordered}, **_averages(by_token)}, "every token, O too"),
        ),
        confusion=tag_confusion(gold, predicted, ordered),
        predictions=rows,
        mistakes=[_mistake(row) for row in rows if row["predicted"] != row["gold"]],
        notes=notes,
    )


def _averages(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: scores[name] for name in AVERAGES if name in scores}


def _metrics(by_entity: dict[str, dict[str, float]], by_token: dict[str, dict[str, float]]) -> dict[str, float]:
    zero = {"precision": 0.0, "recall": 0.0, "f1-score": 0.0}
    micro = by_entity.get("micro avg", zero)
    metrics = {
        "f1": micro["f1-score"],
        "precision": micro["precision"],
        "recall": micro["recall"],
        "macro_f1": by_entity.get("macro avg", zero)["f1-score"],
        "token/accuracy": by_token["micro avg"]["f1-score"],
        "token/macro_f1": by_token["macro avg"]["f1-score"],
        "token/weighted_f1": by_token["weighted avg"]["f1-score"],
    }
    for name, row in by_entity.items():
        if name not in AVERAGES:
            metrics |= {f"{name}/{k}": row[v] for k, v in (("precision", "precision"), ("recall", "recall"))}
            metrics[f"{name}/f1"] = row["f1-score"]
    return metrics


def _prediction_row(record: Record, tags: list[str], confidence: list[float]) -> dict[str, Any]:
    return {
        "id": record["id"],
        "tokens": record["tokens"],
        "gold": record["tags"],
        "predicted": tags,
        "confidence": confidence,
        "entities": entities_of(record["tokens"], tags, confidence),
        "gold_entities": entities_of(record["tokens"], record["tags"], None),
    }


def _mistake(row: dict[str, Any]) -> dict[str, str]:
    def spans(entities: list[dict[str, Any]]) -> str:
        return "; ".join(f"[{e['text']}] {e['type']}" for e in entities) or "—"

    return {
        "id": row["id"],
        "text": " ".join(row["tokens"]),
        "gold": spans(row["gold_entities"]),
        "predicted": spans(row["entities"]),
    }


TASK = Task(
    name="ner",
    output=TOKEN_LABELS,
    options=NerOptions,
    headline="f1",
    reading=TAGGED_TOKENS,
    prepare=prepare,
    evaluate=evaluate,
    read_text=read_text,
    answer=answer,
    pipeline="token-classification",
)
