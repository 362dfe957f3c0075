"""The encoder that a backbone and the head on it need: of words that are already split, or of running text."""

from pathlib import Path
from typing import Any

from rag_lightning.encoding.running import RunningWords
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.model.interface import padding_side
from rag_lightning.model.load import window_length
from rag_lightning.model.tokenizer import load_tokenizer

RUNNING = ("text", "next_tokens")  # the heads that read running text as it stands


def load_words(
    folder: Path, architecture: Any, head: str, max_length: int | None = None, *, trust_remote_code: bool = False
) -> WordEncoder:
    """The word encoder with the tokenizer of a resolved folder.

    Args:
        folder: of the model.
        architecture: its configuration.
        head: one of :data:`rag_lightning.model.interface.OUTPUT_KINDS`.
        max_length: ``model.max_length``.
        trust_remote_code: the user asked for tokenizer code that comes with the model.

    Raises:
        UserError: as of ``load_tokenizer`` and ``window_length``.
    """
    tokenizer = load_tokenizer(
        folder,
        padding_side=padding_side(architecture.model_type, head),
        pre_split=head not in RUNNING,
        trust_remote_code=trust_remote_code,
    )
    kind = RunningWords if head in RUNNING else WordEncoder
    return kind(tokenizer, window_length(architecture, max_length))
