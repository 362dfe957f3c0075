"""Dialogues to examples, and the replies to choose from."""

from typing import Any

import pytest

from rag_lightning.tasks.turns import (
    as_line,
    examples_of,
    merged,
    most_frequent_reply,
    question,
    with_candidates,
)


def turns(text: str) -> list[dict[str, str]]:
    """Turns of ``u: Hello | a: Hi``."""
    roles = {"u": "user", "a": "assistant", "s": "system"}
    return [{"role": roles[part.strip()[0]], "text": part.strip()[3:]} for part in text.split("|")]


def record(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "d", "source": "a.jsonl:1", "turns": turns(text), **more}


def short(example: dict[str, Any]) -> tuple[str, str, Any]:
    return example["history"], example["text"], example["target"]


def test_every_reply_becomes_an_example_with_what_was_said_before() -> None:
    found = examples_of(record("u: Open? | a: Yes. | u: Until? | a: Six.", knowledge=["hours"]))
    assert [short(each) for each in found] == [("", "Open?", "Yes."), ("User: Open? Assistant: Yes.", "Until?", "Six.")]
    assert found[1]["turns"] == turns("u: Open? | a: Yes.")
    assert [each["id"] for each in found] == ["d-1", "d-2"]
    assert {each["dialogue"] for each in found} == {"d"} and found[0]["knowledge"] == ["hours"]
    assert [
        short(each) for each in examples_of(record("u: Open? | a: Yes. | u: Until? | a: Six."), replies="last")
    ] == [("User: Open? Assistant: Yes.", "Until?", "Six.")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: Welcome! | u: Open? | a: Yes.", [("Assistant: Welcome!", "Open?", "Yes.")]),  # a greeting answers nobody
        ("u: Hello. | u: Open? | a: Yes. | a: Till six.", [("", "Hello. Open?", "Yes. Till six.")]),
        ("u: Open? | a: Yes. | u: Thanks.", [("", "Open?", "Yes.")]),  # nobody answers the end
        ("u: Open?", []),
        ("a: Welcome!", []),
        ("s: Be brief. | u: Open? | a: Yes.", [("System: Be brief.", "Open?", "Yes.")]),
        ("u: Open? | s: Be kind. | a: Yes.", [("System: Be kind.", "Open?", "Yes.")]),
    ],
)
def test_odd_dialogues(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert [short(each) for each in examples_of(record(text))] == expected


def test_a_system_message_stands_first_the_dialogues_own_before_the_users() -> None:
    own = examples_of(record("s: Be brief. | u: Open? | a: Yes."), system="Be kind.")
    other = examples_of(record("u: Open? | a: Yes."), system="Be kind.")
    assert own[0]["turns"] == turns("s: Be brief.") and other[0]["turns"] == turns("s: Be kind.")


def test_only_the_latest_turns_are_kept() -> None:
    text = "s: Be brief. | u: 1 | a: 2 | u: 3 | a: 4 | u: 5"
    assert question(turns(text), 2)["turns"] == turns("s: Be brief. | u: 3 | a: 4")
    assert question(turns(text), 0) == {"turns": turns("s: Be brief."), "text": "5", "history": "System: Be brief."}
    assert question(turns(text), 99)["turns"] == turns("s: Be brief. | u: 1 | a: 2 | u: 3 | a: 4")


def test_given_replies_answer_all_turns_whoever_spoke_last() -> None:
    one = examples_of(record("u: Open?", target=["Yes.", "No."]))
    assert [short(each) for each in one] == [("", "Open?", ["Yes.", "No."])] and one[0]["id"] == "d"
    two = examples_of(record("u: Open? | a: Why?", target="Because."))
    assert [short(each) for each in two] == [("Assistant: Open?", "Why?", "Because.")]


def test_turns_of_one_speaker_and_the_line() -> None:
    assert merged(turns("u: a | u: b | a: c")) == turns("u: a b | a: c")
    assert as_line(turns("u: a | a: c")) == "User: a Assistant: c"


def test_the_most_frequent_reply_counts_all_acceptable_ones_whatever_the_case() -> None:
    records = [{"target": t} for t in ("Yes.", ["No.", "yes. "], "No!", ["Well."])]
    assert most_frequent_reply(records) == "Yes."
    assert most_frequent_reply([]) is None


# --- candidates -------------------------------------------------------------------------------------------------

REPLIES = [{"target": text} for text in ("a", "b", "c", ["d", "e"], "a", "f")]


def candidates(**more: Any) -> list[Any]:
    options = {"among": 4, "most": None, "source": "split", "seed": 1, **more}
    return [each.get("candidates") for each in with_candidates(REPLIES, **options)]


def test_candidates_are_the_right_reply_and_others_each_once() -> None:
    found = candidates()
    assert [each[0] for each in found] == ["a", "b", "c", "d", "a", "f"]
    assert all(len(each) == len(set(each)) == 4 for each in found)
    assert "e" not in found[3], "another right reply is no wrong one"
    assert candidates() == found != candidates(seed=2)
    assert all(len(each) == 5 for each in candidates(among=10)), "there are five different replies"


def test_only_some_examples_get_candidates() -> None:
    found = candidates(most=2)
    assert sum(each is not None for each in found) == 2 and found == candidates(most=2)
    assert sum(each is not None for each in candidates(most=0)) == 0


def test_wrong_replies_may_be_those_of_the_data() -> None:
    records = [{"target": ["a", "b"], "negatives": ["x", "b", "y", "x", "z"]}, {"target": "a"}]
    found = list(with_candidates(records, among=3, most=None, source="negatives", seed=0))
    assert found[0]["candidates"] == ["a", "x", "y"] and "candidates" not in found[1]


def test_where_no_reply_is_wrong_there_is_nothing_to_choose() -> None:
    same = [{"target": "a"}, {"target": "a"}]
    assert all("candidates" not in each for each in with_candidates(same, among=3, most=None, source="split", seed=0))
