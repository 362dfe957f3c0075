"""A template's line: every slot and brace found, nothing but names looked up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lightning.errors import UserError
from rag_lightning.template.parse import Slot, check_slots, parse, slots_of

names = st.from_regex(r"\A[^\W\d]\w{0,8}\Z").filter(str.isidentifier)
literals = st.text(min_size=1, max_size=20)


def written(parts: list[str | tuple[str]]) -> str:
    return "".join(
        f"{{{part[0]}}}" if isinstance(part, tuple) else part.replace("{", "{{").replace("}", "}}") for part in parts
    )


@given(st.lists(st.one_of(literals, st.tuples(names)), max_size=8))
def test_what_was_written_is_read(parts: list[str | tuple[str]]) -> None:
    read = parse(written(parts))
    joined: list[str | tuple[str]] = []
    for part in parts:  # neighbouring texts are one
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    assert [(part.name,) if isinstance(part, Slot) else part for part in read] == joined


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        parts = parse(text)
    except UserError as error:
        assert "template.text:column" in str(error)
        return
    for part in parts:
        assert part if isinstance(part, str) else part.name.isidentifier()


@given(names, st.text(max_size=10))
def test_the_column_is_where_the_slot_begins(name: str, before: str) -> None:
    text = written([before]) + f"{{{name}}}"
    slot = parse(text)[-1]
    assert isinstance(slot, Slot)
    assert text[slot.column - 1 :] == f"{{{name}}}"


def test_braces_and_empty_text() -> None:
    assert parse("") == ()
    assert parse("{{}}") == ("{}",)
    assert parse("{{{text}}}") == ("{", Slot("text", 3), "}")
    assert parse("{ text }") == (Slot("text", 1),)
    assert slots_of(parse("{a} {b}{a}")) == ["a", "b", "a"]


@pytest.mark.parametrize(
    "text",
    ["{text.upper}", "{text[0]}", "{0}", "{text!r}", "{text:>10}", "{}", "{a b}", "{__import__('os')}", "{a-b}"],
)
def test_nothing_is_looked_up(text: str) -> None:
    with pytest.raises(UserError, match=r"template\.text:column 1"):
        parse(text)


@pytest.mark.parametrize(("text", "column"), [("{text", 1), ("text}", 5), ("{a{b}", 1), ("ü {text}} }", 9)])
def test_a_brace_without_partner_is_placed(text: str, column: int) -> None:
    with pytest.raises(UserError, match=rf"column {column}: a .* without its partner"):
        parse(text)


def test_an_unknown_slot_names_those_there_are_the_nearest_first() -> None:
    with pytest.raises(UserError) as caught:
        check_slots(parse("{text} {descripton}"), ["text", "description", "hints"])
    assert str(caught.value) == (
        "template.text:column 8: there is no slot {descripton}. Did you mean {description}? "
        "There are: {description}, {hints}, {text}."
    )
