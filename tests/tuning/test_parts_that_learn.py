"""Biases alone, rates by layer, and unfreezing by step."""

import pytest
import torch
from test_freeze import build, kind_for, loss_of
from tiny_families import MODEL_TYPES, tiny_config

from rag_lightning.errors import UserError
from rag_lightning.model.interface import embeddings_of, layers_of
from rag_lightning.training.optimization import by_layer, parameter_groups
from rag_lightning.tuning.gradual import Schedule, Unfreezing, at_which_something_learns, depths, schedule
from rag_lightning.tuning.layer_rates import layer_rates, shown_rates
from rag_lightning.tuning.options import TuningConfig, UnfreezeConfig, idle_settings
from rag_lightning.tuning.way import check_tuning, prepare


def refused(model_type: str, optimizer: dict | None = None, trainer: dict | None = None, **given: object) -> str:
    with pytest.raises(UserError) as caught:
        tuning = TuningConfig.model_validate(given)
        check_tuning(tuning, tiny_config(model_type), kind_for(model_type), optimizer or {"lr": 1e-3}, trainer or {})
    return f"{caught.value.reason} {caught.value.remedy}"


# --- biases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_only_biases_and_the_head_change(model_type: str) -> None:
    tuning = TuningConfig(parameters="biases")
    kind = kind_for(model_type)
    try:
        check_tuning(tuning, tiny_config(model_type), kind, {}, {})
    except UserError as error:
        assert "no biases" in error.reason
        assert not any(
            name.endswith("bias")
            for name, _ in build(model_type, "vectors" and kind).named_parameters()
            if "classifier" not in name and "score" not in name
        )
        return
    model = build(model_type, kind)
    start = {name: each.clone() for name, each in model.named_parameters()}
    prepare(model, tuning, 0, head_is_new=kind != "text", seed=1)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.5)
    loss_of(model, kind).backward()
    optimizer.step()
    changed = {name for name, each in model.named_parameters() if not torch.equal(each, start[name])}
    weights = {name for name in changed if not name.endswith("bias")}
    assert changed - weights
    assert all(name.split(".")[0] in ("classifier", "score", "classification_head", "pooler") for name in weights)
    assert weights or kind == "text"


def test_biases_above_the_frozen_layers() -> None:
    model = build("bert", "token_labels")
    summary = prepare(model, TuningConfig(parameters="biases"), 2, head_is_new=True, seed=1)
    learning = {name for name, each in model.named_parameters() if each.requires_grad}
    assert {name.split(".")[3] for name in learning if "encoder.layer" in name} == {"2"}
    assert summary.trainable == sum(each.numel() for each in model.parameters() if each.requires_grad)


def test_a_family_without_biases_is_refused() -> None:
    assert "has no biases" in refused("t5", parameters="biases")
    assert "has no biases" in refused("llama", parameters="biases")


# --- rates --------------------------------------------------------------------------------------------------------


def test_rates_fall_from_layer_to_layer() -> None:
    model = build("bert", "token_labels")
    groups = by_layer(parameter_groups(model, 0.01, head_lr=3.0), layer_rates(model, 0.5), lr=1.0)
    rate = {id(each): group["lr"] for group in groups if "lr" in group for each in group["params"]}
    for index, layer in enumerate(layers_of(model)):
        assert {rate[id(each)] for each in layer.parameters()} == {0.5 ** (2 - index)}
    assert {rate[id(each)] for part in embeddings_of(model) for each in part.parameters()} == {0.5**3}
    assert {rate[id(each)] for each in model.classifier.parameters()} == {3.0}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert all((group["weight_decay"] > 0) == all(each.ndim > 1 for each in group["params"]) for group in groups)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_rates_in_every_family(model_type: str) -> None:
    model = build(model_type, kind_for(model_type))
    rates = layer_rates(model, 0.5)
    layers = layers_of(model)
    for lower, upper in zip(layers, layers[1:], strict=False):
        low, high = (max(rates[id(each)].factor for each in layer.parameters()) for layer in (lower, upper))
        assert low == high / 2 or lower is upper
    assert max(rate.factor for rate in rates.values()) == 1.0
    assert all(rates[id(each)].factor < 1 for part in embeddings_of(model) for each in part.parameters())


def test_a_dashboard_shows_a_few_rates() -> None:
    groups = [{"name": f"layer_{i:02d}{end}", "lr": 0.9**-i} for i in range(12) for end in ("", "/no_decay")]
    shown = shown_rates([*groups, {"name": "head", "lr": 9.0}])
    assert shown == {"lr/layer_00": 1.0, "lr/layer_11": pytest.approx(0.9**-11), "lr/head": 9.0}
    assert shown_rates([{"name": "head", "lr": 1.0}, {"name": "backbone", "lr": 1.0}]) == {"lr": 1.0}
    assert shown_rates([{"name": "head", "lr": 2.0}, {"name": "backbone", "lr": 1.0}]) == {
        "lr/head": 2.0,
        "lr/backbone": 1.0,
    }


def test_rates_need_layers_and_a_rate() -> None:
    assert "all layers are frozen" in refused("bert", layer_decay=0.9, frozen_layers="all")
    assert "optimizer.lr" in refused("bert", {"lr": None}, layer_decay=0.9)


# --- unfreezing ---------------------------------------------------------------------------------------------------


def test_depths_go_down_one_layer_at_a_time() -> None:
    assert depths(tiny_config("bert"), "token_labels", 0) == (3, 2, 1, 0)
    assert depths(tiny_config("bert"), "token_labels", 1) == (3, 2, 1)
    assert depths(tiny_config("albert"), "token_labels", 0) == (3, 0)
    assert depths(tiny_config("bart"), "text", 0) == (4, 3, 2, 1, 0)


def test_the_schedule_is_a_function_of_the_step() -> None:
    auto = schedule(UnfreezeConfig(every="auto"), (3, 2, 1, 0), 20, 10)
    assert auto is not None
    assert [auto.depth(step) for step in range(20)] == [3] * 5 + [2] * 5 + [1] * 5 + [0] * 5
    share = schedule(UnfreezeConfig(every=0.1), (3, 2, 1, 0), 20, 10)
    assert share is not None
    assert [share.depth(step) for step in (0, 1, 2, 4, 6, 19)] == [3, 3, 2, 1, 0, 0]
    epochs = schedule(UnfreezeConfig(every=1), (3, 2, 1, 0), 40, 10)
    assert epochs is not None
    assert [epochs.depth(step) for step in (9, 10, 29, 30)] == [3, 2, 1, 0]
    assert schedule(UnfreezeConfig(), (3, 0), 10, 10) is None


def test_a_tied_head_does_not_learn_alone() -> None:
    assert at_which_something_learns(build("t5", "text"), (4, 3, 0)) == (3, 0)
    assert at_which_something_learns(build("bert", "token_labels"), (3, 2, 0)) == (3, 2, 0)


@pytest.mark.parametrize("model_type", ["bert", "bart", "gpt2", "t5"])
def test_layers_change_from_their_step_on(model_type: str) -> None:
    kind = kind_for(model_type)
    model = build(model_type, kind)
    total = len(layers_of(model))
    unfreezing = Unfreezing(model, Schedule(tuple(range(total, -1, -1)), 1.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    for step in range(total + 1):
        model.train()
        unfreezing.apply(step)
        start = [[each.clone() for each in layer.parameters()] for layer in layers_of(model)]
        optimizer.zero_grad()
        loss_of(model, kind).backward()
        optimizer.step()
        for index, layer in enumerate(layers_of(model)):
            same = [torch.equal(a, b) for a, b in zip(start[index], layer.parameters(), strict=True)]
            frozen = index < total - step
            assert all(same) if frozen else not all(same)
            assert layer.training is not frozen
    unfreezing.apply(0)
    unfreezing.release()
    assert all(each.requires_grad for each in unfreezing.learning)


def test_unfreezing_refused_in_words() -> None:
    assert "several processes" in refused("bert", None, {"strategy": "ddp_spawn"}, unfreeze={"every": "auto"})
    assert "no layer would learn" in refused("bert", None, {"max_epochs": 2}, unfreeze={"every": 2})
    assert "all layers are frozen" in refused("bert", unfreeze={"every": 0.1}, frozen_layers="all")


def test_settings_without_effect_are_no_part_of_a_run() -> None:
    assert idle_settings(TuningConfig()) >= {"tuning.parameters", "tuning.adapter", "tuning.unfreeze"}
    ia3 = idle_settings(TuningConfig.model_validate({"adapter": {"kind": "ia3"}}))
    assert "tuning.adapter.rank" in ia3 and "tuning.adapter" not in ia3
