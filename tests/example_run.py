"""A synthetic run, for every test that renders one."""

import json
import math
from pathlib import Path

from rag_lightning.report.info import CardInfo, RunInfo
from rag_lightning.tasks.evaluation import Confusion, Evaluation, Table

LABELS = ("B-ORT", "I-ORT", "B-Größe", "I-Größe", "B-人物", "O")
SNIPPET = """from transformers import pipeline

find = pipeline("token-classification", model="runs/x/model", aggregation_strategy="simple")
print(find("Angela Merkel besuchte Köln."))"""


def evaluation(split: str = "test") -> Evaluation:
    """Several labels, text beyond ASCII, and characters that Markdown and tables trip over."""
    entities = Table(
        "Entities (strict IOB2)",
        ("type", "precision", "recall", "f1", "support"),
        (("ORT", 0.91, 0.8, 0.851, 1668), ("Größe", 0.5, 0.25, 0.333, 4), ("micro", 0.9, 0.7, 0.788, 1672)),
        note="A span counts only if both ends and its type are right.",
    )
    tokens = Table("Tokens", ("tag", "f1", "support"), tuple((label, 0.5, 10) for label in LABELS))
    n = len(LABELS)
    counts = tuple(tuple(40 + i if i == j else (i + j) % 3 for j in range(n)) for i in range(n))
    mistakes = [
        {
            "id": f"{split}-{i}",
            "text": "Sie sah 東京 | *alles*\nund <b>`mehr`</b>",
            "gold": "[東京] ORT",
            "predicted": "–",
        }
        for i in range(12)
    ]
    predictions = [
        {
            "id": f"{split}-{i}",
            "tokens": ["Köln", "\ud800", "😀"],
            "gold": ["B-ORT", "O", "O"],
            "confidence": [0.5],
        }
        for i in range(3)
    ]
    metrics = {
        "f1": 0.788,
        "precision": 0.9,
        "recall": 0.7,
        "loss": math.nan,
        "ORT/f1": 0.851,
        "token/macro_f1": 0.5,
    }
    return Evaluation(
        split,
        metrics,
        "f1",
        (entities, tokens),
        Confusion(LABELS, counts),
        predictions,
        mistakes,
        ["3 words got no prediction."],
    )


def history(path: Path, steps: int = 60) -> Path:
    """Sixty steps of two epochs, validated six times."""
    rows = []
    for step in range(1, steps + 1):
        row = {
            "step": step,
            "epoch": 2 * step / steps,
            "train/loss": 2 / step,
            "train/grad_norm": 1 + step % 5,
        }
        row |= {
            "lr/head": 1e-3,
            "lr/backbone": 5e-5 * (1 - step / steps),
            "throughput/tokens_per_s": 4000 + step,
        }
        if step % 10 == 0:
            row |= {"validation/loss": 1.5 / step, "validation/f1": step / 80}
            row |= {"validation/ORT/f1": 0.8, "validation/Größe/f1": 0.4, "validation/micro/f1": 0.6}
        rows.append(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run_info(history_path: Path | None = None) -> RunInfo:
    return RunInfo(
        name="ner-größe-lr3e-5",
        task="ner",
        model="all-MiniLM-L6-v2",
        data="ner_sample",
        command="python -m rag_lightning.train task=ner optimizer.lr=3e-5",
        settings={"optimizer.lr": 3e-5, "data.separator": "|"},
        fingerprint="ab12cd34",
        seed=7,
        versions={"torch": "2.13.0", "transformers": "5.23.0"},
        n_parameters=22_713_216,
        n_trainable=10_646_784,
        split_sizes={"train": 250, "validation": 50, "test": 100},
        duration_s=192.0,
        best_epoch=2.5,
        history=history_path,
        notes=["Tags were IOB1 and were converted to IOB2."],
        usage=[("Evaluate", "python -m rag_lightning.evaluate run=runs/x"), ("Use in Python", SNIPPET)],
        card=CardInfo(SNIPPET, "token-classification", "sentence-transformers/all-MiniLM-L6-v2", language=("en",)),
    )
