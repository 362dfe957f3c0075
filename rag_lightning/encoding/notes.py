"""What the report says of the encoded data: what was cut off, and what the tokenizer cannot read."""

from collections.abc import Mapping
from typing import Any

from rag_lightning.encoding.cache import EncodedSplit

_LOOKED_AT = 2000  # rows, for unknown tokens
_MANY_UNKNOWN = 0.05  # share of the tokens from which the backbone is the wrong one


def cut_notes(splits: Mapping[str, EncodedSplit]) -> list[str]:
    """What of each split's examples found no room, where the output kind counts it in a column ``cut``."""
    return [note for name, split in splits.items() if (note := _cut_note(name, split))]


def _cut_note(name: str, split: EncodedSplit) -> str | None:
    if "cut" not in split.table.column_names or not len(split):
        return None
    lost = split.table.column("cut").to_numpy()
    if not lost.any():
        return None
    return (
        f"{int((lost > 0).sum()):,} of {len(split):,} {name} texts are longer than the model's window and are read up "
        f"to its end only; {lost.sum() / (lost.sum() + split.lengths.sum()):.1%} of all tokens are not read."
    )


def unknown_notes(splits: Mapping[str, EncodedSplit], tokenizer: Any) -> list[str]:
    """How much of the training text the tokenizer has no token for, if it is much: another language or script."""
    split, unknown = splits.get("train"), tokenizer.unk_token_id
    also_means = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
    if split is None or unknown is None or unknown in also_means or not len(split):
        return []
    ids = split.table.column("input_ids").slice(0, _LOOKED_AT).combine_chunks().flatten().to_numpy()
    share = float((ids == unknown).mean()) if len(ids) else 0.0
    if share < _MANY_UNKNOWN:
        return []
    return [
        f"The tokenizer has no token for {share:.0%} of the text: choose a backbone that was pretrained on its like."
    ]
