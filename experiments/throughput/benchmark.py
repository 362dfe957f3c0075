"""Training throughput against Hugging Face's Trainer on equal work; ratios within one run.

Every contestant fine-tunes MiniLM for named-entity recognition on the same sentences: all parameters, the same dropout
rates, AdamW, gradients clipped to norm 1, 32 sentences a step (for rag_lightning: as many tokens as 32 have on
average). Each turn is a process of its own and the turns alternate, so that a busy machine slows all alike. Tokens are
real ones, without padding; the time is the training loop's, its first steps included.

    python experiments/throughput/benchmark.py                              # the embedded sample
    python experiments/throughput/benchmark.py --data FOLDER --sentences 1600 --rounds 3
    python experiments/throughput/benchmark.py --data FOLDER --sentences 3500 --quality   # F1 over three seeds instead
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LR = {"speed": 5e-5, "quality": 3e-4}
OFF = ["allocator", "fused_layers", "fast_dropout", "active_embeddings"]
TRAINERS: dict[str, dict[str, Any]] = {
    "Trainer, defaults": {},
    "Trainer, best": {"bf16": True, "train_sampling_strategy": "group_by_length"},
}
OURS: dict[str, list[str]] = {
    "rag_lightning": [],
    "rag_lightning, speed off": [f"speed.{key}=false" for key in OFF],
}
FAST, DEFAULTS, BEST = "rag_lightning", "Trainer, defaults", "Trainer, best"


def data_overrides(arguments: argparse.Namespace) -> list[str]:
    """The data of a turn, in the words of the command line."""
    limits = [f"data.limit.train={arguments.sentences}"] if arguments.sentences else []
    return ([f"data.path={arguments.data}", "data=conll"] if arguments.data else []) + limits


def overrides(arguments: argparse.Namespace, folder: str) -> list[str]:
    """What every contestant shares."""
    return [
        *data_overrides(arguments), "trainer=cpu", f"trainer.max_epochs={arguments.epochs}", "batching.size=32",
        "scheduler.warmup=0", "optimizer.weight_decay=0", f"optimizer.lr={arguments.lr}", "logger=none",
        f"seed={arguments.seed}", f"run.folder={folder}", "checkpoint.every_seconds=null", "force=true",
        "checkpoint.use=last", "task.subwords=first", "trainer.check_val_every_n_epoch=1000",
    ]  # fmt: skip


def run_ours(name: str, arguments: argparse.Namespace, folder: str) -> dict[str, float]:
    """One turn of rag_lightning, through the same ``train`` that users call."""
    from rag_lightning.callbacks.throughput import Throughput
    from rag_lightning.train import train

    meters: list[Throughput] = []
    original = Throughput.on_train_start

    def remember(self: Throughput, *more: Any) -> None:
        meters.append(self)
        original(self, *more)

    Throughput.on_train_start = remember  # type: ignore[method-assign]
    result = train([*overrides(arguments, folder), *OURS[name]])
    return {"tokens": meters[0].tokens, "seconds": meters[0].seconds, "f1": result.metrics["test/f1"]}


def run_trainer(name: str, arguments: argparse.Namespace, folder: str) -> dict[str, float]:
    """One turn of Hugging Face's Trainer, on what our data module encoded."""
    import torch
    from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification, TrainingArguments
    from transformers import Trainer as HuggingFaceTrainer

    from rag_lightning.config.compose import compose
    from rag_lightning.training.build import build_data
    from rag_lightning.training.plan import make_plan

    plan = make_plan(compose("train", overrides(arguments, folder)))
    data = build_data(plan)
    rows = {split: rows_of(data.splits[split].table) for split in ("train", "test")}
    torch.manual_seed(arguments.seed)
    model = AutoModelForTokenClassification.from_pretrained(
        plan.model.folder, num_labels=len(data.labels), dtype=torch.float32
    )
    settings = TrainingArguments(
        output_dir=folder, per_device_train_batch_size=32, num_train_epochs=arguments.epochs, report_to=[],
        learning_rate=arguments.lr, save_strategy="no", logging_strategy="no", use_cpu=True, disable_tqdm=True,
        seed=arguments.seed, **TRAINERS[name],
    )  # fmt: skip
    collate = DataCollatorForTokenClassification(data.words.tokenizer)
    trainer = HuggingFaceTrainer(model=model, args=settings, train_dataset=rows["train"], data_collator=collate)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    tokens = arguments.epochs * sum(len(row["input_ids"]) for row in rows["train"])
    return {"tokens": tokens, "seconds": seconds, "f1": score(model, data) if arguments.quality else 0.0}


def rows_of(table: Any) -> list[dict[str, list[int]]]:
    """Encoded rows in the form that Trainer's collator pads."""
    pairs = zip(table.column("input_ids").to_pylist(), table.column("labels").to_pylist(), strict=True)
    return [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels} for ids, labels in pairs]


def score(model: Any, data: Any) -> float:
    """Test F1 by the task's own evaluation."""
    import torch

    model.eval()
    decoded = []
    with torch.inference_mode():
        for batch in data.loader("test"):
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            decoded.append(data.task.output.decode(logits, batch))
    records = data.splits["test"].records
    predictions = data.task.output.assemble(records, decoded, data.labels)
    return float(data.task.evaluate("test", records, predictions, data.labels).metrics["f1"])


def turn(arguments: argparse.Namespace) -> None:
    """One contestant in this process; the last line printed is its result."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        run = run_trainer if arguments.turn in TRAINERS else run_ours
        result = run(arguments.turn, arguments, folder)
    # On Linux in KiB.
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("\n" + json.dumps(result))


def spawn(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """A turn in a process of its own."""
    command = [sys.executable, __file__, "--turn", name, "--seed", str(seed), "--epochs", str(arguments.epochs)]
    command += ["--lr", str(arguments.lr)] + (["--quality"] if arguments.quality else [])
    command += ["--data", arguments.data] if arguments.data else []
    command += ["--sentences", str(arguments.sentences)] if arguments.sentences else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    rate = result["tokens"] / result["seconds"]
    print(f"  {name:26s} seed {seed}  {rate:8,.0f} tokens/s  F1 {result['f1']:.3f}", flush=True)
    return {**result, "rate": rate}


def compare(arguments: argparse.Namespace) -> str:
    """All contestants in turns; a Markdown table."""
    names = [FAST, BEST, DEFAULTS] + ([] if arguments.quality else ["rag_lightning, speed off"])
    if arguments.only:
        names = [name for name in names if name in arguments.only]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for round_ in range(arguments.rounds):
        print(f"round {round_ + 1} of {arguments.rounds}", flush=True)
        for name in names:
            found[name].append(spawn(name, round_ if arguments.quality else 0, arguments))
    lines = ["| | tokens/s (median) | rag_lightning is faster by | peak memory | F1 |", "|---|---:|---:|---:|---:|"]
    for name, results in found.items():
        ratios = [fast["rate"] / own["rate"] for fast, own in zip(found[FAST], results, strict=True)]
        rate = statistics.median(result["rate"] for result in results)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        peak = max(result["peak_mib"] for result in results)
        f1 = " / ".join(f"{result['f1']:.3f}" for result in results) if arguments.quality else ""
        lines.append(f"| {name} | {rate:,.0f} | {spread} | {peak:,.0f} MiB | {f1} |")
    return "\n".join(lines)


def matmul_rate() -> str:
    """The machine's bf16 matrix-product rate on shapes of MiniLM, in TFLOP/s."""
    import torch

    left = torch.randn(2048, 384, dtype=torch.bfloat16)
    right = torch.randn(384, 1536, dtype=torch.bfloat16)
    best = 0.0
    for _ in range(30):
        start = time.perf_counter()
        for _ in range(20):
            left @ right
        best = max(best, 20 * 2 * 2048 * 384 * 1536 / (time.perf_counter() - start))
    return f"{best / 1e12:.2f} TFLOP/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder of CoNLL columns; without it the embedded sample")
    parser.add_argument("--sentences", type=int, help="of training; without it all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--quality", action="store_true", help="compare test F1 over seeds, at a higher learning rate")
    parser.add_argument("--only", nargs="*", help="some of the contestants")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.lr = arguments.lr or LR["quality" if arguments.quality else "speed"]
    if arguments.turn:
        turn(arguments)
        return
    print(f"bf16 matrix products on this machine: {matmul_rate()}")
    print("\n" + compare(arguments))


if __name__ == "__main__":
    main()
