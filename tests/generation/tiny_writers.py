"""Tiny networks that write: random, but drawn so that each prompt gets a text of its own."""

import torch
from tiny_families import tiny_config
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from rag_lightning.model.interface import is_seq2seq

# Of different lengths, so that any batch of them needs padding; two of them equal.
PROMPTS = [
    [5, 9, 30],
    [7],
    [40, 41, 42, 43, 44, 45, 46, 47, 48],
    [11, 12],
    [60, 5, 61, 5],
    [11, 12],
    list(range(20, 35)),
]


def tiny_writer(model_type: str, vocabulary: int, **changes: object) -> PreTrainedModel:
    """A network of a model type, always with the same weights.

    Inputs and outputs have tables of their own and all weights are large: else tiny networks repeat one token.
    """
    wanted = {"vocab_size": vocabulary, "eos_token_id": 3, "bos_token_id": 2, "tie_word_embeddings": False}
    config = tiny_config(model_type, **(wanted | changes))
    kind = AutoModelForSeq2SeqLM if is_seq2seq(model_type) else AutoModelForCausalLM
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network: PreTrainedModel = kind.from_config(config)
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.2, generator=generator)
        network.get_output_embeddings().weight[3] = 0  # never the likeliest: tests name another end of text
    return network.eval()
