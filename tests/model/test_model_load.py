"""Networks and their heads from a folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import MODEL_TYPES, tiny_config
from transformers import AutoModel, AutoModelForCausalLM, BertConfig, BertModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import base_model_of, layers_of, supports
from rag_lightning.model.load import load_network, set_dropout, window_length
from rag_lightning.model.options import ModelConfig

LABELS = ["O", "B-PER", "I-PER"]
PLAIN = ModelConfig(name="tiny")


def test_head_is_seeded_and_labelled(model_folder: Path) -> None:
    state = torch.get_rng_state()
    first = load_network(model_folder, "token_labels", LABELS, PLAIN, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    again = load_network(model_folder, "token_labels", LABELS, PLAIN, seed=3)
    other = load_network(model_folder, "token_labels", LABELS, PLAIN, seed=4)
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert torch.equal(first.bert.embeddings.word_embeddings.weight, other.bert.embeddings.word_embeddings.weight)
    assert first.config.id2label == dict(enumerate(LABELS)) and first.config.label2id["I-PER"] == 2
    assert not first.training


def test_quiet(model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_network(model_folder, "token_labels", LABELS, PLAIN, seed=3)
    assert capfd.readouterr() == ("", "")


def test_bfloat16_checkpoint_trains_in_float32(tmp_path: Path) -> None:
    AutoModel.from_config(tiny_config("llama")).to(torch.bfloat16).save_pretrained(tmp_path)
    network = load_network(tmp_path, "token_labels", LABELS, PLAIN, seed=1, pad_token_id=2)
    assert {each.dtype for each in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_backbone_is_found_in_its_checkpoint(model_type: str, tmp_path: Path) -> None:
    """From a bare backbone and from another head: nothing of the backbone is drawn anew in silence."""
    source = AutoModel.from_config(tiny_config(model_type))
    source.save_pretrained(tmp_path / "bare")
    for kind in ("token_labels", "sequence_label", "span", "text", "masked_tokens"):
        if not supports(model_type, kind):
            continue
        network = load_network(tmp_path / "bare", kind, LABELS, PLAIN, seed=1)
        held = dict(base_model_of(network).named_parameters())
        wanted = dict(source.named_parameters())
        shared = [name for name in held if name in wanted]
        assert len(shared) > 10 and len(set(held) - set(shared)) <= 2  # some of T5's heads count as base
        assert all(torch.equal(held[name], wanted[name]) for name in shared)
        network.save_pretrained(tmp_path / kind)
        if kind == "span":  # called "transformer" by some, "model" by others
            load_network(tmp_path / kind, "sequence_label", ["only", "two"], PLAIN, seed=1)
        shutil.rmtree(tmp_path / kind)


@pytest.mark.parametrize("model_type", ["llama", "qwen3", "mistral"])
def test_a_causal_checkpoint_keeps_its_backbone_under_a_span_head(model_type: str, tmp_path: Path) -> None:
    source = AutoModelForCausalLM.from_config(tiny_config(model_type))
    source.save_pretrained(tmp_path / "causal")
    network = load_network(tmp_path / "causal", "span", [], PLAIN, seed=1)
    assert torch.equal(layers_of(network)[2].mlp.up_proj.weight, source.model.layers[2].mlp.up_proj.weight)
    network.save_pretrained(tmp_path / "span")
    plain = type(network).from_pretrained(tmp_path / "span")
    assert torch.equal(layers_of(plain)[2].mlp.up_proj.weight, source.model.layers[2].mlp.up_proj.weight)


def test_random_weights_need_no_checkpoint(own_copy: Callable[..., Path]) -> None:
    folder = own_copy("model.safetensors")
    config = ModelConfig(name="tiny", random_init=True)
    first, again = (load_network(folder, "token_labels", LABELS, config, seed=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_checkpoint_of_another_size(own_copy: Callable[..., Path]) -> None:
    folder = own_copy("config.json")
    BertConfig(vocab_size=200, hidden_size=64, num_attention_heads=2, num_hidden_layers=2).save_pretrained(folder)
    with pytest.raises(UserError, match="do not fit config.json: bert.*has shape"):
        load_network(folder, "token_labels", LABELS, PLAIN, seed=1)


def test_a_checkpoint_that_lacks_layers(own_copy: Callable[..., Path]) -> None:
    folder = own_copy()
    kept = {
        name: value.clone() for name, value in load_file(folder / "model.safetensors").items() if "layer.1" not in name
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="lacks 16 of the .* backbone tensors, such as bert.encoder.layer.1"):
        load_network(folder, "token_labels", LABELS, PLAIN, seed=1)


def test_no_such_head(tmp_path: Path) -> None:
    AutoModel.from_config(tiny_config("bart")).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no head for token labels"):
        load_network(tmp_path, "token_labels", LABELS, PLAIN, seed=1)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_dropout_is_set_whatever_its_name(model_type: str, tmp_path: Path) -> None:
    config = tiny_config(model_type)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    kind = next(kind for kind in ("token_labels", "sequence_label", "text") if supports(model_type, kind))
    options = ModelConfig(name="tiny", dropout=0.0, attn_dropout=0.0)
    network = load_network(tmp_path, kind, LABELS, options, seed=1).train()
    ids = torch.tensor([[1, 5, 6, 7, 2]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | ({"labels": ids} if kind == "text" else {})
    first, second = (network(**inputs).logits for _ in range(2))
    assert torch.equal(first, second)
    options = ModelConfig(name="tiny", dropout=0.3)
    network = load_network(tmp_path, kind, LABELS, options, seed=1).train()
    first, second = (network(**inputs).logits for _ in range(2))
    assert not torch.equal(first, second)


def test_dropout_that_is_not_set_stays() -> None:
    config = BertConfig()
    set_dropout(config, None, 0.25)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.25)


def test_window_length() -> None:
    assert window_length(tiny_config("bert")) == 70
    assert window_length(tiny_config("roberta")) == 68  # behind the padding id
    assert window_length(BertConfig(max_position_embeddings=8192)) == 512
    assert window_length(BertConfig(max_position_embeddings=8192), 1000) == 1000
    assert window_length(tiny_config("t5")) == 512 and window_length(tiny_config("t5"), 900) == 900
    with pytest.raises(UserError, match="max_length=71 is more than the 70 positions"):
        window_length(tiny_config("bert"), 71)


@pytest.mark.parametrize("model_type", ["roberta", "mpnet", "bart", "gpt2", "bert", "distilbert"])
def test_the_longest_window_runs(model_type: str) -> None:
    config = tiny_config(model_type)
    ids = torch.full((1, window_length(config)), 5)
    AutoModel.from_config(config).eval()(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_bare_bert_is_enough(tmp_path: Path) -> None:
    """Checkpoints without pooler, and with one that the head does not want."""
    BertModel(tiny_config("bert"), add_pooling_layer=False).save_pretrained(tmp_path)
    load_network(tmp_path, "sequence_label", LABELS, PLAIN, seed=1)
