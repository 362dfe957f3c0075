"""Texts as vectors by the backbone before training: mean of its last hidden states (Reimers & Gurevych 2019)."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag_lightning.model.options import ModelConfig

_AT_A_TIME = 64
_LONGEST = 256


def embedder_of(find: Callable[[], Path], config: ModelConfig) -> Callable[[list[str]], npt.NDArray[Any]]:
    """A function from texts to unit vectors (texts, width); the model is found and loaded when it is first called."""

    @cache
    def loaded() -> tuple[Any, Any]:
        import torch
        from transformers import AutoModel

        from rag_lightning.model.tokenizer import load_tokenizer

        folder = find()
        tokenizer = load_tokenizer(folder, padding_side="right", trust_remote_code=config.trust_remote_code)
        model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True,
            trust_remote_code=config.trust_remote_code,
        )  # fmt: skip
        return tokenizer, (model.get_encoder() if model.config.is_encoder_decoder else model).eval()

    def embed(texts: list[str]) -> npt.NDArray[Any]:
        import torch

        from rag_lightning.model.pooling import masked_mean

        tokenizer, model = loaded()
        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), _AT_A_TIME):
                batch = tokenizer(
                    texts[start : start + _AT_A_TIME], padding=True, truncation=True, max_length=_LONGEST,
                    return_tensors="pt",
                )  # fmt: skip
                inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
                hidden = model(**inputs).last_hidden_state
                mean = masked_mean(hidden, inputs["attention_mask"])
                parts.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)

    return embed
