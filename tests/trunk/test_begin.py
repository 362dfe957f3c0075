"""A network that begins at a layer gives the answers of the whole one, in every family that can."""

from pathlib import Path

import pytest
import torch
from tiny_families import MODEL_TYPES, tiny_config
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from rag_lightning.model.interface import layers_of, supports
from rag_lightning.speed.layer_patch import fuse_layers
from rag_lightning.trunk.begin import Beginning, begins
from rag_lightning.trunk.states import PackedStates, mapped, starts_of

ABLE = [each for each in MODEL_TYPES if begins(each) and supports(each, "token_labels")]
UNABLE = ["t5", "bart", "albert", "no-such-model"]
LENGTHS = [9, 4, 7]


def network_of(model_type: str, head: type = AutoModelForTokenClassification) -> nn.Module:
    torch.manual_seed(0)
    # A convolution between the first two layers is passed over: only a depth above it is right (seen by the run).
    more = {"conv_kernel_size": 0} if model_type == "deberta-v2" else {}
    network: nn.Module = head.from_config(tiny_config(model_type, num_labels=5, **more))
    return network.eval()


def batch() -> dict[str, Tensor]:
    ids = torch.randint(5, 100, (3, max(LENGTHS)), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)).long()
    return {"input_ids": ids.masked_fill(mask == 0, 0), "attention_mask": mask}


def packed(beginning: Beginning, network: nn.Module, inputs: dict[str, Tensor]) -> PackedStates:
    """The states as the disk keeps them: without padding."""
    states = beginning.states(lambda: network(**inputs))
    starts = starts_of(torch.tensor(LENGTHS).numpy())
    kept = PackedStates(torch.zeros(sum(LENGTHS), states.shape[-1], dtype=states.dtype), starts, states.dtype)
    kept.put([0, 1, 2], states)
    return kept


def answers(network: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """At real tokens: behind them nobody looks."""
    with torch.no_grad():
        logits: Tensor = network(**inputs).logits
    return logits[inputs["attention_mask"].bool()] if logits.ndim == 3 else logits


@pytest.mark.parametrize("model_type", ABLE)
@pytest.mark.parametrize("left_out", ["one", "all"])
def test_every_family_answers_alike(model_type: str, left_out: str) -> None:
    network, inputs = network_of(model_type), batch()
    depth = 1 if left_out == "one" else len(layers_of(network))
    beginning = Beginning(network, depth)
    states = packed(beginning, network, inputs).gather([0, 1, 2])
    whole = answers(network, inputs)
    for module in beginning.layers:  # what is left out must not be run
        for parameter in module.parameters():
            parameter.data.fill_(float("nan"))
    with beginning.given(states):
        begun = answers(network, inputs)
    torch.testing.assert_close(begun, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "gpt2", "llama"])
def test_labels_of_texts_are_read_off_alike(model_type: str) -> None:
    network, inputs = network_of(model_type, AutoModelForSequenceClassification), batch()
    network.config.pad_token_id = 0
    beginning = Beginning(network, 2)
    states = packed(beginning, network, inputs).gather([0, 1, 2])
    with beginning.given(states):
        begun = answers(network, inputs)
    torch.testing.assert_close(begun, answers(network, inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "electra"])
@pytest.mark.parametrize("depth", [1, 3])
def test_fused_layers_stay_fused_and_answer_alike(model_type: str, depth: int) -> None:
    network, inputs = network_of(model_type), batch()
    assert fuse_layers(network, torch.bfloat16) == 3
    beginning = Beginning(network, depth)
    forwards = [vars(layer)["forward"] for layer in layers_of(network)]
    states = packed(beginning, network, inputs)
    assert states.dtype == (torch.float32 if depth == 3 else torch.bfloat16)
    with beginning.given(states.gather([0, 1, 2])):
        begun = answers(network, inputs)
    torch.testing.assert_close(begun, answers(network, inputs), rtol=0.02, atol=0.02)
    assert [vars(layer)["forward"] for layer in layers_of(network)] == forwards


def test_nothing_stays_behind_after_an_error() -> None:
    network, inputs = network_of("bert"), batch()
    whole, beginning = answers(network, inputs), Beginning(network, 2)
    with pytest.raises(ZeroDivisionError), beginning.given(torch.zeros(3, 9, 32)):
        raise ZeroDivisionError
    with beginning.given(torch.zeros(3, 9, 32)):
        assert not torch.allclose(answers(network, inputs), whole)
    assert torch.equal(answers(network, inputs), whole)


def test_gradients_of_what_learns_are_the_same() -> None:
    network, inputs = network_of("bert"), batch()
    for module in (network.base_model.embeddings, *layers_of(network)[:2]):
        module.requires_grad_(False)
    beginning = Beginning(network, 2)
    states = packed(beginning, network, inputs).gather([0, 1, 2])

    def gradients() -> list[Tensor]:
        network.zero_grad()
        network(**inputs).logits[inputs["attention_mask"].bool()].square().sum().backward()
        return [each.grad.clone() for each in network.parameters() if each.grad is not None]

    whole = gradients()
    with beginning.given(states):
        begun = gradients()
    assert len(whole) == len(begun) > 10
    for one, other in zip(begun, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_families_that_cannot_begin_are_told() -> None:
    assert not any(begins(each) for each in UNABLE)
    assert {"bert", "distilbert", "roberta", "mpnet", "modernbert", "gpt2", "llama"} <= set(ABLE)


def test_a_layer_that_is_not_run_is_no_states() -> None:
    with pytest.raises(ValueError, match="not run in a way that is known"):
        Beginning(network_of("bert"), 1).states(lambda: None)


def test_rows_are_gathered_in_any_order() -> None:
    starts = starts_of(torch.tensor(LENGTHS).numpy())
    states = PackedStates(torch.arange(40.0).view(20, 2), starts, torch.float32)
    found = states.gather([2, 1, 2])
    assert found.shape == (3, 7, 2)
    assert found[0].tolist() == states.values[13:20].tolist() == found[2].tolist()
    assert found[1, :4].tolist() == states.values[9:13].tolist()
    assert not found[1, 4:].any()


def test_an_empty_file_is_an_empty_array(tmp_path: Path) -> None:
    assert mapped(tmp_path / "none", 0, 3, torch.float32).shape == (0, 3)
