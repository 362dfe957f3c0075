"""Small trained networks: what is written makes sense."""

from pathlib import Path

import pytest

from rag_lightning.generation.generate import generate
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.stream import stream
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.tokenizer import load_tokenizer

STORIES = ["Once upon a time", "Tom and Lily went to the park. They saw a big", "The dog"]


def test_stories(shared: Path) -> None:
    folder = shared / "models" / "tinystories-656k"
    tokenizer = load_tokenizer(folder, pre_split=False)
    network = load_network(folder, "text", [], ModelConfig(name="stories"), 0, pad_token_id=tokenizer.pad_token_id)
    prompts = [tokenizer(text).input_ids for text in STORIES]
    options = GenerationOptions(max_new_tokens=40, stop=(".",))
    answers = generate(network, tokenizer, prompts, options, tokens_per_batch=1000)
    assert [generate(network, tokenizer, [each], options, tokens_per_batch=1)[0] for each in prompts] == answers
    assert answers[0].text.startswith(", a little girl named Lily") and answers[0].reason == "stop"
    assert "".join(stream(network, tokenizer, prompts[0], options)) == answers[0].text


@pytest.mark.parametrize("beams", [1, 4])
def test_words_are_spelt_as_sounds(beams: int, shared: Path) -> None:
    folder = shared / "models" / "bart-tiny-g2p-en-us"
    tokenizer = load_tokenizer(folder, pre_split=False)
    network = load_network(folder, "text", [], ModelConfig(name="sounds"), 0)
    words = ["photograph", "cat", "international", "a", "house"]
    options = GenerationOptions(max_new_tokens=40, num_beams=beams)
    prompts = tokenizer(words).input_ids
    answers = generate(network, tokenizer, prompts, options, tokens_per_batch=1000)
    assert answers[0].text == "f\u02c8O\u027e\u0259\u0261\u0279\u02cc\u00e6f"
    assert [each.text for each in answers[1:2]] == ["k\u02c8\u00e6t"] and all(each.reason == "eos" for each in answers)
    assert [generate(network, tokenizer, [each], options, tokens_per_batch=1)[0] for each in prompts] == answers
