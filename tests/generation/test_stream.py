"""Pieces of a text: joined they are the text."""

import threading
from collections.abc import Callable

import pytest
import torch
from tiny_writers import PROMPTS
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.errors import UserError
from rag_lightning.generation.generate import Generated, generate
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.stream import stream

Build = Callable[..., PreTrainedModel]


def pieces(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompt: list[int], options: GenerationOptions
) -> tuple[list[str], Generated]:
    found: list[str] = []
    writing = stream(network, tokenizer, prompt, options)
    while True:
        try:
            found.append(next(writing))
        except StopIteration as end:
            return found, end.value


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "t5", "marian"])
@pytest.mark.parametrize("settings", [{}, {"do_sample": True}], ids=["greedy", "drawn"])
def test_joined_they_are_the_text(
    model_type: str, settings: dict[str, object], build: Build, tokenizer: PreTrainedTokenizerFast
) -> None:
    network = build(model_type)
    options = GenerationOptions(max_new_tokens=12, **settings)
    for prompt in [[], *PROMPTS[:3]]:
        whole = generate(network, tokenizer, [prompt], options, tokens_per_batch=1)[0]
        found, answer = pieces(network, tokenizer, prompt, options)
        assert answer == whole and "".join(found) == whole.text and len(found) > 4


def test_no_piece_shows_a_stop_text(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama")
    options = GenerationOptions(max_new_tokens=12)
    text = generate(network, tokenizer, PROMPTS[2:3], options, tokens_per_batch=1)[0].text
    words = text.split(" ")
    stop = " ".join(words[3:6])
    options = GenerationOptions(max_new_tokens=12, stop=(stop,))
    found, answer = pieces(network, tokenizer, PROMPTS[2], options)
    assert answer.reason == "stop" and "".join(found) == answer.text == text[: text.index(stop)]
    # One that is begun and not completed is part of the text after all.
    options = GenerationOptions(max_new_tokens=12, stop=(stop + " and no more",))
    found, answer = pieces(network, tokenizer, PROMPTS[2], options)
    assert answer.reason == "length" and "".join(found) == text


def test_half_a_character_is_held_back(build: Build) -> None:
    from tokenizers import ByteLevelBPETokenizer

    bytes_alone = ByteLevelBPETokenizer()
    bytes_alone.train_from_iterator(["a"], vocab_size=256, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_alone._tokenizer, pad_token="a")
    text = "über €"
    ids = tokenizer(text).input_ids
    network = build("llama", vocabulary=300, eos_token_id=299)

    class Says(torch.nn.Module):
        """Writes the text, whatever it reads."""

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            scores = torch.zeros(*hidden.shape[:2], 300)
            scores[:, -1, (ids + [299])[self.step]] = 1
            self.step += 1
            return scores

        step = 0

    network.lm_head = Says()
    found, answer = pieces(network, tokenizer, [7], GenerationOptions(max_new_tokens=20))
    assert found == list(text) and answer.text == text and answer.reason == "eos"


def test_beams_cannot_be_shown(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match="num_beams: With beams the text is only known at its end"):
        next(stream(build("llama"), tokenizer, [7], GenerationOptions(num_beams=2)))


def test_a_prompt_that_is_too_long(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match="prompt: This input has 100 tokens"):
        next(stream(build("llama"), tokenizer, [7] * 100, GenerationOptions(max_new_tokens=8)))


def test_an_error_arrives_where_the_pieces_are_read(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(IndexError):
        next(stream(build("llama"), tokenizer, [100_000], GenerationOptions(max_new_tokens=8)))


def test_closing_ends_the_writing(build: Build, tokenizer: PreTrainedTokenizerFast) -> None:
    network = build("llama").train()
    steps = []
    network.register_forward_hook(lambda *_: steps.append(1))
    before = threading.active_count()
    writing = stream(network, tokenizer, [7], GenerationOptions(max_new_tokens=60))
    next(writing)
    writing.close()
    assert threading.active_count() == before and len(steps) < 60 and network.training
