"""Write a sweep's folder as a real one leaves it, from a made-up law of scores: no training."""

import itertools
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rag_lightning.sweep.record import Question, Record, key_of, write_question, write_record

SWEPT = {
    "optimizer.lr": ("1e-5", "3e-5", "1e-4"),
    "template": ("none", "description", "hints"),
    "tuning.frozen_layers": ("0", "2"),
}
FIXED = ("task=ner", "data.limit.train=2000")
EPOCHS, STEPS = 5, 20
PROBES = {"drift/cka": False, "language/pseudo_perplexity": True, "similarity/spearman": True}  # whether each counts
BONUS = {"none": 0.0, "description": 0.008, "hints": 0.021}


def write_sweep(
    folder: Path,
    swept: Mapping[str, Sequence[str]] = SWEPT,
    seeds: Sequence[str] = ("1", "2", "3"),
    *,
    probes: bool = True,
    histories: bool = True,
    lower_is_better: bool = False,
    fixed: Sequence[str] = FIXED,
    name: str = "ner-lr-template",
) -> Path:
    """A sweep over the product of ``swept`` and ``seeds``: the last trial failed, the one before was hopeless."""
    headline = "loss_per_token" if lower_is_better else "f1"
    asked = {**{k: ",".join(v) for k, v in swept.items()}, **({"seed": ",".join(seeds)} if len(seeds) > 1 else {})}
    grid = [dict(zip(swept, values, strict=True)) for values in itertools.product(*swept.values())]
    trials = [{**values, **({"seed": seed} if len(seeds) > 1 else {})} for values in grid for seed in seeds]
    command = ("rag_lightning.train", "-m", *fixed, *(f"{k}={v}" for k, v in asked.items()))
    write_question(folder, Question(name, command, tuple(fixed), asked, len(trials), "ner", headline, lower_is_better))
    for number, values in enumerate(trials):
        record = make_record(number, values, fixed, headline, probes=probes)
        if number == len(trials) - 1:
            reason = "RuntimeError: the loss is not a number after step 41 (lr 1e-4 is too high?)"
            record = replace(record, state="failed", reason=reason, score=None, metrics={})
        elif number == len(trials) - 2:
            reason = "0.41 at epoch 2, below the median of the others (0.83)"
            record = replace(record, state="hopeless", reason=reason, score=0.41, metrics={})
        if histories:
            run = folder.parent / "runs" / f"ner-minilm-{record.key[:8]}"
            write_run(run, record, headline)
            record = replace(record, folder=str(run))
        write_record(folder, record)
    return folder


def make_record(
    number: int, values: Mapping[str, str], fixed: Sequence[str], headline: str, *, probes: bool = True
) -> Record:
    """A finished trial, whose numbers depend on its values alone."""
    overrides = (*fixed, *(f"{key}={value}" for key, value in values.items()))
    key = key_of(overrides)
    dice = random.Random(key)
    lr, frozen = float(values.get("optimizer.lr", "3e-5")), int(values.get("tuning.frozen_layers", "0"))
    steep = math.log10(lr / 4e-5)
    score = 0.90 - 0.09 * steep**2 + BONUS.get(values.get("template", ""), 0) - 0.012 * frozen / 2
    score += dice.gauss(0, 0.0045)
    kept = 0.96 - 0.14 * max(0.0, steep + 0.6) * (1 - frozen / 8) + dice.gauss(0, 0.004)
    metrics = {f"validation/{headline}": score, f"test/{headline}": score - 0.012 + dice.gauss(0, 0.004)}
    metrics |= {"validation/loss": 1 - score, "test/PER/f1": score + 0.03}
    if probes:
        metrics |= {"probe/kept": kept, "probe/drift/layer/1/cka/kept": kept / 2}
        for shift, probe in enumerate(PROBES):
            metrics |= {f"probe/{probe}/before": 1.0, f"probe/{probe}/kept": kept + 0.02 * (len(PROBES) - 1 - shift)}
    return Record(
        key, number, overrides, dict(values), "finished", None, key[::-1], None, metrics, score,
        48.0 - 5.5 * frozen + dice.gauss(0, 1.0), "2026-01-31T10:00:00", "host:1",
    )  # fmt: skip


def write_run(run: Path, record: Record, headline: str) -> None:
    """What the report reads of a run's folder: ``history.jsonl`` and ``probe.json``, as runs write them."""
    run.mkdir(parents=True, exist_ok=True)
    dice, rows = random.Random(f"{record.key} curve"), []
    last = 2 if record.state in ("failed", "hopeless") else EPOCHS
    best = record.score or 0.4
    for step in range(1, last * STEPS + 1):
        row = {"step": step, "epoch": step / STEPS, "train/loss": 2.2 * math.exp(-step / 30) + dice.random() / 9}
        if step % STEPS == 0:
            epoch = step // STEPS
            value = best * (1 - math.exp(-1.5 * epoch)) / (1 - math.exp(-1.5 * EPOCHS)) + dice.gauss(0, 0.008) / epoch
            row |= {f"validation/{headline}": value, "validation/loss": 1.1 - value + 0.01 * max(0, epoch - 3)}
        rows.append(json.dumps(row))
    (run / "history.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    measured = [{"probe": p.partition("/")[0], "metric": p.partition("/")[2], "counts": c} for p, c in PROBES.items()]
    (run / "probe.json").write_text(json.dumps({"kept": 0.9, "rows": measured}), encoding="utf-8")
