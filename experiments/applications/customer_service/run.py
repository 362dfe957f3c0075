"""A bank's customer service: intents, refusal, answers, look-up of past questions, written answers; each step measured.

    python experiments/applications/customer_service/run.py                  # the embedded sample, offline
    python experiments/applications/customer_service/run.py --data FOLDER    # Banking77 and TREC
    python experiments/applications/customer_service/run.py --ask "My Visa was stolen yesterday"

FOLDER holds ``banking77/`` (train.csv, test.csv) and ``trec/`` (TREC_10.label). Some intents are held out of the
training. Three backbones are compared: pretrained, fine-tuned, and fine-tuned with ``retention=balanced``, which
``--ask`` uses (without a question it reads them line by line). OUTPUT/results.json has the figures, OUTPUT/service.png
the picture.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from desk import SCORES, Desk, Judged, Parts, Reader, answer_in_steps, labels_of, texts_of
from picture import picture

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import to_plain
from rag_lightning.data import samples
from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.inference.drawn import Writer, as_context, load_writer
from rag_lightning.inference.lookup import recall_at
from rag_lightning.inference.refusal import area_under, detection, nearness, risk_coverage
from rag_lightning.inference.replies import read_replies
from rag_lightning.metrics.grounding import grounded_share
from rag_lightning.metrics.writing import rouge
from rag_lightning.model.options import ModelConfig
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import read_rules
from rag_lightning.template.parse import parse
from rag_lightning.train import train

HERE = Path(__file__).resolve().parent
OF_SAMPLE = ["task=classification", "optimizer.lr=2e-4", "tuning.head_lr=2e-3", "trainer.max_epochs=20",
             "batching.size=16"]  # fmt: skip
REAL = ["recipe=banking77", "trainer.max_epochs=4"]
HELD_OUT = {"sample": 3, "banking77": 10}  # intents that the training does not see, drawn with a fixed seed
RETENTION = {"plain": "none", "balanced": "balanced"}
SIZES = range(1, 11)  # of the look-up
SYSTEM = "You work at a bank's service desk. Answer the customer in one or two short sentences, with what is known."
WRITING = GenerationOptions(max_new_tokens=40, no_repeat_ngram_size=5)


def main() -> None:
    given = _arguments()
    try:
        _work(given)
    except UserError as error:
        sys.exit(str(error))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with banking77 and trec; else the sample")
    parser.add_argument(
        "--output", type=Path, help="default: runs/customer_service, or runs/customer_service_banking77"
    )
    parser.add_argument("--refuse", type=float, default=0.05, help="share of known questions refused by mistake")
    parser.add_argument("--score", choices=SCORES, default="probability", help="what refuses")
    parser.add_argument(
        "--questions", type=int, default=60, help="that are answered in writing for the evaluation; 0: none"
    )
    parser.add_argument("--ask", nargs="?", const="", help="answer this question, or each line that is read")
    parser.add_argument("overrides", nargs="*", help="settings of the trainings, after --")
    given = parser.parse_args()
    given.output = given.output or Path("runs/customer_service" + ("" if given.data is None else "_banking77"))
    return given


def _work(given: argparse.Namespace) -> None:
    parts = material(given.data, given.output)
    replies = read_replies(HERE / "answers.yaml", RuleEngine(read_rules(HERE / "details.yaml")))
    replies.check(tuple({*labels_of(parts["train"]), *labels_of(parts["unseen_past"])}))
    cache = given.output / "vectors"
    asked = given.ask is not None
    runs = {
        name: trained(given.data is None, given.output, retention, given.overrides)
        for name, retention in RETENTION.items()
        if name == "balanced" or not asked
    }
    readers = {name: Reader(run, cache) for name, run in runs.items()}
    writer = the_writer() if asked or given.questions else None
    if asked:
        desk = Desk(readers["balanced"], parts, replies, given.refuse)
        for question in [given.ask] if given.ask else map(str.strip, sys.stdin):
            answer_in_steps(desk, question, given.score, writer, print)
        return
    readers = {"pretrained": Reader(runs["plain"], cache, pretrained=True), **readers}
    results: dict[str, Any] = {"questions": {name: len(rows) for name, rows in parts.items()}}
    results["held_out"] = sorted(set(labels_of(parts["unseen"])))
    results["refused_by_mistake_asked_for"], results["score"] = given.refuse, given.score
    curves = {}
    for name, reader in readers.items():
        desk = Desk(reader, parts, replies, given.refuse)
        results[name], curves[name] = measured(desk, parts, given.score)
        if writer is not None:
            results[name]["written"] = written(
                desk, writer, parts["unseen"], given.questions, further=name == "balanced"
            )
    picture(results, curves, given.output / "service.png")
    (given.output / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(json.dumps(results, indent=1))


# --- questions, runs, the writer --------------------------------------------------------------------------------------


def material(data: Path | None, output: Path) -> Parts:
    """The questions by part; those of the training are written to OUTPUT/data."""
    choice = ["data=banking_sample"] if data is None else ["data=banking77", f"data.path={data / 'banking77'}"]
    reading = Reading(fields=("text", "label"), labels=("label",))
    splits = load_splits(_data(*choice, "data.split.test=0"), 0, reading).splits
    labels = sorted({row["label"] for row in splits["train"]})
    held = set(random.Random(0).sample(labels, HELD_OUT["sample" if data is None else "banking77"]))
    parts: Parts = {split: [row for row in rows if row["label"] not in held] for split, rows in splits.items()}
    parts["unseen_past"] = [row for row in splits["train"] if row["label"] in held]
    parts["unseen"] = [row for split in ("validation", "test") for row in splits[split] if row["label"] in held]
    if data is None:
        lines = (Path(samples.__path__[0]) / "banking" / "out_of_scope.jsonl").read_text(encoding="utf-8").splitlines()
        parts["other"] = [json.loads(line) for line in lines]
    else:
        parts["other"] = load_split(_data("data=trec", f"data.path={data / 'trec'}"), "test", reading).splits["test"]
    folder = output / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        rows = [json.dumps({"text": row["text"], "label": row["label"]}, ensure_ascii=False) for row in parts[split]]
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return parts


def _data(*overrides: str) -> DataConfig:
    return DataConfig(**to_plain(compose("train", ["task=classification", *overrides]))["data"])


def trained(sample: bool, output: Path, retention: str, overrides: Sequence[str]) -> Path:
    """The run of intents with or without retention; finished ones are not trained again."""
    own = ["data=jsonl", f"data.path={output / 'data'}", f"retention={retention}", f"output_dir={output / 'runs'}"]
    return train([*(OF_SAMPLE if sample else REAL), *own, *overrides]).folder


def the_writer() -> Writer | None:
    """SmolLM2; None, with a sentence, where it is not installed."""
    chosen = to_plain(compose("train", ["task=dialogue", "model=smollm2"]))["model"]
    try:
        return load_writer(ModelConfig(**chosen), WRITING, system=SYSTEM)
    except UserError as error:
        print(f"No answers are written: {error}", file=sys.stderr)
        return None


# --- the steps, measured ----------------------------------------------------------------------------------------------


def measured(desk: Desk, parts: Parts, score: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of intents, refusal, answers and look-up; and the curves of the picture."""
    score = score if desk.reader.has_head else "nearness"
    said = {part: desk.judge(texts_of(parts[part])) for part in ("test", "unseen", "other")}
    right = np.array(said["test"].labels) == np.array(labels_of(parts["test"]))
    figures: dict[str, Any] = {"intents": {"accuracy": _round(right.mean())}, "refusal": {}}
    curves: dict[str, Any] = {"risk": {}}
    for name in desk.thresholds:
        figures["refusal"][name], curves["risk"][name] = refusal(desk, said, right, name)
    answered = said["test"].scores[score] >= desk.thresholds[score]
    told = [
        desk.replies.reply(label, row["text"])
        for label, row, given in zip(said["test"].labels, parts["test"], answered, strict=True)
        if given
    ]
    figures["answers"] = {
        "right": _round((answered & right).mean()), "wrong": _round((answered & ~right).mean()),
        "refused": _round((~answered).mean()), "with_details": _round(np.mean([bool(each.filled) for each in told])),
    }  # fmt: skip
    figures["lookup"] = {}
    for part in ("unseen", "test"):
        found = [[row["label"] for row, _ in each] for each in desk.similar(said[part].vectors, max(SIZES))]
        recall = recall_at(found, labels_of(parts[part]), SIZES)
        figures["lookup"][part] = {str(size): _round(recall[size]) for size in (1, 5, 10)}
        curves[f"recall_{part}"] = list(recall.values())
    past = desk.reader.vectors(texts_of(desk.past))
    for part in ("unseen", "other"):
        far = nearness(said[part].vectors, past) < desk.floor
        figures["lookup"][f"{part}_passed_on"] = _round(far.mean())
    return figures, curves


def refusal(desk: Desk, said: dict[str, Judged], right: np.ndarray, name: str) -> tuple[dict[str, Any], Any]:
    """Figures of one score, and its risk by coverage over all questions."""
    known, threshold = said["test"].scores[name], desk.thresholds[name]
    outside = {part: said[part].scores[name] for part in ("unseen", "other")}
    figures: dict[str, Any] = {"refused_by_mistake": _round((known < threshold).mean())}
    for part, scores in outside.items():
        found = {key: _round(value) for key, value in detection(known, scores).items()}
        figures[part] = {**found, "refused": _round((scores < threshold).mean())}
    every = np.concatenate([known, *outside.values()])
    curve = risk_coverage(every, np.concatenate([right, np.zeros(len(every) - len(right), dtype=bool)]))
    figures["mean_risk"] = _round(area_under(*curve))
    return figures, curve


def written(desk: Desk, writer: Writer, unseen: Sequence[dict[str, Any]], count: int, further: bool) -> dict[str, Any]:
    """How well answers are drawn from what was found for questions of held-out intents.

    Args:
        further: also with what was found and the question in one message, by a template, and without what was found.
    """
    rows = random.Random(0).sample(list(unseen), min(count, len(unseen)))
    questions, right = texts_of(rows), [desk.replies.plain(row["label"]) for row in rows]
    entries = [desk.entries(each) for each in desk.similar(desk.reader.vectors(questions))]
    contexts = [as_context(each) for each in entries]
    begin = time.perf_counter()
    answers = {"written": writer.write(questions, entries)}
    seconds = time.perf_counter() - begin
    answers["nearest_answer"] = [each[0].text for each in entries]
    if further:
        line = to_plain(compose("train", ["task=dialogue", "template=dialogue_context"]))["template"]["text"]
        answers["in_one_message"] = replace(writer, line=parse(line)).write(questions, entries)
        answers["without_context"] = writer.write(questions, [[] for _ in questions])
    among = [text in {entry.text for entry in each} for text, each in zip(right, entries, strict=True)]
    figures: dict[str, Any] = {"questions": len(rows), "seconds_each": round(seconds / len(rows), 2)}
    figures["right_answer_in_context"] = _round(np.mean(among))
    for name, texts in answers.items():
        grounded, likeness = grounded_share(texts, contexts), rouge(texts, right)[0]["rougeL"]
        figures[name] = {"grounded": _round(grounded), "rouge_l": _round(likeness)}
    return figures


def _round(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    main()
