"""Rules and template beside a saved model, so that its use needs nothing else."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rag_lightning.errors import UserError
from rag_lightning.guidance.guide import Guide
from rag_lightning.guidance.options import GuidanceConfig
from rag_lightning.report.files import dump_yaml
from rag_lightning.rules.load import load_rules
from rag_lightning.template.demonstrations import Embed
from rag_lightning.template.rendering import PLAIN, Rendering, saved_rendering
from rag_lightning.template.verbalizer import Verbalizer

if TYPE_CHECKING:
    from torch import nn

RULES = "rules.yaml"
TEMPLATE = "template.json"
VERBALIZER = "verbalizer.json"


def save_guide(guide: Guide, render: dict[str, Any] | None, verbalizer: Verbalizer | None, folder: Path) -> None:
    """Write the rules with all word lists, and what the template needs; nothing where there is neither."""
    if verbalizer is not None:
        (folder / VERBALIZER).write_text(json.dumps(verbalizer.to_json()), encoding="utf-8")
    if guide.ruleset:
        text = dump_yaml(guide.ruleset.node)
        (folder / RULES).write_text(text, encoding="utf-8")
    if render is not None:
        (folder / TEMPLATE).write_text(json.dumps(render, ensure_ascii=False), encoding="utf-8")


def load_guide(folder: Path, config: GuidanceConfig, of_tokens: bool) -> Guide:
    """The rules that were saved with a model."""
    file = folder / RULES
    node = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return Guide(load_rules(node), config, of_tokens)


def load_rendering(folder: Path, embed: Embed | None) -> Rendering:
    """The template that was saved with a model."""
    file = folder / TEMPLATE
    return saved_rendering(json.loads(file.read_text(encoding="utf-8")), embed) if file.is_file() else PLAIN


def load_verbalizer(folder: Path) -> dict[str, Any] | None:
    """The words of the labels that were saved with a model, if it answers at a mask."""
    file = folder / VERBALIZER
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def load_equipment(network: "nn.Module", folder: Path) -> None:
    """Take the weights of what was added to a network (rule features, label meanings, transitions) from its folder.

    Raises:
        UserError: if the folder lacks some of them.
    """
    from safetensors import safe_open  # what follows needs torch; the rest of this module does not

    from rag_lightning.guidance.equip import equipment_of

    own = equipment_of(network)
    saved: dict[str, Any] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            saved |= {name: weights.get_tensor(name) for name in weights.keys() if name in own}  # noqa: SIM118
    missing = [name for name in own if name not in saved or saved[name].shape != own[name].shape]
    if missing:
        raise UserError(
            f"the saved model lacks {missing[0]}, which its settings ask for",
            where=str(folder),
            remedy="Copy the whole folder again.",
        )
    network.load_state_dict(saved, strict=False)
