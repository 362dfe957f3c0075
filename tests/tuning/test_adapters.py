"""Adapters in every family: they begin as nothing, alone learn beside the head, switch off, and merge."""

import pytest
import torch
from test_freeze import HEADS, IDS, build, kind_for, loss_of
from tiny_families import MODEL_TYPES, tiny_config

from rag_lightning.errors import UserError
from rag_lightning.model.interface import base_model_of, layers_of
from rag_lightning.tuning.adapters import adapter_layers, adapters_off, merge_adapters
from rag_lightning.tuning.options import TuningConfig
from rag_lightning.tuning.way import check_tuning, prepare

KINDS = ("lora", "ia3")


def tuning(kind: str, **more: object) -> TuningConfig:
    frozen = more.pop("frozen_layers", 0)
    return TuningConfig.model_validate({"frozen_layers": frozen, "adapter": {"kind": kind, **more}})


def check(config: TuningConfig, model_type: str, kind: str = "") -> int:
    return check_tuning(config, tiny_config(model_type), kind or kind_for(model_type), {"lr": 1e-3}, {})


def adapted(model_type: str, config: TuningConfig, seed: int = 1):  # type: ignore[no-untyped-def]
    kind = kind_for(model_type)
    model = build(model_type, kind).eval()
    frozen = check(config, model_type)
    prepare(model, config, frozen, head_is_new=kind != "text", seed=seed)
    return model, kind


def answers(model, kind: str) -> torch.Tensor:  # type: ignore[no-untyped-def]
    labels = {"labels": IDS} if kind == "text" else {}
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=torch.ones_like(IDS), **labels).logits


def backbone_states(model, kind: str) -> torch.Tensor:  # type: ignore[no-untyped-def]
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    decoder = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder and kind == "text" else {}
    with torch.no_grad():
        return base_model_of(model)(**inputs, **decoder)[0]


def train(model, kind: str) -> None:  # type: ignore[no-untyped-def]
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(model, kind).backward()
        optimizer.step()


@pytest.mark.parametrize("adapter", KINDS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_family(model_type: str, adapter: str) -> None:
    plain = build(model_type, kind_for(model_type)).eval()
    start = {name: each.clone() for name, each in plain.named_parameters()}
    model, kind = adapted(model_type, tuning(adapter))
    assert torch.equal(answers(model, kind), answers(plain, kind)), "begins as nothing"
    train(model, kind)
    backbone = {id(each) for each in base_model_of(plain).parameters()}
    held = {name for name, each in plain.named_parameters() if id(each) in backbone and "pooler" not in name}
    now = {name.replace(".base_layer.", "."): each for name, each in model.named_parameters()}
    assert all(torch.equal(now[name], start[name]) for name in held if name in now and "qa_outputs" not in name)
    assert not torch.equal(answers(model, kind), answers(plain, kind)), "has learned"
    with adapters_off(model):
        assert torch.equal(backbone_states(model, kind), backbone_states(plain, kind))
    trained = answers(model, kind)
    assert not torch.equal(backbone_states(model, kind), backbone_states(plain, kind)), "is on again"
    assert all(each.requires_grad for name, each in model.named_parameters() if "lora_" in name or "ia3_" in name)
    merge_adapters(model)
    torch.testing.assert_close(answers(model, kind), trained, rtol=1e-4, atol=1e-5)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert not hasattr(model, "peft_config")


@pytest.mark.parametrize("adapter", KINDS)
def test_adapters_only_above_the_frozen_layers(adapter: str) -> None:
    model, _ = adapted("bert", tuning(adapter, frozen_layers=2))
    assert [bool(adapter_layers(layer)) for layer in layers_of(model)] == [False, False, True]


def test_the_first_weights_depend_on_the_seed_alone() -> None:
    def first(seed: int, before: int) -> torch.Tensor:
        torch.manual_seed(before)
        model, _ = adapted("bert", tuning("lora"), seed)
        return torch.cat([each.flatten() for name, each in model.named_parameters() if "lora_A" in name])

    assert torch.equal(first(1, 5), first(1, 6))
    assert not torch.equal(first(1, 5), first(2, 5))


def test_rank_alpha_and_targets() -> None:
    model, _ = adapted("bert", tuning("lora", rank=3, alpha=6, targets=["key", "intermediate.dense"]))
    assert {each.r["default"] for each in adapter_layers(model)} == {3}
    assert {each.scaling["default"] for each in adapter_layers(model)} == {2.0}
    found = {name.rpartition(".")[2] for name, each in model.named_modules() if each in adapter_layers(model)}
    assert found == {"key", "dense"}
    assert len(adapter_layers(model)) == 2 * 3


def test_switching_off_keeps_what_learns() -> None:
    model, _ = adapted("bert", tuning("lora"))
    still = adapter_layers(model)[0].lora_A["default"].weight
    still.requires_grad_(False)
    with adapters_off(model):
        pass
    assert not still.requires_grad
    assert adapter_layers(model)[1].lora_A["default"].weight.requires_grad


def test_a_pretrained_head_stays_as_it_is() -> None:
    model = HEADS["text"].from_config(tiny_config("t5", tie_word_embeddings=False))
    prepare(model, tuning("lora"), 0, head_is_new=False, seed=1)
    assert all("lora_" in name for name, each in model.named_parameters() if each.requires_grad)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"adapter": {"kind": "lora", "targets": ["querry"]}}, "no linear layer named querry.*Did you mean query"),
        ({"adapter": {"kind": "ia3"}, "frozen_layers": "all"}, "all layers are frozen"),
        ({"adapter": {"kind": "lora"}, "parameters": "biases"}, "Choose one of them"),
    ],
)
def test_refused_in_words(given: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check(TuningConfig.model_validate(given), "bert")
