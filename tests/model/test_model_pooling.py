"""Pooled heads: what they read, when they are chosen, how they are saved."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_families import MODEL_TYPES, tiny_config
from transformers import AutoModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import base_model_of, is_causal, is_seq2seq, layers_of
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.pooling import HEAD_FILE, PooledClassifier, choose_pooling, is_pooled
from rag_lightning.model.resolve import architecture
from rag_lightning.speed.accelerate import accelerate, undo
from rag_lightning.speed.options import SpeedConfig
from rag_lightning.training.optimization import parameter_groups
from rag_lightning.tuning.freeze import freeze, keep_frozen_in_eval

LABELS = ["a", "b", "c"]
IDS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, 0, 0]])
MASK = (IDS != 0).long()
POOLABLE = [each for each in MODEL_TYPES if not is_seq2seq(each)]


def config(pooling: str = "mean", **changes: object) -> ModelConfig:
    return ModelConfig(name="tiny", pooling=pooling, **changes)  # type: ignore[arg-type]


def load(folder: Path, options: ModelConfig, labels: list[str] = LABELS) -> PooledClassifier:
    network = load_network(folder, "sequence_label", labels, options, seed=1, pad_token_id=0)
    assert isinstance(network, PooledClassifier)
    return network


@pytest.mark.parametrize("model_type", POOLABLE)
def test_every_family_can_be_pooled_frozen_saved_and_loaded(model_type: str, tmp_path: Path) -> None:
    source = AutoModel.from_config(tiny_config(model_type))
    source.save_pretrained(tmp_path / "bare")
    network = load(tmp_path / "bare", config())
    wanted = dict(source.named_parameters())
    own = dict(base_model_of(network).named_parameters())
    assert set(wanted) - set(own) <= {name for name in wanted if "pooler" in name}
    assert all(torch.equal(each, wanted[name]) for name, each in own.items())
    assert not network.training
    summary = freeze(network, len(layers_of(network)))
    head = sum(each.numel() for each in network.classifier.parameters())
    assert head <= summary.trainable < head + 0.2 * summary.frozen
    network.train()
    keep_frozen_in_eval(network, len(layers_of(network)))
    assert not layers_of(network)[0].training and network.dropout.training
    logits = network(input_ids=IDS, attention_mask=MASK).logits
    assert logits.shape == (2, 3)
    logits.sum().backward()
    expected = network.eval()(input_ids=IDS, attention_mask=MASK).logits
    network.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved", config("auto"))
    assert torch.allclose(again(input_ids=IDS, attention_mask=MASK).logits, expected, atol=1e-6)


def test_every_parameter_learns(model_folder: Path) -> None:
    """A pooler without gradient would stop training over several devices."""
    network = load(model_folder, config())
    network(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert all(each.grad is not None for each in network.parameters())
    names = {group["name"] for group in parameter_groups(network, 0.01, head_lr=1e-2)}
    assert names == {"backbone", "backbone/no_decay", "head", "head/no_decay"}


def test_the_mean_leaves_padding_out_and_cls_is_the_first(model_folder: Path) -> None:
    hidden = torch.arange(20.0).reshape(2, 5, 2)
    mean, first = (load(model_folder, config(pooling)) for pooling in ("mean", "cls"))
    assert mean.pooled(hidden, MASK).tolist() == [[4.0, 5.0], [12.0, 13.0]]
    assert first.pooled(hidden, MASK).tolist() == [[0.0, 1.0], [10.0, 11.0]]
    alone = mean(input_ids=IDS[1:, :3], attention_mask=MASK[1:, :3]).logits
    assert torch.allclose(mean(input_ids=IDS, attention_mask=MASK).logits[1:], alone, atol=1e-5)


def test_the_head_is_seeded_and_dropout_is_set(model_folder: Path) -> None:
    state = torch.get_rng_state()
    first, again = (load(model_folder, config()) for _ in range(2))
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert torch.equal(state, torch.get_rng_state())
    assert first.dropout.p == 0.1 and load(model_folder, config(dropout=0.3)).dropout.p == 0.3
    random = load(model_folder, config(random_init=True))
    assert not torch.equal(next(random.parameters()), next(first.parameters()))


@pytest.mark.parametrize(
    ("written", "changes", "expected"),
    [
        ({}, {}, "native"),
        ({"1_Pooling/config.json": {"pooling_mode_mean_tokens": True}}, {}, "mean"),
        ({"1_Pooling/config.json": {"pooling_mode_cls_token": True}}, {}, "cls"),
        ({"1_Pooling/config.json": {"pooling_mode_max_tokens": True}}, {}, "native"),
        ({"modules.json": []}, {}, "mean"),
        ({}, {"name": "sentence-transformers/paraphrase-x", "path": None}, "mean"),
        ({}, {"name": "BAAI/bge-small-en", "path": None}, "cls"),
        ({}, {"name": "sentence-transformers/all-MiniLM-L6-v2"}, "native"),  # the folder is what is loaded
        ({"modules.json": []}, {"pooling": "native"}, "native"),
        ({"modules.json": []}, {"pooling": "cls"}, "cls"),
    ],
)
def test_what_auto_means(written: dict[str, object], changes: dict[str, object], expected: str, tmp_path: Path) -> None:
    tiny_config("bert").save_pretrained(tmp_path)
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    options = ModelConfig(**({"name": "x", "path": tmp_path} | changes))
    assert choose_pooling(tmp_path, architecture(tmp_path), options) == expected


def test_other_tasks_are_not_pooled(model_folder: Path) -> None:
    assert not is_pooled(load_network(model_folder, "token_labels", LABELS, config("mean"), seed=1))
    assert not is_pooled(load_network(model_folder, "sequence_label", LABELS, config("native"), seed=1))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_poolings_that_make_no_sense_are_refused_in_words(model_type: str, tmp_path: Path) -> None:
    tiny_config(model_type).save_pretrained(tmp_path)
    for pooling, refused in (
        ("mean", is_seq2seq(model_type)),
        ("cls", is_seq2seq(model_type) or is_causal(model_type)),
    ):
        if refused:
            with pytest.raises(UserError, match="model.pooling: .*Set model.pooling=native"):
                choose_pooling(tmp_path, architecture(tmp_path), config(pooling))
        else:
            assert choose_pooling(tmp_path, architecture(tmp_path), config(pooling)) == pooling


def test_a_saved_head_without_its_file_is_told(model_folder: Path, tmp_path: Path) -> None:
    load(model_folder, config()).save_pretrained(tmp_path)
    (tmp_path / HEAD_FILE).write_bytes(b"cut off")
    with pytest.raises(UserError, match="pooled_head.safetensors: The pooled head of this model cannot be read"):
        load(tmp_path, config("auto"))
    (tmp_path / HEAD_FILE).unlink()
    with pytest.raises(UserError, match="pooled head of this model cannot be read.*Copy the whole folder again"):
        load(tmp_path, config("auto"))


def test_training_goes_on_from_a_saved_folder_with_other_labels(model_folder: Path, tmp_path: Path) -> None:
    first = load(model_folder, config())
    with torch.no_grad():
        first.backbone.embeddings.word_embeddings.weight.add_(0.5)
    first.save_pretrained(tmp_path)
    other = load(tmp_path, config("auto"), ["yes", "no"])
    assert other.classifier.weight.shape == (2, 32) and other.config.id2label == {0: "yes", 1: "no"}
    assert torch.equal(
        other.backbone.embeddings.word_embeddings.weight, first.backbone.embeddings.word_embeddings.weight
    )
    tagger = load_network(tmp_path, "token_labels", ["O", "B-X"], config("auto"), seed=1)
    tagger.save_pretrained(tmp_path / "tagger")
    saved = json.loads((tmp_path / "tagger" / "config.json").read_text())
    assert "rag_lightning_pooling" not in saved, "a tagger has no pooled head to be looked for"


def test_fused_layers_and_resting_rows_change_nothing(model_folder: Path, tmp_path: Path) -> None:
    network = load(model_folder, config(dropout=0.0, attn_dropout=0.0))
    expected = network(input_ids=IDS, attention_mask=MASK).logits
    applied = accelerate(network, SpeedConfig(fused_layers=True), training_ids=IDS, precision="32-true")
    assert applied.fused_layers == 2 and applied.embedding is not None
    network.train()
    assert torch.allclose(network(input_ids=IDS, attention_mask=MASK).logits, expected, atol=1e-4)
    undo(network)
    network.eval().save_pretrained(tmp_path)
    assert set(load_file(tmp_path / HEAD_FILE)) == {"classifier.weight", "classifier.bias"}
    again = load(tmp_path, config("auto"))
    assert torch.allclose(again(input_ids=IDS, attention_mask=MASK).logits, expected, atol=1e-5)


def test_what_is_added_to_the_network_is_saved_with_it(model_folder: Path, tmp_path: Path) -> None:
    network = load(model_folder, config())
    network.add_module("more", torch.nn.Linear(2, 2))
    network.save_pretrained(tmp_path)
    assert {"more.weight", "more.bias"} <= set(load_file(tmp_path / HEAD_FILE))
