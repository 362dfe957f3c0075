"""Answers with slots: what fills them, which version is given, and what is wrong with a file of them."""

from pathlib import Path

import pytest

from rag_lightning.errors import UserError
from rag_lightning.inference.replies import read_replies
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import read_rules

RULES = """
labels: {amount: money, card: a card}
rules:
  signs: {pattern: '£\\d+', label: amount}
  card: {lexicon: cards, label: card}
  brand: {lexicon: brands, label: card, priority: -1}
lexicons: {cards: [debit card, card], brands: [Visa]}
"""
APPLICATION = Path(__file__).parents[2] / "experiments" / "applications" / "customer_service"


@pytest.fixture
def engine(tmp_path: Path) -> RuleEngine:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return RuleEngine(read_rules(tmp_path / "rules.yaml"))


def _read(tmp_path: Path, engine: RuleEngine, text: str):
    (tmp_path / "answers.yaml").write_text(text, encoding="utf-8")
    return read_replies(tmp_path / "answers.yaml", engine)


def test_the_fullest_version_that_the_question_fills(tmp_path, engine) -> None:
    replies = _read(
        tmp_path, engine, "twice:\n- '{amount} with your {card}.'\n- 'Back come {amount}.'\n- Wait {{a}} day."
    )
    both = replies.reply("twice", "£20 by debit card and £30 again")
    assert (both.text, dict(both.filled)) == ("£20 with your debit card.", {"amount": "£20", "card": "debit card"})
    assert replies.reply("twice", "You took £5.").text == "Back come £5."
    assert replies.reply("twice", "My card was charged").text == "Wait {a} day." == replies.plain("twice")


def test_what_has_priority_fills_a_slot_and_then_what_stands_first(tmp_path, engine) -> None:
    replies = _read(tmp_path, engine, "a: b")
    assert replies.slots("Visa or debit card or card, £1 or £2") == {"card": "debit card", "amount": "£1"}


def test_slots_are_filled_with_text_as_it_stands(tmp_path, engine) -> None:
    replies = _read(tmp_path, engine, "a: ['{amount} {card}', b]")
    assert replies.reply("a", "£7 {amount} debit card").text == "£7 debit card"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: '{amount}'", "the last version needs {amount}"),
        ("a: ['{amont}', b]", "Did you mean {amount}"),
        ("a: [b, c]", "version 2 is never reached"),
        ("a: ['{card}', '{card} {amount}', c]", "version 2 is never reached"),
        ('a: "two\\nlines"', "a line of text"),
        ("a: []", "a line of text"),
        ("a: 3", "a line of text"),
        ("a: '{amount.real}'", "no slot"),
        ("- a", "no mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_mistakes_are_told(tmp_path, engine, text: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        _read(tmp_path, engine, text)
    assert said in str(told.value) and "answers.yaml" in str(told.value)


def test_a_label_without_answer_is_told_with_the_nearest(tmp_path, engine) -> None:
    replies = _read(tmp_path, engine, "card_arrival: b")
    replies.check(("card_arrival",))
    for ask in (lambda: replies.check(("card_arival",)), lambda: replies.reply("card_arival", "")):
        with pytest.raises(UserError, match="card_arrival"):
            ask()
    with pytest.raises(UserError, match="does not exist"):
        read_replies(tmp_path / "none.yaml", engine)


def test_the_application_answers_each_intent_of_rules_and_sample() -> None:
    replies = read_replies(APPLICATION / "answers.yaml", RuleEngine(read_rules(APPLICATION / "details.yaml")))
    intents = read_rules(Path(__file__).parents[2] / "conf" / "rules" / "bank_intents.yaml").labels
    replies.check(tuple(intents))
    assert set(replies.versions) == set(intents)
    asked = "I paid $1,200.50 with my Visa two days ago, or was it 20 Swiss francs?"
    assert replies.slots(asked) == {
        "amount": "$1,200.50", "card": "Visa", "when": "two days ago", "currency": "Swiss francs",
    }  # fmt: skip
