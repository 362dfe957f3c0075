"""Question answering by a plain Hugging Face loop on the questions that `task=qa` trains and tests on.

The recipe is the one that transformers documents for SQuAD: question and context as a pair, windows of `max_length`
tokens that overlap by `doc_stride`, the first answer of a question, batches of windows in random order padded to the
longest, AdamW with a linear schedule; afterwards the 20 best starts and ends of each window are combined. Model, data,
epochs, batch size and learning rate are given in the words of rag_lightning's command line, so that one set of words
configures both; nothing else is shared but the reader of the file and the way in which articles are divided.

    python experiments/tasks/qa_reference.py data=squad data.path=FOLDER model.max_length=384 optimizer.lr=2e-4 \
        batching.size=16 trainer.max_epochs=2 seed=1
    python experiments/tasks/qa_reference.py --bf16 …                      # autocast, as our fused layers compute
    python experiments/tasks/qa_reference.py --score RUN/predictions.jsonl  # another's answers by both scorers

The last line printed is a JSON object: exact match and F1 by torchmetrics (an independent port of the official script)
and by rag_lightning, in per cent, and the training's tokens (without padding) per second.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
)

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import validate_train
from rag_lightning.data.load import load_splits
from rag_lightning.metrics.answers import answer_scores
from rag_lightning.model.resolve import resolve
from rag_lightning.tasks.qa import TASK

Rows = list[dict[str, Any]]
N_BEST, LONGEST = 20, 30


def windows(tokenizer: Any, records: Rows, max_length: int, stride: int) -> Any:
    """The tokenizer's own windows over the contexts."""
    return tokenizer(
        [record["question"].strip() for record in records], [record["context"] for record in records],
        truncation="only_second", max_length=max_length, stride=stride, return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )  # fmt: skip


def training_rows(tokenizer: Any, records: Rows, max_length: int, stride: int) -> Rows:
    """Each window with the tokens at which the first answer starts and ends, the first token if it is not there."""
    encoded = windows(tokenizer, records, max_length, stride)
    rows = []
    for row, example in enumerate(encoded["overflow_to_sample_mapping"]):
        answers, offsets = records[example]["answers"], encoded["offset_mapping"][row]
        context = [i for i, part in enumerate(encoded.sequence_ids(row)) if part == 1]
        start = end = 0
        if answers and context:
            first, after = answers[0]["answer_start"], answers[0]["answer_start"] + len(answers[0]["text"])
            if offsets[context[0]][0] <= first and offsets[context[-1]][1] >= after:
                start = max(i for i in context if offsets[i][0] <= first)
                end = min(i for i in context if offsets[i][1] >= after)
        rows.append({**inputs_of(tokenizer, encoded, row), "start_positions": start, "end_positions": end})
    return rows


def inputs_of(tokenizer: Any, encoded: Any, row: int) -> dict[str, Any]:
    return {name: encoded[name][row] for name in tokenizer.model_input_names if name in encoded}


def train(model: Any, tokenizer: Any, rows: Any, config: Any, bf16: bool) -> dict[str, float]:
    """The loop; tokens without padding and the seconds that they took."""
    collate = DataCollatorWithPadding(tokenizer)
    epochs, seed = int(config.trainer["max_epochs"]), config.seed
    loader: Any = DataLoader(
        rows,
        batch_size=config.batching.size,
        shuffle=True,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(seed),
    )
    optimizer = torch.optim.AdamW(
        groups(model, float(config.optimizer["weight_decay"])), lr=float(config.optimizer["lr"])
    )
    steps = epochs * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, round(config.scheduler.warmup * steps), steps)
    clip = float(config.trainer.get("gradient_clip_val") or 0)
    torch.manual_seed(seed)
    model.train()
    tokens, start = 0, time.perf_counter()
    for _ in range(epochs):
        for batch in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = model(**batch).loss
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            tokens += int(batch["attention_mask"].sum())
    return {"tokens": tokens, "seconds": time.perf_counter() - start, "steps": steps}


def groups(model: Any, decay: float) -> list[dict[str, Any]]:
    """Parameters with weight decay, and biases and norms without."""
    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    others = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    return [{"params": others, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]


@torch.inference_mode()
def answers_of(model: Any, tokenizer: Any, records: Rows, max_length: int, stride: int) -> list[str]:
    """The best answer of each question over its windows, never none."""
    encoded = windows(tokenizer, records, max_length, stride)
    order = sorted(range(len(encoded["input_ids"])), key=lambda row: -len(encoded["input_ids"][row]))
    collate = DataCollatorWithPadding(tokenizer)
    best: list[tuple[float, str]] = [(-np.inf, "")] * len(records)
    model.eval()
    for at in range(0, len(order), 32):
        some = order[at : at + 32]
        output = model(**collate([inputs_of(tokenizer, encoded, row) for row in some]))
        for row, starts, ends in zip(
            some, output.start_logits.float().numpy(), output.end_logits.float().numpy(), strict=True
        ):
            example = encoded["overflow_to_sample_mapping"][row]
            context = [part == 1 for part in encoded.sequence_ids(row)]
            found = best_span(starts, ends, context)
            if found is not None and found[0] > best[example][0]:
                offsets = encoded["offset_mapping"][row]
                text = records[example]["context"][offsets[found[1]][0] : offsets[found[2]][1]]
                best[example] = (found[0], text)
    return [text for _, text in best]


def best_span(starts: np.ndarray, ends: np.ndarray, context: list[bool]) -> tuple[float, int, int] | None:
    candidates = [
        (float(starts[first] + ends[last]), int(first), int(last))
        for first in np.argsort(-starts[: len(context)])[:N_BEST]
        for last in np.argsort(-ends[: len(context)])[:N_BEST]
        if context[first] and context[last] and first <= last < first + LONGEST
    ]
    return max(candidates, default=None)


def scores(answers: list[str], references: list[list[str]]) -> dict[str, float]:
    """By both scorers; torchmetrics' knows no question without answer, and these are left out."""
    from torchmetrics.functional.text import squad

    own = answer_scores(answers, references)
    pairs = [(answer, right) for answer, right in zip(answers, references, strict=True) if right]
    official = squad(
        [{"prediction_text": answer, "id": str(i)} for i, (answer, _) in enumerate(pairs)],
        [
            {"answers": {"answer_start": [0] * len(right), "text": right}, "id": str(i)}
            for i, (_, right) in enumerate(pairs)
        ],
    )
    part = "HasAns/" if "HasAns/f1" in own else ""
    return {
        "questions": len(pairs),
        "exact_match": round(float(official["exact_match"]), 3),
        "f1": round(float(official["f1"]), 3),
        "exact_match_rag_lightning": round(100 * own[f"{part}exact_match"], 3),
        "f1_rag_lightning": round(100 * own[f"{part}f1"], 3),
    }


def score_file(file: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return scores([row["predicted"] for row in rows], [row["gold"] for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="as for python -m rag_lightning.train task=qa …")
    parser.add_argument("--stride", type=int, default=128, help="tokens that a window repeats")
    parser.add_argument("--bf16", action="store_true", help="train under autocast")
    parser.add_argument("--predictions", type=Path, help="where to write {id: answer} of test")
    parser.add_argument("--score", type=Path, help="only score the predictions.jsonl of a run")
    arguments = parser.parse_args()
    if arguments.score:
        print(json.dumps(score_file(arguments.score)))
        return
    config = validate_train(compose("train", ["task=qa", *arguments.overrides]))
    splits = load_splits(config.data, config.seed, TASK.reading).splits
    folder = resolve(config.model).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(config.seed)
    model = AutoModelForQuestionAnswering.from_pretrained(folder, dtype=torch.float32)
    max_length = config.model.max_length or 384
    rows = training_rows(tokenizer, splits["train"], max_length, arguments.stride)
    spent = train(model, tokenizer, rows, config, arguments.bf16)
    test = splits["test"]
    answers = answers_of(model, tokenizer, test, max_length, arguments.stride)
    if arguments.predictions:
        written = {record["id"]: answer for record, answer in zip(test, answers, strict=True)}
        arguments.predictions.write_text(json.dumps(written, ensure_ascii=False, indent=1), encoding="utf-8")
    found = scores(answers, [[answer["text"] for answer in record["answers"]] for record in test])
    rate = round(spent["tokens"] / spent["seconds"])
    print(
        json.dumps(
            {
                **found,
                "tokens_per_s": rate,
                **spent,
                "train_questions": len(splits["train"]),
                "windows": len(rows),
                "seed": config.seed,
            }
        )
    )


if __name__ == "__main__":
    main()
