"""Scores at chosen places only are those of the whole network, with the same gradients."""

import pytest
import torch
from tiny_families import MODEL_TYPES, VOCABULARY, tiny_config
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from rag_lightning.model.interface import is_causal, is_seq2seq, supports
from rag_lightning.model.selected_logits import logits_at, only_at

WRITERS = [each for each in MODEL_TYPES if supports(each, "text") or supports(each, "masked_tokens")]


def _network(model_type: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if is_seq2seq(model_type):
        kind = AutoModelForSeq2SeqLM
    else:
        kind = AutoModelForCausalLM if is_causal(model_type) else AutoModelForMaskedLM
    return kind.from_config(tiny_config(model_type)).eval()


@pytest.mark.parametrize("model_type", WRITERS)
def test_selected_scores_and_gradients_are_those_of_the_whole(model_type: str) -> None:
    network = _network(model_type)
    ids = torch.randint(3, VOCABULARY, (2, 7))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    seen = torch.tensor([[0, 1, 1, 0, 0], [0, 0, 0, 0, 1]] if is_seq2seq(model_type) else [[0, 1, 1, 0, 0, 0, 0]] * 2)
    selected = seen.bool()
    if is_seq2seq(model_type):
        inputs["decoder_input_ids"] = torch.randint(3, VOCABULARY, (2, 5))
    whole = network(**inputs).logits[selected]
    embeddings = network.get_input_embeddings().weight
    (expected,) = torch.autograd.grad(whole.square().sum(), embeddings)
    some = logits_at(network, selected, **inputs)
    (found,) = torch.autograd.grad(some.square().sum(), embeddings)
    torch.testing.assert_close(some, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_no_place_gives_no_scores_and_a_loss_of_zero_that_still_has_gradients() -> None:
    network = _network("gpt2")
    ids = torch.randint(3, VOCABULARY, (2, 4))
    none = logits_at(network, torch.zeros_like(ids, dtype=torch.bool), input_ids=ids)
    assert none.shape == (0, VOCABULARY)
    none.sum().backward()


def test_the_network_is_whole_again_afterwards_even_after_an_error() -> None:
    network = _network("llama")
    ids = torch.randint(3, VOCABULARY, (2, 4))
    with pytest.raises(RuntimeError, match="in between"), only_at(network, torch.ones_like(ids, dtype=torch.bool)):
        raise RuntimeError("in between")
    assert network(input_ids=ids).logits.shape == (2, 4, VOCABULARY)


def test_a_network_without_a_head_is_refused() -> None:
    with pytest.raises(TypeError, match="no output embeddings"):
        logits_at(AutoModel.from_config(tiny_config("bert")), torch.ones(1, 1).bool(), input_ids=torch.ones(1, 1).int())
