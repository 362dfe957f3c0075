"""The table of parts against the real architectures of transformers."""

import pytest
import torch
from tiny_families import MODEL_TYPES, tiny_config
from transformers import AutoModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import (
    INTERFACES,
    OUTPUT_KINDS,
    accepted_inputs,
    base_model_of,
    check_supported,
    embeddings_of,
    families,
    interface_of,
    layers_of,
    n_layers,
    padding_side,
    supports,
)

FAMILIES = (
    "BERT RoBERTa XLM-R DistilBERT DeBERTa ELECTRA ALBERT MPNet ModernBERT GPT-2 Llama-like T5 BART Marian Pegasus"
)


def test_the_promised_families_are_there() -> None:
    assert " ".join(families()) == FAMILIES
    assert "camembert" in INTERFACES and "deberta-v2" in INTERFACES and "mbart" in INTERFACES


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_parameter_is_in_a_known_part(model_type: str) -> None:
    """A part that the table forgets would go on learning below frozen layers."""
    config = tiny_config(model_type)
    model = AutoModel.from_config(config)
    assert base_model_of(model) is model
    assert len(layers_of(model)) == n_layers(config, "sequence_label")
    known = {id(each) for module in embeddings_of(model) + layers_of(model) for each in module.parameters()}
    rest = {name for name, each in model.named_parameters() if id(each) not in known}
    norms = (
        "final_norm",
        "norm.",
        "ln_f",
        "encoder.final_layer_norm",
        "encoder.layer_norm",
        "encoder.LayerNorm",
    )
    above = ("pooler", "decoder.", *norms)
    assert all(name.startswith(above) for name in rest), rest
    assert embeddings_of(model)
    inputs = accepted_inputs(model)
    assert "input_ids" in inputs and "attention_mask" in inputs and "kwargs" not in inputs
    given = {"input_ids": torch.tensor([[1, 5, 2]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    if model_type in ("t5", "mt5", "marian", "pegasus"):
        given["decoder_input_ids"] = given["input_ids"]
    assert model(**given)[0].shape == (1, 3, 32)


def test_accepted_inputs_tell_families_apart() -> None:
    assert "token_type_ids" in accepted_inputs(AutoModel.from_config(tiny_config("bert")))
    assert "token_type_ids" not in accepted_inputs(AutoModel.from_config(tiny_config("distilbert")))


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UserError, match="'canine' are not known.*BERT.*BART"):
        interface_of("canine")


def test_heads_come_from_the_library() -> None:
    with pytest.raises(UserError, match="'bart' has no head for token labels.*BERT.*Llama-like, T5") as caught:
        check_supported("bart", "token_labels")
    assert "BART" not in str(caught.value)
    assert [kind for kind in OUTPUT_KINDS if supports("bert", kind)] == [
        "token_labels",
        "sequence_label",
        "entity_pair",
        "span",
        "masked_tokens",
        "vectors",
    ]
    assert [each for each in ("t5", "bart", "gpt2", "llama", "roberta", "electra") if supports(each, "text")] == [
        "t5",
        "bart",
        "gpt2",
        "llama",
    ]
    assert not supports("gpt2", "masked_tokens") and not supports("gemma3_text", "token_labels")


def test_padding_goes_before_a_text_that_goes_on() -> None:
    assert padding_side("llama", "text") == "left"
    assert padding_side("llama", "token_labels") == padding_side("t5", "text") == "right"
