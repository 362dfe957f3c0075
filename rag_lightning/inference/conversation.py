"""A conversation by lines: what is remembered, the commands, and what is shown. No model is known here."""

from collections.abc import Callable, Generator, Iterator
from typing import TextIO

from rag_lightning.data.records import Record
from rag_lightning.errors import nearest
from rag_lightning.tasks.turns import Turn, merged, question

COMMANDS = {
    "/reset": "begin anew: what was said is forgotten",
    "/context": "what was looked up for the last turn",
    "/help": "this list",
    "/quit": "end the conversation (Ctrl-D too)",
}
HELP = "\n".join([*(f"{name:<9} {meaning}" for name, meaning in COMMANDS.items()), "Ctrl-C ends an answer."])
NOTHING_LOOKED_UP = "this run's template looks nothing up"


class Conversation:
    """What was said, and who answers.

    Args:
        write: an example -> the pieces of the answer, as they are written.
        looked_up: an example -> what the template's {context} says for it; None if the template has none.
        most_turns: how many turns before the user's last one the model is shown; None: all.
        system: the system message that stands before them.

    Attributes:
        turns: all that was said.
        asked: the example of the last turn.
    """

    def __init__(
        self,
        write: Callable[[Record], Iterator[str]],
        looked_up: Callable[[Record], str | None],
        most_turns: int | None = None,
        system: str | None = None,
    ) -> None:
        self._write, self._looked_up = write, looked_up
        self._most_turns, self._system = most_turns, system
        self.turns: list[Turn] = []
        self.asked: Record | None = None

    def reset(self) -> None:
        """Forget what was said."""
        self.turns, self.asked = [], None

    def ask(self, text: str) -> None:
        """Say the user's next turn; :meth:`answer` then answers it."""
        # After an answer that was ended before its first word two turns of the user follow each other.
        self.turns = merged([*self.turns, {"role": "user", "text": text}])
        self.asked = question(self.turns, self._most_turns, self._system)

    def answer(self) -> Generator[str, None, None]:
        """The pieces of the answer; what was shown of it is remembered, also if it is ended early."""
        assert self.asked is not None, "nothing was asked"
        shown = ""
        pieces = self._write(self.asked)
        try:
            for piece in pieces:
                piece = piece if shown else piece.lstrip()
                shown += piece
                if piece:
                    yield piece
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()  # ends the writing
            if shown.strip():
                self.turns.append({"role": "assistant", "text": shown.strip()})

    def context(self) -> str:
        """What was looked up for the last turn, in words."""
        if self.asked is None:
            return "nothing was asked yet"
        found = self._looked_up(self.asked)
        return NOTHING_LOOKED_UP if found is None else found or "nothing was found"


def converse(
    conversation: Conversation,
    read: Callable[[], str | None],
    out: TextIO,
    tell: Callable[[str], None],
    *,
    interactive: bool,
    show_context: bool = False,
) -> int:
    """Answer turns until there are no more; blank lines are passed over.

    Args:
        conversation: see there.
        read: gives the next line; None is the end.
        out: where answers go, a line each.
        tell: shows what is no answer, such as the list of commands.
        interactive: Ctrl-C ends an answer only, and answers keep their line ends.
        show_context: tell before each answer what was looked up.

    Returns:
        The number of turns answered.
    """
    answered = 0
    while (line := read()) is not None:
        text = line.strip()
        if text.startswith("/"):
            if text == "/quit":
                break
            tell(_obey(text, conversation))
        elif text:
            conversation.ask(text)
            if show_context:
                tell(conversation.context())
            _show(conversation, out, tell, interactive)
            answered += 1
    return answered


def _obey(command: str, conversation: Conversation) -> str:
    """Do what a command says; the reply to it."""
    if command == "/reset":
        conversation.reset()
        return "forgotten"
    if command == "/context":
        return conversation.context()
    if command == "/help":
        return HELP
    close = nearest(command, list(COMMANDS))
    return f"there is no {command.split()[0]}; " + (f"did you mean {close[0]}?" if close else f"\n{HELP}")


def _show(conversation: Conversation, out: TextIO, tell: Callable[[str], None], interactive: bool) -> None:
    pieces = conversation.answer()
    try:
        for piece in pieces:
            out.write(piece if interactive else piece.replace("\n", " ").replace("\r", " "))
            out.flush()
    except KeyboardInterrupt:
        if not interactive:
            raise
        pieces.close()
        tell(" (ended)")
    out.write("\n")
    out.flush()
