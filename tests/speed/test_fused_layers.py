"""The fused encoder layer against the reference modules of transformers."""

import copy
from pathlib import Path
from types import MethodType

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForTokenClassification,
    ElectraConfig,
    ElectraForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaConfig,
    RobertaForTokenClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from rag_lightning.speed.accelerate import accelerate, undo
from rag_lightning.speed.layer_patch import fuse_layers
from rag_lightning.speed.options import SpeedConfig

VOCABULARY, LENGTH = 60, 11
SIZES = {"vocab_size": VOCABULARY, "num_labels": 5}
BERT_SIZES = {
    **SIZES, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 40,
}  # fmt: skip


class AdaptedLinear(nn.Linear):
    """Stands for an adapter's projection."""


def build(kind: str, dropout: float = 0.0, attention: str = "sdpa") -> nn.Module:
    torch.manual_seed(0)
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if kind == "distilbert":
        config = DistilBertConfig(
            **SIZES, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=40, dropout=dropout,
            attention_dropout=dropout, attn_implementation=attention,
        )  # fmt: skip
        return DistilBertForTokenClassification(config)
    config_class, model_class = {
        "bert": (BertConfig, BertForTokenClassification),
        "roberta": (RobertaConfig, RobertaForTokenClassification),
        "electra": (ElectraConfig, ElectraForTokenClassification),
    }[kind]
    return model_class(config_class(**BERT_SIZES, **rates, attn_implementation=attention))


def batch(padding: bool = True, length: int = LENGTH) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (3, length), generator=generator)
    labels = torch.randint(0, 5, ids.shape, generator=generator)
    mask = torch.ones_like(ids)
    if padding:
        mask[1, length // 2 :] = 0
        labels[1, length // 2 :] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def gradients(model: nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    output = model(**inputs)
    output.loss.backward()
    return output.logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_fp32_layers_equal_the_reference(kind: str, padding: bool, attention: str) -> None:
    model = build(kind, attention=attention).train()
    logits, grads = gradients(model, batch(padding))
    assert fuse_layers(model, torch.float32) == 2
    fused_logits, fused_grads = gradients(model, batch(padding))
    real = batch(padding)["attention_mask"].bool()
    torch.testing.assert_close(fused_logits[real], logits[real], atol=1e-5, rtol=1e-5)
    assert fused_grads.keys() == grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(fused_grads[name], grad, atol=1e-5, rtol=1e-4, msg=name)


def test_long_sequences_and_bf16_stay_close() -> None:
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    long = BertForTokenClassification(BertConfig(**{**BERT_SIZES, **rates, "max_position_embeddings": 128}))
    for candidate, length in ((build("bert").train(), LENGTH), (long.train(), 120)):
        _, grads = gradients(candidate, batch(length=length))
        fuse_layers(candidate, torch.bfloat16)
        _, fused = gradients(candidate, batch(length=length))
        for name, grad in grads.items():
            if float(grad.norm()) > 1e-4:  # key biases have a gradient of zero up to rounding
                cosine = torch.nn.functional.cosine_similarity(grad.flatten(), fused[name].flatten(), dim=0)
                assert fused[name].dtype == torch.float32
                assert float(cosine) > 0.99, name


def test_dropout_layers_have_the_reference_in_the_mean() -> None:
    model = build("bert", dropout=0.1).train()
    inputs = batch()
    reference = torch.stack([model(**inputs).logits.detach() for _ in range(200)])
    fuse_layers(model, torch.float32)
    fused = torch.stack([model(**inputs).logits.detach() for _ in range(200)])
    real = inputs["attention_mask"].bool()
    error = reference.std(0) * (2 / 200) ** 0.5
    deviations = ((fused.mean(0) - reference.mean(0)) / error)[real]
    assert float(deviations.abs().max()) < 5
    assert 0.9 < float(fused.std(0)[real].mean() / reference.std(0)[real].mean()) < 1.1


def test_dropout_gradient_is_the_derivative_of_the_drawn_function() -> None:
    model = build("bert", dropout=0.3).train()
    fuse_layers(model, torch.float32)
    parameters = list(model.bert.encoder.layer[0].parameters())

    def loss() -> torch.Tensor:
        torch.manual_seed(3)  # the same masks each time
        return model(**batch()).loss

    model.zero_grad()
    loss().backward()
    directions = [torch.clone(p.grad) for p in parameters]
    expected = float(sum((direction**2).sum() for direction in directions))
    step = 2e-3 / expected**0.5  # up the gradient the loss changes by far more than its rounding
    with torch.no_grad():
        torch._foreach_add_(parameters, directions, alpha=step)
        above = float(loss())
        torch._foreach_add_(parameters, directions, alpha=-2 * step)
        below = float(loss())
    assert (above - below) / (2 * step) == pytest.approx(expected, rel=0.03)


def test_same_seed_same_bits_and_other_seed_other_bits() -> None:
    model = build("bert", dropout=0.1).train()
    accelerate(model, SpeedConfig(allocator=False), precision="bf16-mixed")

    def run(seed: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        torch.manual_seed(seed)
        return gradients(model, batch())

    (first, grads), (again, grads_again), (other, _) = run(5), run(5), run(6)
    assert torch.equal(first, again) and all(torch.equal(grads[k], grads_again[k]) for k in grads)
    assert not torch.equal(first, other)


def test_eval_mode_drops_nothing_and_frozen_layers_get_no_gradient() -> None:
    model = build("bert", dropout=0.5)
    expected = model.eval()(**batch()).logits
    fuse_layers(model, torch.float32)
    torch.testing.assert_close(model(**batch()).logits, expected, atol=1e-5, rtol=1e-5)
    frozen = model.bert.encoder.layer[0]
    for parameter in [*frozen.parameters(), *model.bert.embeddings.parameters()]:
        parameter.requires_grad_(False)
    model.bert.encoder.layer[1].attention.self.key.weight.requires_grad_(False)
    _, grads = gradients(model.train(), batch())
    assert not any(name.startswith(("bert.encoder.layer.0", "bert.embeddings")) for name in grads)
    assert "bert.encoder.layer.1.attention.self.key.weight" not in grads
    assert "bert.encoder.layer.1.attention.self.query.weight" in grads


def test_saved_model_is_plain(tmp_path: Path) -> None:
    model = build("bert").eval()
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    expected = model(**batch()).logits
    accelerate(model, SpeedConfig(allocator=False), batch()["input_ids"], precision="bf16-mixed")
    state = model.state_dict()
    assert state.keys() == plain.keys() and all(torch.equal(state[name], plain[name]) for name in plain)
    model.save_pretrained(tmp_path)
    loaded = BertForTokenClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(**batch()).logits, expected)
    assert copy.deepcopy(model)(**batch()).logits.shape == expected.shape
    undo(model)
    torch.testing.assert_close(model(**batch()).logits, expected)


def test_hidden_states_and_attentions_are_still_returned() -> None:
    model = build("bert", attention="eager").eval()
    expected = model(**batch(), output_hidden_states=True, output_attentions=True)
    fuse_layers(model, torch.float32)
    found = model(**batch(), output_hidden_states=True)
    for left, right in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(left[0], right[0], atol=1e-5, rtol=1e-5)
    attentions = model(**batch(), output_attentions=True).attentions
    torch.testing.assert_close(attentions[1], expected.attentions[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "t5", "relu", "adapter"])
def test_other_models_are_left_alone(kind: str) -> None:
    if kind == "gpt2":
        model: nn.Module = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_embd=32, n_layer=1, n_head=2, n_positions=32))
    elif kind == "t5":
        model = T5ForConditionalGeneration(
            T5Config(vocab_size=60, d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=2)
        )
    elif kind == "relu":
        model = BertForTokenClassification(BertConfig(**BERT_SIZES, hidden_act="relu"))
    else:
        model = build("bert")  # adapters wrap or subclass the projections
        for layer in model.bert.encoder.layer:
            layer.attention.self.query.__class__ = AdaptedLinear
    types = [type(module) for module in model.modules()]
    applied = accelerate(model, SpeedConfig(allocator=False))
    assert applied.fused_layers == 0
    assert [type(module) for module in model.modules()] == types
    assert not any(isinstance(vars(module).get("forward"), MethodType) for module in model.modules())
