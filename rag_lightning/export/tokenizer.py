"""A saved tokenizer without transformers: what :class:`rag_lightning.encoding.words.WordEncoder` asks of one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

FILE = "tokenizer.json"
IDS = ("pad_token_id", "unk_token_id", "sep_token_id", "mask_token_id", "eos_token_id")


class Encoded(dict[str, Any]):
    """Ids (and token types) of one text, or of many with their ``encodings``."""

    encodings: list[Encoding]


class PlainTokenizer:
    """The fast tokenizer of a folder, used by the library ``tokenizers`` alone.

    Args:
        folder: with ``tokenizer.json``.
        ids: token ids by the names in :data:`IDS`; None for those that there are not.
        typed: whether the model is given token types.
    """

    def __init__(self, folder: Path, ids: Mapping[str, int | None], typed: bool) -> None:
        self._backend = Tokenizer.from_file(str(folder / FILE))
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.encode_special_tokens = True  # [SEP] in a user's text is text
        self._typed = typed
        self.pad_token_id = ids["pad_token_id"]
        self.unk_token_id = ids["unk_token_id"]
        self.sep_token_id = ids["sep_token_id"]
        self.mask_token_id = ids["mask_token_id"]
        self.eos_token_id = ids["eos_token_id"]

    def __call__(
        self, text: str | Sequence[str] | Sequence[Sequence[str]], pair: str | None = None, *,
        is_split_into_words: bool = False, add_special_tokens: bool = True, **ignored: Any,
    ) -> Encoded:  # fmt: skip
        """One text (words, with ``is_split_into_words``), a pair of texts, or a list of texts in words."""
        if is_split_into_words and text and not isinstance(text[0], str):
            encodings = self._backend.encode_batch(
                list(text), is_pretokenized=True, add_special_tokens=add_special_tokens
            )
            found = Encoded(input_ids=[each.ids for each in encodings])
            found.encodings = encodings
            return found
        given = list(text) if is_split_into_words else text
        one = self._backend.encode(
            given, pair, is_pretokenized=is_split_into_words, add_special_tokens=add_special_tokens
        )
        return Encoded(input_ids=one.ids, **({"token_type_ids": one.type_ids} if self._typed else {}))
