"""Vocabulary scores at chosen places only: at all others nobody reads them, and they are most of a batch's memory.

A row of 512 tokens with a vocabulary of 50,000 has 100 MB of scores; a loss on the target reads a tenth of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


@contextmanager
def only_at(network: PreTrainedModel, selected: Tensor) -> Iterator[None]:
    """Within the block the network's scores are those of the selected places: (n, vocabulary), in reading order.

    Args:
        network: with a language modelling head: causal, encoder-decoder or masked.
        selected: (rows, tokens) of what the head sees (of the decoder, where there is one), True where scores are
            wanted; none at all is allowed.

    Raises:
        TypeError: the network has no such head.
    """
    head = network.get_output_embeddings()
    if head is None:
        raise TypeError(f"{type(network).__name__} has no output embeddings, so no scores of words")

    def select(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][selected], *args[1:])

    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def logits_at(network: PreTrainedModel, selected: Tensor, **inputs: Tensor) -> Tensor:
    """The network's scores of words at the selected places, (n, vocabulary), in reading order.

    Equal to ``network(**inputs).logits[selected]``, gradients too, without the other scores ever being made.

    Args:
        network: as for :func:`only_at`.
        selected: (rows, tokens), True where scores are wanted.
        inputs: what the network takes, such as ``input_ids`` and ``attention_mask``; no ``labels``.
    """
    with only_at(network, selected):
        logits: Tensor = network(**inputs).logits
    return logits
