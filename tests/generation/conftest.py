"""Fixtures of the tests of writing."""

from collections.abc import Callable
from functools import partial

import pytest
from tiny_tokenizer import word_piece_tokenizer
from tiny_writers import tiny_writer
from transformers import PreTrainedModel, PreTrainedTokenizerFast


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """WordPiece with the vocabulary of a few sentences, and no token for the end of a text."""
    return word_piece_tokenizer()


@pytest.fixture
def build(tokenizer: PreTrainedTokenizerFast) -> Callable[..., PreTrainedModel]:
    """A tiny network of a model type with that tokenizer's vocabulary; further settings of its config may be given."""

    return partial(tiny_writer, vocabulary=len(tokenizer))
