"""Adapters on disk: a folder in peft's own format, with what else learned, to be put on the original backbone."""

import copy
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from rag_lightning.tuning.adapters import NAME, adapter_layers, root_of

HEAD_FILE = "head.safetensors"
_TASK_TYPES = {
    "token_labels": "TOKEN_CLS",
    "sequence_label": "SEQ_CLS",
    "entity_pair": "SEQ_CLS",
    "span": "QUESTION_ANS",
    "next_tokens": "CAUSAL_LM",
}


def save_adapter(network: nn.Module, head: str, added: set[str], backbone: str, folder: Path) -> bool:
    """Write the adapters of ``network`` and all else that learned; nothing, and False, where it has none.

    ``adapter_model.safetensors`` holds the adapters and the head that transformers knows, as peft's
    ``modules_to_save``; what no class of transformers has (a head on pooled states, rule features) lies in
    ``head.safetensors`` under its name in the network.

    Args:
        head: the output kind.
        added: names of the weights that were added to a network of transformers.
        backbone: what the adapters were trained on, as a reader may find it.
        folder: made anew.
    """
    if not adapter_layers(network):
        return False
    from peft.utils.save_and_load import get_peft_model_state_dict

    root = root_of(network)
    own: dict[str, Tensor] = get_peft_model_state_dict(root, adapter_name=NAME, save_embedding_layers=False)
    rest = _learned_beside(network)
    heads = _heads_of(root, rest, added) if root is network else []
    in_heads = {name for name in rest if name.partition(".")[0] in heads}
    own |= {name: rest[name] for name in in_heads}
    config = copy.deepcopy(root.peft_config[NAME])
    config.task_type = _task_type(root, head) if root is network else "FEATURE_EXTRACTION"
    config.modules_to_save = heads or None
    config.base_model_name_or_path, config.inference_mode = backbone, True
    folder.mkdir(parents=True)
    config.save_pretrained(str(folder))
    named = {f"base_model.model.{name}": each.detach().contiguous() for name, each in own.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    if left := {name: each.detach().contiguous() for name, each in rest.items() if name not in in_heads}:
        save_file(left, folder / HEAD_FILE, metadata={"format": "pt"})
    return True


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def usage_of(network: nn.Module, backbone: str, folder: Path) -> str:
    """Python that puts a saved adapter on the original backbone."""
    root = root_of(network)
    labels = getattr(root.config, "num_labels", 0) if root is network else 0
    known = f", num_labels={labels}" if labels and _is_labelled(root) else ""
    kind = type(root).__name__
    return (
        f"from peft import PeftModel\nfrom transformers import {kind}\n"
        f'backbone = {kind}.from_pretrained("{backbone}"{known})\n'
        f'model = PeftModel.from_pretrained(backbone, "{folder}")'
    )


def _is_labelled(root: nn.Module) -> bool:
    return type(root).__name__.endswith(("ForTokenClassification", "ForSequenceClassification"))


def _learned_beside(network: nn.Module) -> dict[str, Tensor]:
    adapters = {id(each) for layer in adapter_layers(network) for each in layer.parameters()}
    named = network.named_parameters()
    return {name: each for name, each in named if each.requires_grad and id(each) not in adapters}


def _heads_of(root: nn.Module, rest: dict[str, Tensor], added: set[str]) -> list[str]:
    """The children of a model of transformers that learned whole and are its own."""
    heads = []
    for name, child in root.named_children():
        names = {f"{name}.{key}" for key, _ in child.named_parameters()}
        if names and names <= rest.keys() and not names & added:
            heads.append(name)
    return heads


def _task_type(root: nn.Module, head: str) -> str | None:
    if head == "text":
        return "SEQ_2_SEQ_LM" if root.config.is_encoder_decoder else "CAUSAL_LM"  # type: ignore[union-attr]
    return _TASK_TYPES.get(head, "FEATURE_EXTRACTION")
