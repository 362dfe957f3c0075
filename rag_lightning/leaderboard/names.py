"""Trials named by what differs between them."""

import re
from collections.abc import Iterable, Mapping, Sequence

SEED = "seed"
# A word of its own at the end says which; these say nothing without the word before them.
_VAGUE = ("name", "path", "kind", "type", "enabled")


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """For each dotted key its last words, as many as tell it from the others: ``optimizer.lr`` is ``lr``."""
    keys = list(dict.fromkeys(keys))
    return {key: next((n for n in _endings(key) if sum(_ends(k, n) for k in keys) == 1), key) for key in keys}


def _endings(key: str) -> list[str]:
    words = re.split(r"[.@]", key.lstrip("+~"))
    least = 2 if words[-1] in _VAGUE else 1
    return [".".join(words[-n:]) for n in range(min(least, len(words)), len(words) + 1)]


def _ends(key: str, name: str) -> bool:
    plain = re.sub("@", ".", key.lstrip("+~"))
    return plain == name or plain.endswith(f".{name}")


def tell(values: Mapping[str, str], names: Mapping[str, str]) -> str:
    """``lr=3e-5, template=hints``: the values of the keys in ``names``, in its order."""
    return ", ".join(f"{name}={values[key]}" for key, name in names.items() if key in values)


def shown(value: str, limit: int = 24) -> str:
    """A value as a table shows it: numbers with four digits at most, long texts cut in the middle."""
    number = as_number(value)
    if number is not None and len(value) > 8:
        return f"{number:.4g}"
    text = " ".join(value.split())
    half = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"


def as_number(value: str) -> float | None:
    """A value that was typed as a finite number, else None."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def by_nature(value: str) -> tuple[int, float, str]:
    """A sorting key: numbers by size, then words by alphabet."""
    number = as_number(value)
    return (1, 0.0, value) if number is None else (0, number, value)


def varying(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The keys that have more than one value; one that is missing is a value of its own."""
    keys = dict.fromkeys(key for values in rows for key in values)
    return tuple(key for key in keys if len({values.get(key) for values in rows}) > 1)
