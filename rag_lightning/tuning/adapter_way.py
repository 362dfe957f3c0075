"""Adapters as a way of tuning: what is refused, and where they go (the papers are named in ``adapters.py``)."""

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from rag_lightning.errors import UserError, nearest
from rag_lightning.model.interface import INTERFACES, base_model_of, layers_of
from rag_lightning.tuning.adapters import adapted_names, add_adapters, targets_of
from rag_lightning.tuning.freeze import whole_backbone
from rag_lightning.tuning.options import TuningConfig
from rag_lightning.tuning.way import Setting, Way


def check(setting: Setting) -> None:
    """Refuse adapters beside other ways of learning little, and targets that the backbone does not have."""
    setting.needs_learning_layer("adapter.kind")
    adapter, kind = setting.tuning.adapter, str(setting.architecture.model_type)
    if setting.tuning.parameters != "all":
        raise UserError(
            "with adapters the backbone stays as it is, and with tuning.parameters=biases its biases would change",
            where="tuning.parameters",
            remedy="Choose one of them: tuning=bitfit, or tuning.parameters=all with an adapter.",
        )
    targets, backbone = targets_of(adapter, kind), setting.skeleton()
    if not targets:
        raise UserError(
            f"it is not known which layers of a model of type '{kind}' to adapt",
            where="tuning.adapter.targets",
            remedy="Name them, such as tuning.adapter.targets=[q_proj,v_proj].",
        )
    if backbone is None:
        return
    missing = [each for each in targets if not adapted_names(backbone, [each], [backbone])]
    if missing and (adapter.targets != "auto" or len(missing) == len(targets)):
        linear = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear | Conv1D)]
        ends = list(dict.fromkeys(name.rpartition(".")[2] for name in linear))
        close = nearest(missing[0], ends)
        raise UserError(
            f"this {kind} model has no linear layer named {missing[0]}",
            where="tuning.adapter.targets",
            remedy=f"{f'Did you mean {close[0]}? ' if close else ''}There are: {', '.join(ends)}.",
        )


def _prepare(network: PreTrainedModel, tuning: TuningConfig, head_is_new: bool, seed: int) -> None:
    head = _head_parameters(network) if head_is_new else []
    known = base_model_of(network).config.model_type in INTERFACES
    frozen = int(tuning.frozen_layers)
    learning = layers_of(network)[frozen:] if known else [base_model_of(network)]
    add_adapters(network, tuning.adapter, learning, seed)
    for parameter in head:
        parameter.requires_grad_(True)


def _head_parameters(network: PreTrainedModel) -> list[nn.Parameter]:
    backbone = {id(each) for module in whole_backbone(network) for each in module.parameters()}
    return [each for each in network.parameters() if id(each) not in backbone and each.requires_grad]


WAY = Way(wanted=lambda tuning: tuning.adapter.kind is not None, check=check, prepare=_prepare)
