"""Hits, labels and answers in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_example import NER, build_render, variant

from rag_lightning.data.records import Record
from rag_lightning.template.wording import (
    LabelWords,
    answer_in_words,
    descriptions_in_words,
    entity_types,
    hints_in_words,
    label_words,
)

WORDS = {"PER": LabelWords("person"), "LOC": LabelWords("place", "a town")}


def record(*hits: list[object], tokens: str = "Washington met Ada Lovelace in Washington") -> Record:
    return {"tokens": tokens.split(), "hits": [list(hit) for hit in hits]}


def hit(start: int, end: int, label: str | None, *, veto: bool = False) -> list[object]:
    return [start, end, label, "r", 0, veto]


def test_findings_are_told_once_in_the_order_of_the_text() -> None:
    found = record(hit(5, 6, "LOC"), hit(2, 4, "PER"), hit(0, 1, "LOC"))
    assert hints_in_words(found, WORDS) == "Washington: place; Ada Lovelace: person"


def test_disagreement_is_told() -> None:
    assert hints_in_words(record(hit(0, 1, "LOC"), hit(0, 1, "PER")), WORDS) == "Washington: place or person"


def test_vetoes_marks_and_findings_within_others_are_left_out() -> None:
    vetoed = record(hit(0, 1, "LOC"), hit(0, 6, "LOC", veto=True), hit(2, 4, "PER"))
    assert hints_in_words(vetoed, WORDS) == "Ada Lovelace: person"
    assert hints_in_words(record(hit(0, 1, None), hit(2, 3, "PER"), hit(2, 4, "PER")), WORDS) == "Ada Lovelace: person"
    assert hints_in_words(record(), WORDS) == ""


def test_hits_in_running_text_are_characters() -> None:
    assert hints_in_words({"text": "我在北京。", "hits": [hit(2, 4, "LOC")]}, WORDS) == "北京: place"


def test_a_record_without_hits_is_a_defect_not_an_empty_hint() -> None:
    with pytest.raises(RuntimeError, match="no rules were applied"):
        hints_in_words({"tokens": ["a"]}, WORDS)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 3), st.sampled_from(["PER", "LOC", None]), st.booleans()),
        max_size=8,
    )
)
def test_hints_name_only_stretches_of_the_text(hits: list[tuple[int, int, str | None, bool]]) -> None:
    given = record(*(hit(s, min(6, s + n), label, veto=veto) for s, n, label, veto in hits))
    text = " ".join(given["tokens"])
    told = hints_in_words(given, WORDS)
    for each in filter(None, told.split("; ")):
        stretch, names = each.split(": ")
        assert stretch in text
        assert set(names.split(" or ")) <= {"person", "place"}
    if not any(label and not veto for _, _, label, veto in hits):
        assert told == ""


def test_empty_hints_have_a_word() -> None:
    for empty, shown in (("", []), ("nothing found", ["nothing", "found"])):
        config = variant("none", text="{hints} {text}", empty_hints=empty)
        segments = build_render(config, **NER)[0](record())
        assert [word for s in segments if s.field == "hints" for word in s.words] == shown


def test_labels_in_words() -> None:
    assert entity_types(("O", "B-PER", "I-PER", "B-LOC")) == ["PER", "LOC"]
    assert entity_types(("B-side", "A-side")) == ["B-side", "A-side"], "labels of texts are no tags"
    assert label_words(["a_b", "PER"], {"PER": WORDS["PER"]})["a_b"].name == "a b"
    assert descriptions_in_words(WORDS) == "person; place: a town"


def test_answers_in_words() -> None:
    tagged = {"tokens": ["in", "New", "York"], "tags": ["O", "B-LOC", "I-LOC"]}
    assert answer_in_words(tagged, WORDS, "nothing") == "New York: place"
    assert answer_in_words({**tagged, "tags": ["O"] * 3}, WORDS, "nothing") == "nothing"
    assert answer_in_words({"text": "a", "label": "LOC"}, WORDS, "nothing") == "place"
    assert answer_in_words({"text": "a"}, WORDS, "nothing") is None
