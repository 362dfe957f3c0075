"""Which linear layers of a family get adapters: peft's own tables, and ours for families that they lack.

As in the papers: LoRA on queries and values; (IA)³ on keys, values and the input of a feed-forward part's second layer.
"""

from collections.abc import Mapping

_QKV = {"lora": ("Wqkv",), "ia3": ("Wqkv", "mlp.Wo")}
_BERT = {"lora": ("query", "value"), "ia3": ("key", "value", "output.dense")}
_BART = {"lora": ("q_proj", "v_proj"), "ia3": ("k_proj", "v_proj", "fc2")}
_OURS: dict[str, dict[str, tuple[str, ...]]] = {
    "camembert": _BERT,
    "xlm-roberta": _BERT,
    "xlm-roberta-xl": _BERT,
    "electra": _BERT,
    "albert": {"lora": ("query", "value"), "ia3": ("key", "value", "ffn_output")},
    "distilbert": {"lora": ("q_lin", "v_lin"), "ia3": ("k_lin", "v_lin", "ffn.lin2")},
    "mpnet": {"lora": ("attn.q", "attn.v"), "ia3": ("attn.k", "attn.v", "output.dense")},
    "modernbert": _QKV,
    "mbart": _BART,
    "marian": _BART,
    "pegasus": _BART,
    "smollm3": {"lora": ("q_proj", "v_proj"), "ia3": ("k_proj", "v_proj", "down_proj")},
    "phi3": {"lora": ("qkv_proj",), "ia3": ("qkv_proj", "down_proj")},
}
_INNER = ("output.dense", "ffn_output", "ffn.lin2", "mlp.Wo", "fc2", "down_proj")  # of our tables


def auto_targets(kind: str, model_type: str) -> list[str]:
    """The ends of the names of what ``kind`` (lora, ia3) adapts in a model of this type; empty if it is not known."""
    from peft.utils import constants

    tables: dict[str, Mapping[str, object]] = {
        "lora": constants.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
        "ia3": constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING,
    }
    theirs = tables[kind].get(model_type)
    if isinstance(theirs, list):
        return list(theirs)
    return list(_OURS.get(model_type, {}).get(kind, ()))


def feedforward_of(model_type: str, names: list[str]) -> list[str]:
    """Those of ``names`` whose input (IA)³ scales instead of their output."""
    from peft.utils import constants

    theirs = constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING.get(model_type, [])
    ends = (*theirs, *(_INNER if model_type in _OURS else ()))
    return [name for name in names if any(name == end or name.endswith(f".{end}") for end in ends)]
