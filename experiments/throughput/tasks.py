"""Training throughput of every task against Hugging Face's Trainer at its best settings, on the same encoded examples.

Both contestants train all parameters of the task's default backbone on the embedded sample, with AdamW, clipping to
norm 1, bf16 and batches of similar length. Trainer gets the model class that transformers has for the task. Each turn
is a process of its own and the turns alternate; tokens are real ones, without padding.

    python experiments/throughput/tasks.py
    python experiments/throughput/tasks.py --tasks qa translation --rounds 3
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

IGNORED = -100
OURS, TRAINER = "rag_lightning", "Trainer"


@dataclass(frozen=True)
class Job:
    """A task as both contestants do it: transformers' class, overrides, and how many examples of the sample."""

    model_class: str
    overrides: tuple[str, ...] = ()
    examples: int | None = None
    size: int = 16


JOBS = {
    "ner": Job("AutoModelForTokenClassification"),
    "classification": Job("AutoModelForSequenceClassification"),
    "matching": Job("AutoModelForSequenceClassification"),
    "relation": Job("AutoModelForSequenceClassification"),
    "qa": Job("AutoModelForQuestionAnswering"),
    "pretraining": Job("AutoModelForMaskedLM"),
    "translation": Job("AutoModelForCausalLM", examples=64, size=8),
    "summarization": Job("AutoModelForCausalLM", examples=32, size=4),
    "dialogue": Job("AutoModelForCausalLM", examples=64, size=8),
}


def overrides(task: str, folder: str, epochs: int) -> list[str]:
    """What both contestants share."""
    job = JOBS[task]
    limit = [f"data.limit.train={job.examples}"] if job.examples else []
    return [
        f"task={task}", *job.overrides, *limit, "data.limit.validation=4", "data.limit.test=4", "trainer=cpu",
        f"trainer.max_epochs={epochs}", f"batching.size={job.size}", "batching.by_length=true", "scheduler.warmup=0",
        "optimizer.weight_decay=0", "optimizer.lr=5e-5", "logger=none", f"run.folder={folder}", "force=true",
        "checkpoint.every_seconds=null", "checkpoint.use=last", "trainer.check_val_every_n_epoch=1000",
        "trainer.enable_progress_bar=false",
    ]  # fmt: skip


def run_ours(task: str, folder: str, epochs: int) -> tuple[int, float]:
    """Tokens and seconds of the training loop, through the same code that users call."""
    from rag_lightning.callbacks.throughput import Throughput
    from rag_lightning.config.compose import compose
    from rag_lightning.training.build import build
    from rag_lightning.training.plan import make_plan
    from rag_lightning.training.stop import GracefulStop

    plan = make_plan(compose("train", overrides(task, folder, epochs)))
    with GracefulStop() as stop:
        parts = build(plan, stop)
        parts.trainer.fit(parts.module, datamodule=parts.data)
    meter = next(each for each in parts.trainer.callbacks if isinstance(each, Throughput))  # type: ignore[attr-defined]
    return meter.tokens, meter.seconds


def run_trainer(task: str, folder: str, epochs: int) -> tuple[int, float]:
    """The same of Hugging Face's Trainer, on what our data module encoded."""
    import torch
    import transformers

    from rag_lightning.config.compose import compose
    from rag_lightning.training.build import build_data
    from rag_lightning.training.plan import make_plan

    plan = make_plan(compose("train", overrides(task, folder, epochs)))
    data = build_data(plan)
    rows = data.splits["train"].table.to_pylist()
    labels = {"num_labels": len(data.labels)} if data.labels and task != "qa" else {}
    torch.manual_seed(0)
    model = getattr(transformers, JOBS[task].model_class).from_pretrained(
        plan.model.folder, dtype=torch.float32, **labels
    )
    settings = transformers.TrainingArguments(
        output_dir=folder, per_device_train_batch_size=JOBS[task].size, num_train_epochs=epochs, report_to=[],
        learning_rate=5e-5, save_strategy="no", logging_strategy="no", use_cpu=True, disable_tqdm=True, bf16=True,
        train_sampling_strategy="group_by_length", remove_unused_columns=False,
    )  # fmt: skip
    collate = _Collator(task, data.words.tokenizer)
    trainer = transformers.Trainer(model=model, args=settings, train_dataset=rows, data_collator=collate)
    start = time.perf_counter()
    trainer.train()
    return epochs * sum(len(row["input_ids"]) for row in rows), time.perf_counter() - start


class _Collator:
    """Encoded rows as the padded batch that a model of transformers takes."""

    def __init__(self, task: str, tokenizer: Any) -> None:
        from transformers import DataCollatorForLanguageModeling

        self.task, self.pad = task, tokenizer.pad_token_id
        self.mask = DataCollatorForLanguageModeling(tokenizer) if task == "pretraining" else None

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import torch

        if self.mask is not None:
            batch = self.mask([{"input_ids": row["input_ids"]} for row in rows])
            return {**batch, "attention_mask": (batch["input_ids"] != self.pad).long()}
        longest = max(len(row["input_ids"]) for row in rows)
        ids = [row["input_ids"] + [self.pad] * (longest - len(row["input_ids"])) for row in rows]
        mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
        batch = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        labels = [row["labels"] for row in rows]
        if self.task == "qa":
            return {**batch, "start_positions": torch.tensor(labels)[:, 0], "end_positions": torch.tensor(labels)[:, 1]}
        if isinstance(labels[0], list):
            labels = [each + [IGNORED] * (longest - len(each)) for each in labels]
        return {**batch, "labels": torch.tensor(labels)}


def turn(arguments: argparse.Namespace) -> None:
    """One contestant in this process; the last line printed is its result."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    run = run_ours if arguments.turn == OURS else run_trainer
    with tempfile.TemporaryDirectory() as folder:
        tokens, seconds = run(arguments.tasks[0], folder, arguments.epochs)
    print("\n" + json.dumps({"rate": tokens / seconds}))


def spawn(name: str, task: str, epochs: int) -> float:
    """Tokens per second of a turn in a process of its own."""
    command = [sys.executable, __file__, "--turn", name, "--tasks", task, "--epochs", str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{task}, {name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    rate: float = json.loads(done.stdout.strip().splitlines()[-1])["rate"]
    print(f"  {task:16s} {name:16s} {rate:8,.0f} tokens/s", flush=True)
    return rate


def compare(task: str, rounds: int, epochs: int) -> str:
    """A row of the table: both rates, and the ratio in each round."""
    pairs = [(spawn(OURS, task, epochs), spawn(TRAINER, task, epochs)) for _ in range(rounds)]
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    return (
        f"| {task} | {ours:,.0f} | {theirs:,.0f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", choices=JOBS, default=list(JOBS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.turn:
        turn(arguments)
        return
    rows = [compare(task, arguments.rounds, arguments.epochs) for task in arguments.tasks]
    print("\n| task | rag_lightning, tokens/s | Trainer, best settings | ratio (least–most) |\n|---|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
