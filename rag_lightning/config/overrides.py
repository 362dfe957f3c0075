"""Settings as they are typed: values in Hydra's grammar, words for a shell."""

import re
import shlex
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_./][\w./+-]*", re.ASCII)
_OTHER_TYPES = re.compile(r"(null|true|false|nan|inf|[+-]?[\d._]+(e[+-]?\d+)?)$", re.IGNORECASE)


def override(key: str, value: Any) -> str:
    """``key=value`` that Hydra reads back as the very same value; a key that begins with ``~`` takes none."""
    return key if key.startswith("~") else f"{key}={hydra_value(value)}"


def shell_command(module: str, words: list[str]) -> str:
    """The command that runs ``module`` with these words."""
    return " ".join(["python", "-m", module, *(shlex.quote(word) for word in words)])


def hydra_value(value: Any) -> str:
    """A plain value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{hydra_value(str(k))}:{hydra_value(v)}" for k, v in value.items()) + "}"
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value) and not _OTHER_TYPES.match(value):
        return value
    text = value.replace("${", "\\${")
    # A backslash counts only before a quote, so those before one (or before the closing one) are doubled.
    text = re.sub(r'(\\*)("|$)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), text)
    return f'"{text}"'
