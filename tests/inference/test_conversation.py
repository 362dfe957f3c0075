"""A conversation by lines, with a writer that is no model."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_lightning.data.records import Record
from rag_lightning.inference.conversation import HELP, Conversation, converse


def echo(record: Record) -> Iterator[str]:
    """Says how many turns there were and what was asked, in pieces."""
    yield f" {len(record['turns'])}"
    yield ":\n"
    yield record["text"]


def conversation(write: Callable[[Record], Iterator[str]] = echo, **more: Any) -> Conversation:
    return Conversation(write, lambda record: f"about {record['text']}", **more)


def talk(lines: list[str], talked: Conversation | None = None, **more: Any) -> tuple[str, list[str], int]:
    """What is answered to lines, what is told beside, and the number of turns."""
    told: list[str] = []
    out = io.StringIO()
    waiting = iter(lines)
    options = {"interactive": False, **more}
    number = converse(talked or conversation(), lambda: next(waiting, None), out, told.append, **options)
    return out.getvalue(), told, number


def test_each_turn_is_answered_in_one_line_with_what_was_said_before() -> None:
    assert talk(["Hello\n", "\n", "Are you there?\n"]) == ("0: Hello\n2: Are you there?\n", [], 2)


def test_on_a_terminal_an_answer_keeps_its_lines() -> None:
    assert talk(["Hello"], interactive=True)[0] == "0:\nHello\n"


def test_the_commands() -> None:
    answers, told, number = talk(
        ["/context", "Hello", "/context", "/reset", "Again", "/help", "/rset", "/x", "/quit", "no"]
    )
    assert answers == "0: Hello\n0: Again\n" and number == 2
    assert told[:4] == ["nothing was asked yet", "about Hello", "forgotten", HELP]
    assert told[4].endswith("did you mean /reset?") and told[5].endswith(HELP)


def test_what_was_looked_up_is_told_before_the_answer_if_wanted() -> None:
    assert talk(["Hello"], show_context=True)[1] == ["about Hello"]
    for found, expected in ((None, "looks nothing up"), ("", "nothing was found")):
        talked = Conversation(echo, lambda record, found=found: found)
        talked.ask("Hello")
        assert expected in talked.context()


def test_the_model_is_shown_only_so_many_turns_and_the_system_message() -> None:
    talked = conversation(most_turns=2, system="Be brief.")
    assert talk(["a", "b", "c"], talked)[0] == "1: a\n3: b\n3: c\n"
    assert talked.asked is not None
    assert [turn["text"] for turn in talked.asked["turns"]] == ["Be brief.", "b", "3:\nb"]
    assert len(talked.turns) == 6


def interrupted(record: Record) -> Iterator[str]:
    yield "As I was"
    raise KeyboardInterrupt


def test_ctrl_c_ends_the_answer_and_not_the_conversation() -> None:
    talked = conversation(interrupted)
    answers, told, number = talk(["Hello", "And?"], talked, interactive=True)
    assert answers == "As I was\nAs I was\n" and told == [" (ended)"] * 2 and number == 2
    assert [turn["text"] for turn in talked.turns] == ["Hello", "As I was", "And?", "As I was"]


def test_ctrl_c_in_a_pipe_ends_the_program() -> None:
    with pytest.raises(KeyboardInterrupt):
        talk(["Hello"], conversation(interrupted))


def test_ctrl_c_while_the_terminal_is_written_to_ends_the_writing_too() -> None:
    ended: list[bool] = []

    def write(record: Record) -> Iterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            ended.append(True)

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            if text == "one":
                raise KeyboardInterrupt
            return super().write(text)

    talked = conversation(write)
    waiting = iter(["Hello"])
    converse(talked, lambda: next(waiting, None), Screen(), lambda _: None, interactive=True)
    assert ended == [True] and talked.turns[-1] == {"role": "assistant", "text": "one"}


def test_after_an_answer_without_a_word_the_turns_still_alternate() -> None:
    def silent(record: Record) -> Iterator[str]:
        yield from ()

    talked = conversation(silent)
    talk(["Hello", "Well?"], talked)
    assert talked.turns == [{"role": "user", "text": "Hello Well?"}]
    assert talked.asked is not None and talked.asked["text"] == "Hello Well?"
