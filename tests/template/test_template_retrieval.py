"""Knowledge that resembles an input: what is found, what is shown, and files with errors that name the line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from template_example import DIALOGUE, EXAMPLES, build_render, variant

from rag_lightning.encoding.render import Render, words_of
from rag_lightning.errors import UserError
from rag_lightning.template.build import load_render, save_render
from rag_lightning.template.pairs import file_of
from rag_lightning.template.retrieval import Entry, Similar, read_entries

PARKING = Entry("Parking", "Six free spaces in the yard.")
HOURS = Entry("When are you open?", "Until six, not on Sundays.")
BIKES = Entry("", "A rental bike costs €14 a day.")
ENTRIES = (PARKING, HOURS, BIKES)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Where can I park?", PARKING),
        ("are you OPEN tonight", HOURS),
        ("What do bikes cost?", BIKES),
        ("renting two bicycles", BIKES),
    ],
)
def test_the_entry_that_resembles_the_text_comes_first(text: str, first: Entry) -> None:
    assert Similar(ENTRIES).find(text)[0] == first


def test_an_entry_is_found_by_its_title_and_by_its_text() -> None:
    same = Similar((Entry("Parking", "x"), Entry("y", "Parking")), most=2)
    assert len(same.find("parking")) == 2


def test_chinese_needs_no_word_borders() -> None:
    known = (Entry("营业时间", "周一到周五，九点到六点。"), Entry("停车", "院子里有六个车位。"))
    assert Similar(known, 1).find("请问哪里可以停车？") == (known[1],)
    assert Similar(known, 1).find("你们的时间") == (known[0],)


def test_what_was_said_before_counts_less_than_the_question() -> None:
    similar = Similar(ENTRIES, most=1)
    assert similar.find("How much?", "Where can I park?") == (PARKING,)
    assert similar.find("Are you open on Sundays?", "Where can I park?") == (HOURS,)


def test_only_so_many_and_none_that_is_too_unlike() -> None:
    text = "Is the yard with the bikes open?"
    assert len(Similar(ENTRIES, most=3).find(text)) == 3
    assert len(Similar(ENTRIES, most=2).find(text)) == 2
    assert Similar(ENTRIES, least=0.9).find(text) == ()
    assert Similar(ENTRIES).find("Ж") == Similar(ENTRIES).find("") == ()


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_many_texts_at_once_give_what_each_gives_alone(texts: list[str]) -> None:
    together, alone = Similar(ENTRIES), Similar(ENTRIES)
    together.prepare([(text, "open") for text in texts])
    assert [together.find(text, "open") for text in texts] == [alone.find(text, "open") for text in texts]


def test_an_entry_in_words() -> None:
    assert [entry.shown for entry in ENTRIES] == [
        "Parking: Six free spaces in the yard.", "When are you open? Until six, not on Sundays.",
        "A rental bike costs €14 a day.",
    ]  # fmt: skip


# --- in a template ----------------------------------------------------------------------------------------------


def render_of(file: Path, **context: Any) -> tuple[Render, str]:
    """The context of a file in front of a turn."""
    config = variant("dialogue_context", context={"path": str(file), **context})
    return build_render(config, **DIALOGUE)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    rows = [{"id": 1, "question": "Do you show comedies?", "answer": "At eight."},
            {"id": 2, "question": "Is there a car park?", "answer": "No."}]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_past_questions_are_shown_with_their_answers(questions: Path) -> None:
    render, _ = render_of(questions, most=1)
    expected = "Known: Do you show comedies? At eight. Question: A lovely comedy."
    assert words_of(render(EXAMPLES["dialogue"])) == expected
    other = {**EXAMPLES["dialogue"], "text": "Bye", "turns": []}
    assert words_of(render(other)) == "Known: nothing about this. Question: Bye"


def test_the_turns_before_take_part_in_the_search(questions: Path) -> None:
    render, _ = render_of(questions, most=1)
    turns = [{"role": "user", "text": "I come by car, can I park?"}, {"role": "assistant", "text": "No car park."}]
    assert "car park? No." in words_of(render({"text": "How much?", "turns": turns}))
    assert "car park? No." not in words_of(render({"text": "How much?", "turns": []}))


def test_entries_are_saved_with_the_model_and_their_content_is_what_counts(questions: Path, tmp_path: Path) -> None:
    render, name = render_of(questions)
    copy = tmp_path / "copy.csv"
    copy.write_text("question,answer\nDo you show comedies?,At eight.\nIs there a car park?,No.\n", encoding="utf-8")
    assert render_of(copy)[1] == name
    assert render_of(copy, most=1)[1] != name
    copy.write_text("question,answer\nDo you show comedies?,At nine.\nIs there a car park?,No.\n", encoding="utf-8")
    assert render_of(copy)[1] != name
    saved = json.loads(json.dumps(save_render(render)))
    questions.unlink()
    assert load_render(saved)(EXAMPLES["dialogue"]) == render(EXAMPLES["dialogue"])


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"id": "p", "title": "Parking", "text": "In the yard."}\n{"text": "Only this."}\n'),
        ("a.csv", "title,text\nParking,In the yard.\n,Only this.\n"),
        ("a.tsv", "answer\tquestion\nIn the yard.\tParking\nOnly this.\t\n"),
        ("a.yaml", 'Parking: In the yard.\n"": Only this.\n'),
    ],
)
def test_every_form_is_read(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    assert read_entries(file) == (Entry("Parking", "In the yard."), Entry("", "Only this."))


def test_a_table_of_texts_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,text\n1,In the yard.\n", encoding="utf-8")
    assert read_entries(file) == (Entry("", "In the yard."),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"title": "a", "text": "b"}\n{"title": "a", "text": " "}\n', r"a\.jsonl:2: an entry without text"),
        ("a.jsonl", '{"heading": "a"}\n', r'a\.jsonl:1: an object like {"title": "…", "text": "…"} is expected'),
        ("a.csv", "titel,text_\na,b\n", r"a\.csv:1: there is no column 'title'.*Call the column 'titel' 'title'"),
        ("a.csv", "title,text\n", r"a\.csv: the file has no entry"),
        ("a.pdf", "x", "the ending of the file must be one of"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_entries(file)


def test_without_a_file_the_user_is_told_which_to_give() -> None:
    config = variant("dialogue_context")
    with pytest.raises(UserError, match=r"template\.context\.path: .*no file.*title and text, or question and answer"):
        build_render(config, **DIALOGUE)


def test_the_knowledge_of_the_sample_is_found_for_its_dialogues() -> None:
    file = file_of("sample:dialogue/knowledge.jsonl")
    entries = read_entries(file)
    names = [json.loads(line)["id"] for line in file.read_text(encoding="utf-8").splitlines()]
    similar = Similar(entries, most=3)
    hits = []
    for line in file.with_name("test.jsonl").read_text(encoding="utf-8").splitlines():
        dialogue = json.loads(line)
        found = similar.find(dialogue["turns"][0]["text"])
        hits.append(any(names[entries.index(entry)] in dialogue["knowledge"] for entry in found))
    assert sum(hits) / len(hits) > 0.75  # by chance about 0.07
