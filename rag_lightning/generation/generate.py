"""Texts from a causal or an encoder-decoder network, in batches with a cache of keys and values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.encoding.budget import by_budget
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.steps import find_stop, read, seeds_of
from rag_lightning.generation.writing import begin_id, end_ids, write

Overlong = Literal["refuse", "cut_start", "cut_end"]


@dataclass(frozen=True)
class Generated:
    """What was written after one prompt.

    Attributes:
        text: special tokens and the stop text left out. It may begin with a space, where the tokenizer writes one.
        ids: its tokens, without the end of text; with a stop text, up to the token that completed it.
        reason: what ended it: the model (``eos``), a stop text (``stop``) or ``max_new_tokens`` (``length``).
        cut: how many tokens of the prompt were left out to make room.
    """

    text: str
    ids: tuple[int, ...]
    reason: Literal["eos", "stop", "length"]
    cut: int = 0

    @property
    def finished(self) -> bool:
        """Whether the text came to an end by itself."""
        return self.reason != "length"


def generate(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sequence[int]],
    options: GenerationOptions,
    *,
    tokens_per_batch: int,
    overlong: Overlong = "refuse",
    window: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[Generated]:
    """A text for each prompt, in the prompts' order.

    Prompts of similar length are written together, the longest first. A text does not depend on the others in its
    batch (but for rounding: where two tokens are all but equally likely, another batch may choose the other one).
    The network's modes and settings are put back afterwards.

    Args:
        network: a model with a language modelling head, on any device, in any floating type.
        tokenizer: reads the ids; its end-of-text token ends a text beside those that the model names.
        prompts: token ids with their special tokens, not padded: for a causal model what it goes on from, for an
            encoder-decoder the source. An empty one counts as the token for the beginning of text.
        options: how to write.
        tokens_per_batch: rows x (longest prompt + max_new_tokens) x beams stay within it; one row always fits.
        overlong: what happens to a prompt longer than :func:`room_for_prompt`: ``refuse`` raises, ``cut_start``
            leaves out its first tokens (what was said last counts most), ``cut_end`` its last.
        window: ``model.max_length``, if it shall be less than the model's own limit.
        on_batch: told after each batch how many prompts it answered.

    Raises:
        UserError: a prompt that does not fit (``refuse``), or max_new_tokens that fill the window.
    """
    room = room_for_prompt(network.config, options, window)
    ends = end_ids(network, tokenizer)
    begin = begin_id(network, tokenizer)
    fitted = [fit(prompt or [begin], room, overlong, f"prompt {index + 1}") for index, prompt in enumerate(prompts)]
    lengths = np.array([len(ids) for ids, _ in fitted], dtype=np.int64)
    seeds = seeds_of([ids for ids, _ in fitted], options.seed)
    answers: dict[int, Generated] = {}
    size = (lengths + options.max_new_tokens) * options.num_beams
    for batch in by_budget(size, np.argsort(-lengths, kind="stable"), tokens_per_batch):
        rows = batch.tolist()
        written = write(network, tokenizer, [fitted[row][0] for row in rows], options, [seeds[row] for row in rows])
        for row, ids in zip(rows, written, strict=True):
            answers[row] = finish(ids, fitted[row][1], tokenizer, ends, options)
        if on_batch is not None:
            on_batch(len(rows))
    return [answers[row] for row in range(len(prompts))]


def room_for_prompt(config: PretrainedConfig, options: GenerationOptions, window: int | None = None) -> int | None:
    """How many tokens a prompt may have; None where nothing limits it (T5 has no table of positions).

    A causal model writes into the window that it reads from; an encoder-decoder has one for each.

    Raises:
        UserError: ``max_new_tokens`` leave no room.
    """
    positions: int | None = getattr(config, "max_position_embeddings", None)
    limit = min((each for each in (positions, window) if each), default=None)
    # A causal model needs something to go on from, and an encoder-decoder begins with a token of its own.
    most = positions if config.is_encoder_decoder else limit
    if most is not None and options.max_new_tokens >= most:
        raise UserError(
            f"max_new_tokens={options.max_new_tokens} leaves no room in this model's window of {most} tokens",
            where="max_new_tokens",
            remedy=f"Choose at most {most - 1}.",
        )
    return limit if config.is_encoder_decoder or limit is None else limit - options.max_new_tokens


def fit(prompt: Sequence[int], room: int | None, overlong: Overlong, where: str) -> tuple[list[int], int]:
    """The prompt as it is read, and how many of its tokens were left out.

    Raises:
        UserError: it is too long and shall not be cut.
    """
    ids = [int(each) for each in prompt]
    excess = max(0, len(ids) - room) if room is not None else 0
    if excess and overlong == "refuse":
        raise UserError(
            f"This input has {len(ids)} tokens, and there is room for {room}",
            where=where,
            remedy="Shorten it, or write less: max_new_tokens is kept free in a causal model's window.",
        )
    kept = ids[excess:] if overlong == "cut_start" else ids[: len(ids) - excess]
    return kept, excess


def finish(
    written: Sequence[int],
    cut: int,
    tokenizer: PreTrainedTokenizerFast,
    ends: Sequence[int],
    options: GenerationOptions,
) -> Generated:
    """A row of tokens as the text that it is.

    Args:
        written: what came after the prompt, up to the end of the row.
        cut: tokens of the prompt that were left out.
        ends: the tokens that end a text.
    """
    length = next((place for place, each in enumerate(written) if each in ends), len(written))
    text = read(tokenizer, written[:length])
    stop = find_stop(text, options.stop)
    if stop is None:
        return Generated(text, tuple(written[:length]), "eos" if length < len(written) else "length", cut)
    # Behind it stands what fills up the row; the least that holds the stop text is what was written.
    while find_stop(read(tokenizer, written[: length - 1]), options.stop) is not None:
        length -= 1
    return Generated(text[:stop], tuple(written[:length]), "stop", cut)
