"""What translations and summaries are scored by, held to and shown beside."""

from pathlib import Path
from typing import Any

import pytest

from rag_lightning.errors import UserError
from rag_lightning.tasks import summarization, translation
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.tasks.glossary import Glossary, obeys, read_glossary
from rag_lightning.tasks.summarization import SummarizationOptions
from rag_lightning.tasks.translation import TranslationOptions
from rag_lightning.tasks.writing import tokenizer_for

TERMS = {
    "torque wrench": "Drehmomentschlüssel",
    "wrench": "Schlüssel",
    "Track Changes": "Änderungen",
    "gasket": "Dichtung",
}


def _predictions(*texts: str, **more: Any) -> list[dict[str, Any]]:
    plain = {"ended": "eos", "cut": 0, "target_cut": 0, "log_likelihood": -2.0, "n_tokens": 2}
    return [{**plain, "text": text, **more} for text in texts]


def _translated(records: list[dict[str, Any]], *texts: str, **options: Any) -> Evaluation:
    settings = TranslationOptions(**options)
    prepared = translation.prepare({"test": records}, settings).splits["test"]
    numbered = [{"id": str(number), **record} for number, record in enumerate(prepared)]
    return translation.evaluate("test", numbered, _predictions(*texts), (), settings)


def test_translations_stand_beside_a_copy_of_the_source() -> None:
    records = [
        {"text": "Where is Berlin?", "target": "Wo liegt Berlin?"},
        {"text": "Hello.", "target": ["Hallo.", "Hi."]},
    ]
    found = _translated(records, "Wo liegt Berlin?", "Hi.")
    assert found.headline == "chrf" and found.metrics["chrf"] == pytest.approx(100)
    assert found.metrics["perplexity"] == pytest.approx(2.718, abs=1e-3)
    title, rows = found.tables[0].title, {row[0]: row[1:] for row in found.tables[0].rows}
    assert title == "Scores" and rows["this model"][0] == "100.0" and 20 < float(rows["copy of the source"][0]) < 70
    assert "tok:13a" in found.tables[0].note and "chrF2" in found.tables[0].note
    assert found.mistakes == [] and found.predictions[1]["gold"] == ["Hallo.", "Hi."]


def test_chinese_is_counted_by_characters() -> None:
    records = [{"text": "I am glad to see you today.", "target": "今天很高兴见到你。"}] * 2
    found = _translated(records, "今天很高兴见到你。", "今天很高兴见到他。")
    assert "tok:zh" in found.tables[0].note and 60 < found.metrics["bleu"] < 100
    assert [row["predicted"] for row in found.mistakes] == ["今天很高兴见到他。"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Ein Satz."], "13a"),
        (["我在Berlin。"], "zh"),
        (["これはペンです"], "char"),
        (["ฉันรักคุณ"], "char"),
        (["12 …"], "13a"),
    ],
)
def test_the_tokenizer_follows_the_script(texts: list[str], expected: str) -> None:
    assert tokenizer_for("auto", [texts]) == expected and tokenizer_for("intl", [texts]) == "intl"


def test_terms_are_found_as_rules_find_them() -> None:
    glossary = Glossary(TERMS)
    assert glossary.find("Two Torque wrenches, and a GASKET.") == [
        ("torque wrench", "Drehmomentschlüssel"), ("gasket", "Dichtung"),
    ]  # fmt: skip
    assert glossary.find("She tracks changes with Track Changes; the wrenched arm.") == [
        ("Track Changes", "Änderungen")
    ]
    assert glossary.find("A wrench for the torque wrench.") == [
        ("wrench", "Schlüssel"), ("torque wrench", "Drehmomentschlüssel"),
    ]  # fmt: skip
    assert Glossary({"北京": "Peking"}).find("我在北京。") == [("北京", "Peking")]


@pytest.mark.parametrize(
    ("text", "obeyed"),
    [("Die Dichtungen fehlen.", True), ("DICHTUNG!", True), ("Die Gummidichtung fehlt.", False), ("Der Ring.", False)],
)
def test_a_prescribed_word_may_have_an_ending_but_begins_a_word(text: str, obeyed: bool) -> None:
    assert obeys(text, "Dichtung") is obeyed


def test_whether_the_glossary_was_obeyed_is_counted_in_both_translation_and_references() -> None:
    records = [
        {"text": "The gasket leaks.", "target": "Die Dichtung ist undicht."},
        {"text": "A gasket and a torque wrench.", "target": "Eine Dichtung und ein Werkzeug."},
        {"text": "Nothing.", "target": "Nichts."},
    ]
    written = ("Die Dichtung leckt.", "Ein Ring und ein Drehmomentschlüssel.", "Nichts.")
    found = _translated(records, *written, glossary=TERMS)
    assert found.metrics["glossary/obeyed"] == pytest.approx(2 / 3)
    assert found.metrics["glossary/in_references"] == pytest.approx(2 / 3)
    table = next(table for table in found.tables if table.title == "Prescribed terms")
    assert [row[:2] for row in table.rows] == [("this model", 3), ("references", 3)]
    assert "glossary/obeyed" not in _translated(records, *written).metrics


def test_terms_go_into_the_prompt_and_a_records_own_fields_stay() -> None:
    fields = translation.slots_of(TranslationOptions(glossary=TERMS, glossary_intro="Benutze"))
    record = fields({"text": "The gasket."})
    assert record["glossary"] == "Benutze gasket = Dichtung." and record["target_language"] == "German"
    assert fields({"text": "Nothing."})["glossary"] == ""
    given = [{"text": "No.", "target": "Non.", "target_language": "French"}]
    assert translation.prepare({"train": given}, TranslationOptions()).splits["train"][0]["target_language"] == "French"


def test_the_users_system_message_goes_before_the_prompt() -> None:
    options = SummarizationOptions(system="Be brief.")
    assert summarization.slot_fields({"text": "a"}, options)["turns"] == [{"role": "system", "text": "Be brief."}]
    assert "turns" not in translation.slots_of(TranslationOptions())({"text": "a"})


def test_the_glossary_of_the_sample_holds_in_its_references() -> None:
    terms = TranslationOptions(glossary="sample:translation/glossary.csv").glossary  # type: ignore[arg-type]
    assert terms is not None and len(terms) == 40 and terms["gasket"] == "Dichtung"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("source,target\na,\n", r"words\.csv:2: a term or its translation is empty"),
        ("source,target\na,b\na,c\n", r"words\.csv:3: the term 'a' has two translations"),
        ("from,to\na,b\n", r"words\.csv:1: there is no column 'source'"),
    ],
)
def test_a_glossary_that_is_wrong_is_told_by_its_line(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=told) as error:
        read_glossary(str(file))
    assert "columns source and target" in str(error.value)
    with pytest.raises(UserError, match="does not exist"):
        TranslationOptions(glossary=str(tmp_path / "no.csv"))  # type: ignore[arg-type]


def test_summaries_stand_beside_the_first_sentences() -> None:
    records = [
        {"id": "a", "text": "The boiler broke. The school is shut.", "target": ["The school is shut.", "Closed."]},
        {"id": "b", "text": "A parrot spoke. It rained.", "target": "A parrot spoke."},
    ]
    options = SummarizationOptions(lead=1)
    predictions = _predictions("Closed.", "A parrot spoke.")
    found = summarization.evaluate("test", records, predictions, (), options)
    assert found.headline == "rougeL" and found.metrics["rougeL"] == pytest.approx(1.0)
    assert found.metrics["lead/rouge2"] == pytest.approx((0 + 1) / 2)
    assert [row[0] for row in found.tables[0].rows] == ["this model", "first sentence"]
    two = summarization.evaluate("test", records, predictions, (), SummarizationOptions(lead=2))
    assert two.tables[0].rows[1][0] == "first 2 sentences" and two.metrics["lead/rouge1"] > found.metrics["lead/rouge1"]


def test_chinese_summaries_are_scored_by_characters() -> None:
    records = [{"id": "a", "text": "学校停课。锅炉坏了。", "target": "学校停课。"}]
    found = summarization.evaluate("test", records, _predictions("学校停了课。"), (), SummarizationOptions())
    assert 0.5 < found.metrics["rougeL"] < 1 and "tok:zh" in found.tables[0].note
    assert found.metrics["lead/rougeL"] == pytest.approx(1.0)


def test_what_a_reader_should_know_is_noted() -> None:
    records = [{"id": str(n), "text": "A. B.", "target": "A."} for n in range(3)]
    predictions = _predictions("A.", "B", "A.")
    predictions[1] |= {"ended": "length", "target_cut": 4}
    notes = summarization.evaluate("test", records, predictions, (), SummarizationOptions()).notes
    assert notes == [
        "1 of 3 texts written for test did not end within generation.max_new_tokens.",
        "1 of 3 reference texts of test do not fit the window; perplexity sees a part.",
    ]
    several = [{"text": "a", "target": ["b", "c"]}, {"text": "a", "target": "b"}, {"text": "a", "target": ["b"]}]
    (note,) = translation.prepare({"train": several}, TranslationOptions()).notes
    assert note.startswith("1 training example has several references")
    assert translation.prepare({"train": several[1:]}, TranslationOptions()).notes == []


def test_prediction_tells_what_is_missing() -> None:
    (prediction,) = _predictions("Hallo", ended="length", cut=3)
    assert translation.TASK.answer({"text": "Hello"}, prediction) == {
        "text": "Hello", "translation": "Hallo", "unfinished": True, "cut": 3,
    }  # fmt: skip
    assert summarization.TASK.answer({"text": "Hello"}, _predictions("Hi")[0]) == {"text": "Hello", "summary": "Hi"}
