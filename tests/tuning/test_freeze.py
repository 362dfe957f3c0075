"""Freezing, for every model type of the interface table and every head that it has."""

import pytest
import torch
from pydantic import ValidationError
from tiny_families import MODEL_TYPES, tiny_config
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from rag_lightning.errors import UserError
from rag_lightning.model.interface import (
    base_model_of,
    embeddings_of,
    layers_of,
    layers_per_group,
    n_layers,
    supports,
)
from rag_lightning.tuning.freeze import (
    check_frozen_layers,
    freeze,
    frozen_modules,
    keep_frozen_in_eval,
)
from rag_lightning.tuning.options import TuningConfig

HEADS = {
    "token_labels": AutoModelForTokenClassification,
    "sequence_label": AutoModelForSequenceClassification,
    "span": AutoModelForQuestionAnswering,
    "text": AutoModelForSeq2SeqLM,
}
IDS = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 10, 11, 12, 2]])


def build(model_type: str, kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    return HEADS[kind].from_config(tiny_config(model_type, num_labels=3)).train()


def kind_for(model_type: str) -> str:
    return next(kind for kind in ("token_labels", "sequence_label", "text") if supports(model_type, kind))


def inputs_for(kind: str) -> dict[str, torch.Tensor]:
    """What a backbone reads; under the other heads encoder-decoders shift the input for their decoder themselves."""
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    return inputs | ({"decoder_input_ids": IDS} if kind == "text" else {})


def loss_of(model: PreTrainedModel, kind: str) -> torch.Tensor:
    labels = {"token_labels": IDS % 3, "sequence_label": torch.tensor([0, 2]), "text": IDS}[kind]
    return model(input_ids=IDS, attention_mask=torch.ones_like(IDS), labels=labels).loss


def check_every_depth(model_type: str, kind: str) -> None:
    config = tiny_config(model_type)
    total = n_layers(config, kind)
    start = {name: value.clone() for name, value in build(model_type, kind).state_dict().items()}
    # Where text is written the head is the embedding, and with all layers frozen nothing would learn.
    for depth in range(0, total + (kind != "text"), layers_per_group(config)):
        model = build(model_type, kind)
        layers = layers_of(model)
        assert len(layers) == total
        never = {id(each) for each in model.parameters() if not each.requires_grad}  # sines of positions
        summary = freeze(model, check_frozen_layers(config, depth, kind))
        assert (summary.layers, summary.of_layers) == (depth, total)
        frozen = {id(each) for each in model.parameters() if not each.requires_grad} - never
        for index, layer in enumerate(layers):
            held = {id(each) for each in layer.parameters()}
            assert held <= frozen if index < depth else not held & frozen
        for part in embeddings_of(model):
            assert all(each.requires_grad == (depth == 0) for each in part.parameters() if id(each) not in never)
        if 0 < depth < total:
            allowed = {id(each) for module in frozen_modules(model, depth) for each in module.parameters()}
            assert frozen == allowed - never
        model.train()
        keep_frozen_in_eval(model, depth)
        learning = {name: each for name, each in model.named_parameters() if each.requires_grad}
        optimizer = torch.optim.SGD(learning.values(), lr=0.5)
        loss_of(model, kind).backward()
        optimizer.step()
        after = dict(model.named_parameters())
        changed = {name for name, value in after.items() if not torch.equal(value, start[name])}
        assert changed <= set(learning)
        assert any(id(each) not in _backbone(model) for each in learning.values()) or kind == "text"
        if depth < total:
            top = {id(each) for each in layers[-1].parameters()}
            assert any(id(after[name]) in top for name in changed)


def _backbone(model: PreTrainedModel) -> set[int]:
    return {id(each) for each in base_model_of(model).parameters()}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_exactly_the_lowest_layers_do_not_learn(model_type: str) -> None:
    check_every_depth(model_type, kind_for(model_type))


@pytest.mark.parametrize("model_type", ["t5", "bart"])
@pytest.mark.parametrize("kind", ["sequence_label", "text"])
def test_an_encoder_decoder_counts_the_encoder_first(model_type: str, kind: str) -> None:
    config = tiny_config(model_type)
    assert n_layers(config, kind) == 4
    model = build(model_type, kind)
    freeze(model, 2)
    base = base_model_of(model)
    layers = "layers" if model_type == "bart" else "block"
    assert not any(each.requires_grad for each in getattr(base.encoder, layers).parameters())
    assert all(each.requires_grad for each in getattr(base.decoder, layers).parameters())
    if kind == "sequence_label":
        check_every_depth(model_type, kind)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_frozen_part_has_no_dropout(model_type: str) -> None:
    """With all layers frozen the backbone must give the same output twice, although it is in train mode."""
    kind = kind_for(model_type)
    model = build(model_type, kind)
    total = n_layers(model.config, kind)
    freeze(model, total)
    model.train()
    base = base_model_of(model)
    keep_frozen_in_eval(model, total)
    assert model.training
    first, second = (base(**inputs_for(kind))[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("model_type", [each for each in MODEL_TYPES if each != "albert"])
def test_only_the_frozen_layers_lose_their_dropout(model_type: str) -> None:
    kind = kind_for(model_type)
    model = build(model_type, kind)
    freeze(model, 1)
    model.train()
    keep_frozen_in_eval(model, 1)
    seen: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: object) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)  # type: ignore[arg-type]

    layers = layers_of(model)
    layers[0].register_forward_hook(keep)
    base = base_model_of(model)
    ends = [base(**inputs_for(kind))[0] for _ in range(2)]
    assert torch.equal(seen[0], seen[1])
    assert layers[1].training and not layers[0].training
    assert not torch.equal(ends[0], ends[1])


def test_albert_shares_its_layers() -> None:
    config = tiny_config("albert")
    assert check_frozen_layers(config, "all", "token_labels") == 3
    with pytest.raises(UserError, match="share one set of parameters.*0, 3"):
        check_frozen_layers(config, 1, "token_labels")
    grouped = tiny_config("albert", num_hidden_layers=4, num_hidden_groups=2)
    assert check_frozen_layers(grouped, 2, "token_labels") == 2
    model = AutoModelForTokenClassification.from_config(grouped)
    freeze(model, 2)
    groups = base_model_of(model).encoder.albert_layer_groups
    assert not any(each.requires_grad for each in groups[0].parameters())
    assert all(each.requires_grad for each in groups[1].parameters())


def test_more_layers_than_there_are() -> None:
    with pytest.raises(UserError, match="Cannot freeze 13 layers: this BERT model has 3"):
        check_frozen_layers(tiny_config("bert"), 13, "token_labels")
    with pytest.raises(UserError, match="T5 model has 2"):
        check_frozen_layers(tiny_config("t5"), 3, "token_labels")


@pytest.mark.parametrize("model_type", ["t5", "bart", "llama", "bert"])
def test_a_span_head_learns_when_the_backbone_does_not(model_type: str) -> None:
    model = build(model_type, "span")
    freeze(model, n_layers(model.config, "span"))
    learning = {name for name, each in model.named_parameters() if each.requires_grad}
    assert learning == {"qa_outputs.weight", "qa_outputs.bias"}


def test_a_tied_output_embedding_is_frozen_and_counted_once() -> None:
    model = build("t5", "text")
    summary = freeze(model, 1)
    assert not model.shared.weight.requires_grad
    assert model.lm_head.weight is not model.shared.weight or not model.lm_head.weight.requires_grad
    assert summary.frozen + summary.trainable == model.num_parameters()


def test_config_takes_a_number_or_all() -> None:
    assert TuningConfig().frozen_layers == 0
    assert TuningConfig.model_validate({"frozen_layers": "all"}).frozen_layers == "all"
    assert check_frozen_layers(tiny_config("bert"), "half", "token_labels") == 1
    assert check_frozen_layers(tiny_config("albert"), "half", "token_labels") == 0
    for wrong in ("some", -1, 1.5):
        with pytest.raises(ValidationError):
            TuningConfig.model_validate({"frozen_layers": wrong})
