"""Freeze the embeddings and the lowest layers of a backbone."""

from dataclasses import dataclass

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import (
    INTERFACES,
    base_model_of,
    interface_of,
    layers_of,
    layers_per_group,
    n_layers,
    part,
    stack_embeddings,
    stack_layers,
    stacks_of,
)


@dataclass(frozen=True)
class FreezeSummary:
    """What is frozen: layers out of all layers, and numbers of parameters (tied ones counted once)."""

    layers: int
    of_layers: int
    frozen: int
    trainable: int


def check_frozen_layers(config: PretrainedConfig, frozen_layers: int | str, output_kind: str) -> int:
    """The number of layers to freeze, checked against the config alone, before weights are loaded.

    Raises:
        UserError: more layers than the model has, a negative number, an unknown family, or a number that
            would cut through layers that share their parameters (ALBERT).
    """
    if frozen_layers == 0:
        return 0
    interface = interface_of(config.model_type)
    total = n_layers(config, output_kind)
    shared = layers_per_group(config)
    named = {"all": total, "half": total // 2 // shared * shared}
    wanted = named[frozen_layers] if isinstance(frozen_layers, str) else frozen_layers
    if not 0 <= wanted <= total:
        raise UserError(
            f"Cannot freeze {wanted} layers: this {interface.family} model has {total}",
            where="tuning.frozen_layers",
            remedy=f"Choose a number from 0 to {total}, half or all.",
        )
    if wanted % shared and wanted != total:
        choices = ", ".join(str(each) for each in [*range(0, total, shared), total])
        raise UserError(
            f"Cannot freeze {wanted} of {total} layers: in this {interface.family} model {shared} "
            "neighbouring layers share one set of parameters",
            where="tuning.frozen_layers",
            remedy=f"Choose one of {choices}, or a family without shared layers.",
        )
    return wanted


def freeze(model: PreTrainedModel, frozen_layers: int) -> FreezeSummary:
    """Stop the embeddings and the ``frozen_layers`` lowest layers from learning (Lee et al. 2019).

    "Lowest" is nearest to the input, in the order in which data flows: in an encoder-decoder the encoder's
    layers count first and the decoder's go on from there. So the frozen part is always a function of the
    input alone, which a cut through both stacks at the same height would not be. The decoder's own position
    embeddings freeze with its first layer. When all layers are frozen, so are the backbone's last norms, and
    only the head (with a pooler that belongs to it) learns. An output embedding that is tied to the input
    embedding is frozen with it.

    Args:
        model: any model of the interface table, with or without a head; changed in place.
        frozen_layers: 0 changes nothing; get it from :func:`check_frozen_layers`.

    Call :func:`keep_frozen_in_eval` after each ``model.train()``.
    """
    for module in frozen_modules(model, frozen_layers):
        module.requires_grad_(False)
    keep_frozen_in_eval(model, frozen_layers)
    return summary_of(model, frozen_layers)


def summary_of(model: PreTrainedModel, frozen_layers: int) -> FreezeSummary:
    """What of ``model`` learns as it is now; ``frozen_layers`` is only passed on."""
    frozen = sum(each.numel() for each in model.parameters() if not each.requires_grad)
    total = sum(each.numel() for each in model.parameters())
    of_layers = len(layers_of(model)) if frozen_layers else _n_layers_or_zero(model)
    return FreezeSummary(frozen_layers, of_layers, frozen, total - frozen)


def keep_frozen_in_eval(model: PreTrainedModel, frozen_layers: int) -> None:
    """Turn dropout of the frozen part off, so that it gives the same output for the same input."""
    for module in frozen_modules(model, frozen_layers):
        module.eval()
    for path in _frozen_switches(model, frozen_layers):
        switch = part(base_model_of(model), path)
        if switch is not None:
            switch.training = False  # its own flag only: its upper layers keep their dropout


def frozen_modules(model: PreTrainedModel, frozen_layers: int) -> list[nn.Module]:
    """The modules that are frozen with this number of layers, from the input up."""
    if frozen_layers == 0:
        return []
    total = len(layers_of(model))
    if not 0 < frozen_layers <= total:
        raise ValueError(f"frozen_layers={frozen_layers} of {total}: see check_frozen_layers")
    if frozen_layers == total:
        return whole_backbone(model)
    modules: list[nn.Module] = []
    left = frozen_layers
    for stack in stacks_of(model):
        if left <= 0:
            break
        layers = stack_layers(model, stack)
        modules += stack_embeddings(model, stack) + layers[:left]
        left -= len(layers)
    return modules


def whole_backbone(model: PreTrainedModel) -> list[nn.Module]:
    """The backbone with its last norms and without its pooler, which belongs to the head."""
    base = base_model_of(model)
    if base is not model or base.config.model_type not in INTERFACES:
        return [each for name, each in base.named_children() if not name.startswith("pooler")]
    # Some T5 heads sit beside the stacks, without a base model between.
    paths = [path for stack in stacks_of(model) for path in (*stack.embeddings, stack.layers)]
    tops = dict.fromkeys(path.split(".")[0] for path in paths)
    return [module for name in tops if (module := part(base, name)) is not None]


def _frozen_switches(model: PreTrainedModel, frozen_layers: int) -> list[str]:
    switches = []
    left = frozen_layers
    for stack in stacks_of(model) if frozen_layers else []:
        if left > 0 and stack.switch:
            switches.append(stack.switch)
        left -= len(stack_layers(model, stack))
    return switches


def _n_layers_or_zero(model: PreTrainedModel) -> int:
    """The number of layers, or 0 for a family that the interface table does not hold."""
    try:
        return len(layers_of(model))
    except UserError:
        return 0
