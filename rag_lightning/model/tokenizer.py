"""The tokenizer of a resolved folder: fast, with padding, and blind to special tokens in a user's text."""

import contextlib
from pathlib import Path
from typing import Any

from tokenizers import normalizers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rag_lightning.errors import UserError
from rag_lightning.model.files import problem_of, read_json

_SPACE = "\u0120"  # how byte-level vocabularies write the space before a word


def load_tokenizer(
    folder: Path,
    *,
    split_special_tokens: bool = True,
    padding_side: str = "right",
    pre_split: bool = True,
    trust_remote_code: bool = False,
) -> PreTrainedTokenizerFast:
    """The fast tokenizer in a folder, by default made fit for words that are already split.

    Args:
        folder: a resolved model.
        split_special_tokens: text such as ``[SEP]`` or ``</s>`` in a user's sentence is cut up like any other
            text instead of becoming the special id. Turn it off per call for text that holds a mask token.
        padding_side: right, or left where a decoder goes on writing.
        pre_split: False for running text, such as what a decoder reads and writes: it is encoded as it stands,
            without a space put before it.
        trust_remote_code: the user asked for tokenizer code that comes with the model.

    Byte-level vocabularies (GPT-2, RoBERTa, ModernBERT, Llama 3) know a word with the space before it;
    pre-split words get that space. A tokenizer without a padding token pads with its end or unknown token:
    give ``tokenizer.pad_token_id`` to ``load_network``.

    Raises:
        UserError: no tokenizer, none that is fast, or one that does not belong to the model.
    """
    if (problem := problem_of(folder, weights=False)) is not None:
        raise problem
    options = {"split_special_tokens": split_special_tokens, "trust_remote_code": trust_remote_code}
    tokenizer = _from_folder(folder, options)
    if pre_split and _loses_spaces(tokenizer) and isinstance(tokenizer.backend_tokenizer.pre_tokenizer, ByteLevel):
        # As an option, so that the saved tokenizer does the same.
        tokenizer = _from_folder(folder, options | {"add_prefix_space": True})
    if pre_split and _loses_spaces(tokenizer):
        _prepend_normalizer(tokenizer, normalizers.Prepend(" "))
    if split_special_tokens:
        _hide_special_pieces(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = padding_side
    _check_vocabulary(tokenizer, folder)
    return tokenizer


def _from_folder(folder: Path, options: dict[str, Any]) -> PreTrainedTokenizerFast:
    slow_remedy = (
        "Convert it once, where its libraries are installed: AutoTokenizer.from_pretrained(FOLDER)"
        ".save_pretrained(FOLDER) writes tokenizer.json when a conversion exists; else choose another model."
    )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **options)
    except Exception as error:  # what a broken file or a missing conversion library raises is not documented
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"The tokenizer in this folder cannot be loaded ({reason[:200]})",
            where=str(folder),
            remedy=slow_remedy,
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            f"{type(tokenizer).__name__} exists only as a slow tokenizer, which cannot tell which word a "
            "sub-word came from",
            where=str(folder),
            remedy=slow_remedy,
        )
    fast: PreTrainedTokenizerFast = tokenizer
    return fast


def _loses_spaces(tokenizer: PreTrainedTokenizerFast) -> bool:
    """Whether the marked space before a word is lost when words are given one by one."""
    text = tokenizer("a a", add_special_tokens=False).tokens()
    words = tokenizer(["a", "a"], is_split_into_words=True, add_special_tokens=False).tokens()
    return _marked(text) and not _marked(words)


def _marked(pieces: list[str]) -> bool:
    return any(piece.startswith(_SPACE) for piece in pieces)


def _hide_special_pieces(tokenizer: PreTrainedTokenizerFast) -> None:
    """Break up special tokens that the vocabulary itself can spell.

    ``split_special_tokens`` keeps the added-token matcher from seeing them, but the pieces of a Unigram
    vocabulary (T5, XLM-R, ALBERT, DeBERTa-v3) hold ``</s>`` as an ordinary string.
    """
    for token in tokenizer.all_special_tokens:
        ids = tokenizer([token], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        if len(token) > 1 and tokenizer.convert_tokens_to_ids(token) in ids:
            _prepend_normalizer(tokenizer, normalizers.Replace(token, f"{token[0]} {token[1:]}"))


def _prepend_normalizer(tokenizer: PreTrainedTokenizerFast, first: normalizers.Normalizer) -> None:
    backend = tokenizer.backend_tokenizer
    rest = backend.normalizer
    backend.normalizer = first if rest is None else normalizers.Sequence([first, rest])


def _check_vocabulary(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """A tokenizer of another model gives ids that the embeddings do not have, or nothing but unknowns."""
    size = read_json(folder / "config.json").get("vocab_size")
    with contextlib.suppress(TypeError):
        if len(tokenizer) > int(size or len(tokenizer)):
            raise UserError(
                f"The tokenizer has {len(tokenizer)} entries and the model only {size}",
                where=str(folder),
                remedy="Take the tokenizer and config.json from the same model.",
            )
