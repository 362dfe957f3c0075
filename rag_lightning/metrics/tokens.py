"""Token-level scores: every token's tag counts, O included."""

from collections.abc import Sequence

from sklearn.metrics import classification_report, confusion_matrix

from rag_lightning.tasks.evaluation import Confusion


def token_scores(
    gold: Sequence[list[str]], predicted: Sequence[list[str]], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support per tag, with micro, macro and weighted averages over all tokens."""
    flat_gold = [tag for tags in gold for tag in tags]
    flat_predicted = [tag for tags in predicted for tag in tags]
    # All tags are given, so sklearn reports accuracy instead of the (equal) micro average.
    report = classification_report(flat_gold, flat_predicted, labels=list(labels), output_dict=True, zero_division=0)
    accuracy = report.pop("accuracy", None)
    if accuracy is not None:
        report["micro avg"] = {
            "precision": accuracy, "recall": accuracy, "f1-score": accuracy, "support": len(flat_gold)
        }  # fmt: skip
    return {name: {key: float(value) for key, value in row.items()} for name, row in report.items()}


def tag_confusion(gold: Sequence[list[str]], predicted: Sequence[list[str]], labels: Sequence[str]) -> Confusion:
    """How often each gold tag (row) was predicted as each tag (column)."""
    counts = confusion_matrix(
        [tag for tags in gold for tag in tags], [tag for tags in predicted for tag in tags], labels=list(labels)
    )
    return Confusion(tuple(labels), tuple(tuple(int(n) for n in row) for row in counts), "Tags, gold × predicted")
