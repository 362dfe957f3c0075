"""Of two labels the one that is looked for: by it F1 is counted, and by it candidates are ranked."""

from collections.abc import Sequence

from rag_lightning.errors import UserError, nearest

# Names, and beginnings of names, that say no.
_SAYS_NO = {"0", "-1", "no", "false", "none", "negative", "irrelevant", "unrelated", "different", "other", "dissimilar"}
_BEGINS_WITH_NO = ("not_", "not-", "not ", "no_", "no-", "no ", "non_", "non-", "non ")


def positive_label(labels: Sequence[str], wanted: str | None = None) -> str | None:
    """The label ``wanted``; else of two labels the one that does not say no; None where that is not clear."""
    if wanted is not None or len(labels) != 2:
        return wanted if wanted in labels else None
    left = [label for label in labels if not _is_no(label)]
    return left[0] if len(left) == 1 else None


def _is_no(label: str) -> bool:
    name = label.casefold()
    return name in _SAYS_NO or name.startswith(_BEGINS_WITH_NO)


def check_positive(labels: Sequence[str], wanted: str | None) -> str:
    """The same, where one is needed.

    Raises:
        UserError: if there is none.
    """
    if (found := positive_label(labels, wanted)) is not None:
        return found
    close = nearest(wanted, list(labels)) if wanted else []
    unclear = "it is not clear which label means that two texts belong together"
    raise UserError(
        f"there is no label {wanted!r}" if wanted else unclear,
        where="task.positive",
        remedy=f"Did you mean {close[0]!r}?" if close else f"Name one of: {', '.join(labels)}.",
    )
