"""A tiny architecture for each model type of the interface table."""

from typing import Any

from transformers import AutoConfig, PretrainedConfig

from rag_lightning.model.interface import INTERFACES

VOCABULARY = 120
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": VOCABULARY}
_SEQ2SEQ = {"d_model": 32, "decoder_start_token_id": 0}
_BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
}
_LLAMA = _BERT | {"num_key_value_heads": 1, "head_dim": 16, "attention_dropout": 0.1}
_T5 = _SEQ2SEQ | {"d_kv": 16, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2}
_BART = _SEQ2SEQ | {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 70,
}
_DEBERTA = _BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
_SIZES: dict[str, dict[str, Any]] = {
    "distilbert": {
        "dim": 32,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 48,
        "max_position_embeddings": 70,
    },
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA
    | {"position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True, "conv_kernel_size": 3},
    "electra": _BERT | {"embedding_size": 16},
    "albert": _BERT | {"embedding_size": 16, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
    "modernbert": _BERT | {"cls_token_id": 1, "sep_token_id": 2, "embedding_dropout": 0.1, "mlp_dropout": 0.1},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 70},
    "t5": _T5,
    "mt5": _T5,
    "bart": _BART,
    "mbart": _BART,
    "marian": _BART,
    "pegasus": _BART,
}
_LLAMA_LIKE = [each for each, interface in INTERFACES.items() if interface.family == "Llama-like"]

MODEL_TYPES = list(INTERFACES)


def tiny_config(model_type: str, **changes: Any) -> PretrainedConfig:
    """Hidden size 32 and two or three layers (two in each stack of an encoder-decoder)."""
    sizes = _SIZES.get(model_type, _LLAMA if model_type in _LLAMA_LIKE else _BERT)
    return AutoConfig.for_model(model_type, **(_IDS | sizes | changes))
