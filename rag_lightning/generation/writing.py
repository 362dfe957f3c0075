"""One batch of texts: padded, written by the network, and cut back to what was written."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.steps import StopAt, processors

# Of a folder's generation_config.json, what belongs to the architecture. How to write is ours to say: its
# max_length=20, beams and penalties would else apply in silence.
_STRUCTURE = (
    "bos_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
)


def write(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[list[int]],
    options: GenerationOptions,
    seeds: Sequence[int],
    *,
    streamer: BaseStreamer | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[list[int]]:
    """The tokens that the network writes after each prompt, with what fills up the shorter ones.

    Args:
        prompts: the rows of one batch, none empty and none too long.
        seeds: of drawing, one for each row.
        streamer: told each token, of a single row.
        cancelled: asked at each step; true ends the batch.
    """
    config = _generation_config(network, tokenizer, options)
    causal = not network.config.is_encoder_decoder
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), int(config.pad_token_id))
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        # A decoder goes on where the row ends: its padding comes first.
        place = slice(longest - len(prompt), longest) if causal else slice(0, len(prompt))
        ids[row, place] = torch.tensor(prompt)
        mask[row, place] = 1
    start = longest if causal else 1  # an encoder-decoder's output begins with one token of its own
    with _ready(network, config):
        written = network.generate(
            input_ids=ids.to(network.device),
            attention_mask=mask.to(network.device),
            generation_config=config,
            logits_processor=processors(options, start, seeds),
            stopping_criteria=StoppingCriteriaList([StopAt(tokenizer, options.stop, start, cancelled)]),
            streamer=streamer,
        )
    rows: list[list[int]] = written[:, start:].tolist()
    return rows


def end_ids(network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokens that end a text: those that the model names, and the tokenizer's."""
    named = (network.generation_config.eos_token_id, network.config.eos_token_id, tokenizer.eos_token_id)
    flat = [each for ids in named if ids is not None for each in (ids if isinstance(ids, list) else [ids])]
    return list(dict.fromkeys(flat))


def begin_id(network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that stands for nothing yet: the beginning of text, or its end where there is none."""
    known = (network.config.bos_token_id, tokenizer.bos_token_id, *end_ids(network, tokenizer))
    return next((each for each in known if each is not None), 0)


def _generation_config(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, options: GenerationOptions
) -> GenerationConfig:
    ends = end_ids(network, tokenizer)
    settings: dict[str, Any] = {
        name: value
        for name in _STRUCTURE
        for value in (getattr(network.generation_config, name, None), getattr(network.config, name, None))
        if value is not None
    }
    settings |= {"max_new_tokens": options.max_new_tokens, "num_beams": options.num_beams, "use_cache": True}
    if options.min_new_tokens:
        settings["min_new_tokens"] = options.min_new_tokens
    if options.num_beams > 1:
        settings |= {"length_penalty": options.length_penalty, "early_stopping": options.early_stopping}
    # Rows that are complete are filled with the end of text, so that the first one is where each of them ends.
    fill = ends[0] if ends else (tokenizer.pad_token_id or 0)
    return GenerationConfig(eos_token_id=ends or None, pad_token_id=fill, **settings)


@contextmanager
def _ready(network: PreTrainedModel, config: GenerationConfig) -> Iterator[None]:
    """Without dropout, and without the settings that transformers would fill in from the folder's."""
    modes = [(module, module.training) for module in network.modules()]
    theirs = network.generation_config
    network.eval()
    network.generation_config = config
    try:
        yield
    finally:
        network.generation_config = theirs
        for module, training in modes:  # one by one: frozen parts stay in eval mode while others train
            module.training = training
