"""A conversation as the backbone's chat template writes it, around texts that cannot pretend to be part of it."""

from collections.abc import Sequence
from typing import Any

import regex
from jinja2 import TemplateError

from rag_lightning.errors import UserError

_PLACE = "\ue000{}\ue001"  # private characters, which no chat template holds
_PLACES = regex.compile("\ue000\\d+\ue001")
USER = "user"


class ChatFrames:
    """The tokens around the messages of a conversation, by the roles that speak.

    Messages are put between them as ids of their own, so that ``<|im_end|>`` in what a user writes stays text.

    Args:
        tokenizer: with a chat template.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[tuple[str, ...], list[list[int]]] = {}

    def frame(self, roles: Sequence[str]) -> list[list[int]]:
        """Ids before the first message, between each two, and behind the last, where the answer begins.

        Raises:
            UserError: the template does not know such a conversation.
        """
        key = tuple(roles)
        if key not in self._known:
            self._known[key] = [self._ids(text) for text in self._between(key)]
        return self._known[key]

    def _between(self, roles: tuple[str, ...]) -> list[str]:
        messages = [{"role": role, "content": _PLACE.format(number)} for number, role in enumerate(roles)]
        try:
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise self._refused(roles, str(error)) from error
        found = _PLACES.findall(text)
        if found != [message["content"] for message in messages]:
            raise self._refused(roles, "it leaves out a message or changes the order")
        return _PLACES.split(text)

    def _ids(self, text: str) -> list[int]:
        encoded: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=False, verbose=False)[
            "input_ids"
        ]
        return encoded

    @staticmethod
    def _refused(roles: tuple[str, ...], reason: str) -> UserError:
        return UserError(
            f"the backbone's chat template cannot write a conversation of {', '.join(roles)} ({reason})",
            where="task.chat",
            remedy="Set task.chat=false, and show earlier turns by the template.",
        )
