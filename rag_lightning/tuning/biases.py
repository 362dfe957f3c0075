"""BitFit (Ben Zaken, Ravfogel and Goldberg 2022): of the backbone only the biases learn, and the head does.

A backbone's biases are a thousandth of its parameters. Those of norms are among them, as in the paper.
"""

from torch import nn
from transformers import PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.tuning.freeze import whole_backbone
from rag_lightning.tuning.options import TuningConfig
from rag_lightning.tuning.way import Setting, Way


def is_bias(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a bias, by its name (DeBERTa calls two of them ``q_bias`` and ``v_bias``)."""
    return parameter.ndim == 1 and name.rpartition(".")[2].endswith("bias")


def only_biases(network: PreTrainedModel, head_is_new: bool) -> None:
    """Stop everything in the backbone but biases from learning; a pretrained head is treated as the backbone is."""
    backbone = {id(each) for module in whole_backbone(network) for each in module.parameters()}
    for name, parameter in network.named_parameters():
        in_new_head = head_is_new and id(parameter) not in backbone
        if not in_new_head and not is_bias(name, parameter):
            parameter.requires_grad_(False)


def check(setting: Setting) -> None:
    """Refuse a backbone without biases, and combinations that leave none to learn."""
    setting.needs_learning_layer("parameters")
    backbone = setting.skeleton()
    if backbone is not None and not any(is_bias(name, each) for name, each in backbone.named_parameters()):
        raise UserError(
            f"a model of type '{setting.architecture.model_type}' has no biases that could learn",
            where="tuning.parameters",
            remedy="Choose tuning=ia3, which learns about as few parameters, or a BERT-like backbone.",
        )


def _prepare(network: PreTrainedModel, tuning: TuningConfig, head_is_new: bool, seed: int) -> None:
    only_biases(network, head_is_new)


WAY = Way(wanted=lambda tuning: tuning.parameters == "biases", check=check, prepare=_prepare)
