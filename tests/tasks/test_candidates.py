"""Choosing among texts: the scores are those that each text has alone, whatever the backbone."""

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_families import tiny_config
from tiny_writing import byte_tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.render import render_plain
from rag_lightning.encoding.running import RunningWords
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.model.interface import is_seq2seq
from rag_lightning.tasks.dialogue import DialogueOptions
from rag_lightning.tasks.outputs.candidates import choosing, likelihoods
from rag_lightning.tasks.outputs.text import IGNORED, text_output
from rag_lightning.tasks.task import EncodingContext

CAUSAL, SEQ2SEQ = ("gpt2", "llama", "qwen2"), ("t5", "bart", "marian")
PROMPT = [40, 41, 42, 43]
TEXTS = [[50, 51, 52, 2], [53], [54, 55]]


def network_of(model_type: str) -> PreTrainedModel:
    vocabulary = len(byte_tokenizer(model_type))
    config = tiny_config(model_type, vocab_size=vocabulary)
    kind = AutoModelForSeq2SeqLM if is_seq2seq(model_type) else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return kind.from_config(config).eval()


def alone(network: PreTrainedModel, prompt: list[int], text: list[int]) -> float:
    """The mean log-likelihood of one text, in one plain pass."""
    with torch.no_grad():
        if network.config.is_encoder_decoder:
            logits = network(input_ids=torch.tensor([prompt]), labels=torch.tensor([text])).logits[0]
        else:
            logits = network(input_ids=torch.tensor([[*prompt, *text]])).logits[0, len(prompt) - 1 : -1]
    return -float(F.cross_entropy(logits, torch.tensor(text)))


@pytest.mark.parametrize("model_type", [*CAUSAL, *SEQ2SEQ])
@pytest.mark.parametrize("prompt", [PROMPT, PROMPT[:1]], ids=["prompt", "one token"])
def test_each_score_is_that_of_the_text_alone(model_type: str, prompt: list[int]) -> None:
    network = network_of(model_type)
    found = likelihoods(network, torch.tensor(prompt), TEXTS)
    assert found == pytest.approx([alone(network, prompt, text) for text in TEXTS], abs=1e-4)
    assert len(set(found)) == 3


def test_a_text_without_tokens_is_never_chosen() -> None:
    found = likelihoods(network_of("gpt2"), torch.tensor(PROMPT), [[50], []])
    assert found[1] == float("-inf") < found[0]


def context_of(words: RunningWords) -> EncodingContext:
    return EncodingContext(
        words, (), DialogueOptions(), 0.0, render_plain, generation=GenerationOptions(max_new_tokens=4)
    )


RECORDS: list[dict[str, Any]] = [
    {"text": "Open?", "turns": [], "history": "", "target": "Until six."},
    {"text": "And on Sundays?", "turns": [], "history": "", "target": "No.", "candidates": ["No.", "Until six."]},
    {"text": "Why?", "turns": [], "history": "", "target": "Rest.", "candidates": ["Rest.", "No.", "Until six."]},
]  # fmt: skip


@pytest.mark.parametrize("model_type", ["gpt2", "t5"])
def test_rows_with_and_without_candidates_stand_in_one_batch(model_type: str) -> None:
    network, words = network_of(model_type), RunningWords(byte_tokenizer(model_type), 64)
    context = context_of(words)
    plain = text_output(model_type)
    kind = choosing(plain)
    assert kind.equip is not None
    kind = kind.equip(kind, network, context)
    columns = kind.encode(RECORDS, 7, context)
    batch = pad_columns(columns, {**kind.padding, "input_ids": words.tokenizer.pad_token_id})
    batch["example"] -= 7
    with torch.no_grad():
        decoded = kind.decode(kind.forward(network, batch), batch)
    found = kind.assemble(RECORDS, [decoded], ())
    for record, prediction in zip(RECORDS, found, strict=True):
        assert len(prediction["candidates"]) == len(record.get("candidates", ()))
        if "candidates" in record:  # the right one is the text whose likelihood is known anyway
            mean = prediction["log_likelihood"] / prediction["n_tokens"]
            assert prediction["candidates"][0] == pytest.approx(mean, abs=1e-4)
    bare = plain.encode(RECORDS, 7, context)
    assert {name: columns[name] for name in bare} == bare, "what is learnt stays the same"


def test_the_ids_of_candidates_are_those_that_training_would_have() -> None:
    words = RunningWords(byte_tokenizer("gpt2"), 64)
    context = context_of(words)
    row = choosing(text_output("gpt2")).encode(RECORDS[1:2], 0, context)
    own = [token for token in row["labels"][0] if token != IGNORED]
    first = list(itertools.takewhile(lambda token: token >= 0, row["candidates"][0]))
    assert first == own and own[-1] == words.tokenizer.eos_token_id


def test_without_candidates_there_is_an_empty_column() -> None:
    words = RunningWords(byte_tokenizer("gpt2"), 64)
    context = context_of(words)
    kind = choosing(text_output("gpt2"))
    columns = kind.encode(RECORDS[:1], 0, context)
    assert columns["candidates"] == [[]]
    assert pad_columns(columns, {**kind.padding, "input_ids": 0})["candidates"].shape == (1, 0)
