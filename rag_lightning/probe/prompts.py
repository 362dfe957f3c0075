"""Which of several answers to a general prompt a model that writes finds likelier: facts, completions, instructions.

Of a decoder only: an encoder-decoder that has not learnt to answer knows no prompts.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from rag_lightning.config.inputs import note_input
from rag_lightning.data import samples
from rag_lightning.errors import UserError
from rag_lightning.model.interface import is_causal
from rag_lightning.probe.examples import above_chance, content_of, limited
from rag_lightning.probe.language import next_token_losses
from rag_lightning.probe.probe import Prepared, Probe, ProbeOptions, Scores, Setting
from rag_lightning.probe.states import batches

SAMPLE = Path(samples.__path__[0]) / "prompts" / "prompts.jsonl"


class PromptsOptions(ProbeOptions):
    """Which prompts are asked."""

    path: Path | None = Field(None, description="a .jsonl file like the embedded sample's; null: that one")


class Prompt(BaseModel):
    """A prompt, the answer that goes on from it, and answers that are wrong."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    wrong: tuple[str, ...] = Field(min_length=1)


def check(architecture: PretrainedConfig, folder: Path, options: PromptsOptions) -> None:
    """Refuse a backbone that does not write from left to right."""
    if not is_causal(str(architecture.model_type)):
        raise UserError(
            f"a model of type '{architecture.model_type}' does not go on from a prompt",
            where="probe.prompts", remedy="Leave this probe out, or choose a decoder such as model=smollm2.",
        )  # fmt: skip


def read_prompts(file: Path) -> list[Prompt]:
    """The prompts of a file, one JSON object a line.

    Raises:
        UserError: if the file cannot be read, with the line that is wrong.
    """
    note_input(file.expanduser())
    try:
        lines = file.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the prompts cannot be read ({error})", where="probe.prompts.path", remedy="Check it."
        ) from None
    prompts = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                prompts.append(Prompt(**json.loads(line)))
            except (ValueError, TypeError, ValidationError):
                raise UserError(
                    "no prompt with an answer and wrong answers", where=f"{file}:{number}",
                    remedy='Write {"prompt": "…", "answer": "…", "wrong": ["…", "…"]}.',
                ) from None  # fmt: skip
    if not prompts:
        raise UserError("there is no prompt", where=str(file), remedy="Write one a line.")
    return prompts


def prepare(setting: Setting, options: PromptsOptions) -> Prepared:
    """Each prompt with each of its answers as an input."""
    asked: list[Prompt] = limited(read_prompts(options.path or SAMPLE), options.limit, options.seed)
    tokenizer, padding = setting.tokenizer, int(setting.tokenizer.pad_token_id or 0)
    inputs: list[list[int]] = []
    begins: list[int] = []
    owner: list[tuple[int, int]] = []  # number of the prompt, of the answer (0: the right one)
    for number, each in enumerate(asked):
        for which, answer in enumerate((each.answer, *each.wrong)):
            ids, begin = joined(tokenizer, each.prompt, answer)
            inputs.append(ids)
            begins.append(begin)
            owner.append((number, which))

    def measure(network: PreTrainedModel) -> Scores:
        found: dict[tuple[int, int], Tensor] = {}
        for batch in batches(inputs, padding, setting.device):
            first = torch.tensor([begins[place] for place in batch.places], device=batch.ids.device)
            losses = next_token_losses(network, batch, first)
            sizes = [len(inputs[place]) - begins[place] for place in batch.places]
            for place, part in zip(batch.places, losses.split(sizes), strict=True):
                found[owner[place]] = part.double()
        right = [found[number, 0] for number in range(len(asked))]
        best = [
            all(right[number].mean() < found[number, which].mean() for which in range(1, len(each.wrong) + 1))
            for number, each in enumerate(asked)
        ]
        return {"probability": float(torch.exp(-torch.cat(right).mean())), "accuracy": float(np.mean(best))}

    chance = float(np.mean([1 / (1 + len(each.wrong)) for each in asked]))
    floors = {"accuracy": above_chance(chance, len(asked))}
    return Prepared(measure, content_of([each.model_dump() for each in asked]), floors=floors)


def joined(tokenizer: Any, prompt: str, answer: str) -> tuple[list[int], int]:
    """Ids of prompt and answer with a space between, and where the answer begins.

    The longest common beginning with the prompt alone is the prompt: what a tokenizer joins across counts as answer.
    """
    alone: list[int] = tokenizer(prompt.rstrip(), verbose=False)["input_ids"]
    whole: list[int] = tokenizer(f"{prompt.rstrip()} {answer.strip()}", verbose=False)["input_ids"]
    same = next((n for n, (a, b) in enumerate(zip(alone, whole, strict=False)) if a != b), min(len(alone), len(whole)))
    return whole, max(1, min(same, len(whole) - 1))


PROBE = Probe(
    name="prompts", options=PromptsOptions, prepare=prepare, check=check, head=lambda architecture: "next_tokens"
)
