"""Values with parts of their own: mentions of entities, answers, texts to be written, turns of a dialogue."""

from collections.abc import Mapping, Sequence
from typing import Any

from rag_lightning.data.checking import as_list, from_cell, sound, wrong_type
from rag_lightning.data.options import DataConfig
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError

ROLES = ("user", "assistant", "system")
_MENTION = 'a text, or an entity such as {"start": 0, "end": 4, "text": "Ada", "type": "PER"}'
_ANSWERS = '[{"text": "in Ghent", "answer_start": 17}], or [] for none'
_TURN = '{"role": "user", "text": "…"} or a text'


def read_mention(value: Any, config: DataConfig, where: str) -> str | dict[str, Any]:
    """One side of a pair: a text as it is, or an entity as ``{start, end}`` and, where given, ``text`` and ``type``."""
    found = from_cell(value)
    if not isinstance(found, Mapping):
        if not isinstance(value, str):
            raise wrong_type("each side of a pair", _MENTION, value, where)
        return sound(value, where)
    mention = {key: found[key] for key in ("start", "end", "text", "type") if found.get(key) is not None}
    named = [mention[key] for key in ("text", "type") if key in mention]
    if [type(mention.get(key)) for key in ("start", "end")] != [int, int] or not all(
        isinstance(text, str) for text in named
    ):
        raise wrong_type("each side of a pair", _MENTION, value, where)
    sound("".join(named), where)
    return mention


def read_answers(value: Any, config: DataConfig, where: str) -> list[dict[str, Any]]:
    """The acceptable answers as ``{text, answer_start}``, also from ``{"text": […], "answer_start": […]}``.

    Of an answer without place, ``answer_start`` stays out.
    """
    found = from_cell(value)
    if isinstance(found, Mapping):
        found = _from_columns(found, where)
    answers = []
    for position, answer in enumerate(as_list(found, "answers", where)):
        parts = {"text": answer} if isinstance(answer, str) else answer
        text, start = (parts.get("text"), parts.get("answer_start")) if isinstance(parts, Mapping) else (None, None)
        if not isinstance(text, str) or type(start) not in (int, type(None)):
            raise wrong_type(f"answer {position}", _ANSWERS, answer, where)
        if not text:
            raise UserError(
                f"answer {position} is empty", where=where, remedy='Write "answers": [] where the text has no answer.'
            )
        answers.append({"text": sound(text, where)} | ({} if start is None else {"answer_start": start}))
    return answers


def _from_columns(columns: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """The dict-of-lists form of ``datasets``; one answer alone may stand without lists."""
    texts, starts = columns.get("text"), columns.get("answer_start")
    if isinstance(texts, str):
        texts, starts = [texts], None if starts is None else [starts]
    if not isinstance(texts, (list, tuple)) or not isinstance(starts, (list, tuple, type(None))):
        raise wrong_type("the field of the answers", _ANSWERS, dict(columns), where)
    if starts is None:
        return [{"text": text} for text in texts]
    if len(texts) != len(starts):
        raise UserError(
            f"{len(texts)} texts of answers but {len(starts)} places",
            where=where,
            remedy="Give each answer one answer_start.",
        )
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def read_references(value: Any, config: DataConfig, where: str) -> str | list[str] | None:
    """The text to be written, or several of which each would do; None where all of them are blank."""
    found = from_cell(value)
    if not isinstance(found, (list, tuple)):
        found = value  # a text that only looks like JSON
    if isinstance(found, str):
        return sound(found.replace("\r\n", "\n"), where)
    if not isinstance(found, (list, tuple)) or not all(isinstance(part, str) for part in found):
        raise wrong_type("the target", "a text or a list of texts", value, where)
    return [sound(text.replace("\r\n", "\n"), where) for text in found if text.strip()] or None


def read_turns(value: Any, config: DataConfig, where: str) -> list[dict[str, str]]:
    """The turns of a dialogue as ``{role, text}``.

    Texts without roles are taken in turn as those of user and assistant. A cell of a table may hold a JSON list, or
    texts with ``data.turn_separator`` between or after them.

    Raises:
        UserError: for another role, a turn without text, or no turn.
    """
    found = from_cell(value)
    if isinstance(found, str) and config.turn_separator is not None:
        found = [part.strip() for part in found.split(config.turn_separator)]
        found = found[:-1] if len(found) > 1 and not found[-1] else found
    elif isinstance(found, str):
        raise UserError(
            f"the turns stand in one text, {shorten(found)!r}",
            where=where,
            remedy="Say what parts them, such as data.turn_separator=__eou__, or write a JSON list.",
        )
    turns = as_list(found, "turns", where)
    if not turns:
        raise UserError("the dialogue has no turn", where=where, remedy="Leave the row out.")
    if all(isinstance(turn, str) for turn in turns):
        turns = [{"role": ROLES[number % 2], "text": text} for number, text in enumerate(turns)]
    return [_turn(turn, number, where) for number, turn in enumerate(turns, 1)]


def _turn(turn: Any, number: int, where: str) -> dict[str, str]:
    parts = turn if isinstance(turn, Mapping) else {}
    role = parts.get("role")
    text = next((parts[key] for key in ("text", "content") if parts.get(key) is not None), None)
    if not isinstance(role, str) or not isinstance(text, str):
        raise wrong_type(f"turn {number}", _TURN, turn, where)
    if role not in ROLES:
        raise UserError(
            f"turn {number} has the role {shorten(role, 30)!r}",
            where=where,
            remedy=f"The roles are {_listed(ROLES)}; the answers to be learnt are those of the assistant.",
        )
    if not text.strip():
        raise UserError(f"turn {number} has no text", where=where, remedy="Write it, or leave the dialogue out.")
    return {"role": role, "text": sound(text, where)}


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
