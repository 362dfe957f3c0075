"""The task of dialogue without a network: examples, scores, and how earlier turns reach the model."""

from pathlib import Path
from typing import Any

import pytest
from tiny_writing import byte_tokenizer

from rag_lightning.config.compose import compose
from rag_lightning.config.validate import to_plain
from rag_lightning.data.load import load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.encoding.render import Segment, render_plain
from rag_lightning.encoding.running import RunningWords
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.tasks.dialogue import (
    TASK,
    DialogueOptions,
    SelectionOptions,
    evaluate,
    fit,
    prepare,
    read_fields,
    read_text,
)
from rag_lightning.tasks.task import EncodingContext

OPTIONS = DialogueOptions()


def dialogue(*texts: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": ("user", "assistant")[i % 2], "text": text} for i, text in enumerate(texts)]
    return {"id": texts[0], "source": "a.jsonl:1", "turns": turns, **more}


def splits() -> dict[str, Any]:
    return {
        "train": [dialogue("Open?", "Yes.", "Until?", "Six."), dialogue("Well?", "yes.")],
        "validation": [dialogue("Parking?", "No.")],
        "test": [dialogue("Rent?", "Nine euros."), dialogue("Repairs?", "In the yard."), dialogue("Hello?")],
    }


# --- examples ---------------------------------------------------------------------------------------------------


def test_the_test_split_has_candidates_and_judged_examples_the_baseline() -> None:
    prepared = prepare(splits(), OPTIONS)
    sizes = {name: len(records) for name, records in prepared.splits.items()}
    assert sizes == {"train": 3, "validation": 1, "test": 2} and prepared.labels == ()
    assert prepared.splits["test"][0]["candidates"] == ["Nine euros.", "In the yard."]
    for name, records in prepared.splits.items():
        assert all(("candidates" in record) == (name == "test") for record in records)
        assert all(record.get("most_frequent") == (None if name == "train" else "Yes.") for record in records)
    assert prepared.notes == ["1 of 3 dialogues of test have no reply and are left out."]


def test_a_split_that_is_judged_alone_has_candidates_also_if_it_is_validation() -> None:
    (records,) = prepare({"validation": splits()["train"]}, OPTIONS).splits.values()
    assert all("candidates" in record and "most_frequent" not in record for record in records)
    for selection in (SelectionOptions(among=0), SelectionOptions(among=1)):
        options = DialogueOptions(selection=selection)
        assert not any("candidates" in record for record in prepare(splits(), options).splits["test"])


def test_wrong_replies_of_the_data() -> None:
    options = DialogueOptions(selection=SelectionOptions(wrong="negatives", among=3))
    records = [dialogue("Rent?", target=["Nine.", "Ten."], negatives=["Blue.", "Red.", "Green."])]
    (record,) = prepare({"test": records}, options).splits["test"]
    assert record["candidates"] == ["Nine.", "Blue.", "Red."]


def test_a_split_without_any_reply_is_refused() -> None:
    with pytest.raises(UserError, match=r"a\.jsonl:1: no dialogue of train has a turn of the assistant"):
        prepare({"train": [dialogue("Hello?")]}, OPTIONS)


def test_texts_alone_are_first_turns() -> None:
    (record,) = prepare({"unlabelled": [{"id": "1", "source": "a", "text": "Open?"}]}, OPTIONS).splits["unlabelled"]
    assert record == {"id": "1", "source": "a", "text": "Open?", "turns": [], "history": ""}


# --- input of prediction ----------------------------------------------------------------------------------------


def test_lines_and_objects_are_read() -> None:
    options = DialogueOptions(system="Be brief.", most_turns=1)
    system = {"role": "system", "text": "Be brief."}
    assert read_text("Open?", options=options)["turns"] == [system]
    given = {"turns": ["Open?", "Yes.", "Until?"]}
    found = read_fields(given, "a:1", options=options)
    assert found["text"] == "Until?" and found["turns"] == [system, {"role": "assistant", "text": "Yes."}]
    assert read_fields({"turns": ["Welcome!", "Open?"]}, "a:1", options=OPTIONS)["text"] == "Open?"
    assert read_fields({"text": "Open?"}, "a:1", options=OPTIONS)["text"] == "Open?"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"question": "Open?"}, r"a:1: a dialogue needs turns or a text"),
        ({"turns": dialogue("Open?", "Yes.")["turns"]}, r"a:1: the last turn is the assistant's"),
        ({"turns": []}, r"a:1: .*turn"),
        ({"turns": [{"role": "clerk", "text": "a"}]}, r"a:1: turn 1 has the role 'clerk'"),
        ({"turns": 3}, r"a:1: .*turns"),
    ],
)
def test_what_cannot_be_answered_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_fields(given, "a:1", options=OPTIONS)


# --- how earlier turns reach the model --------------------------------------------------------------------------

ASKED = {**dialogue("x"), **read_fields({"turns": ["Open?", "Yes.", "Until?"]}, "", options=OPTIONS), "target": "Six."}


def prompt(model_type: str, *, with_template: bool = False, render: Any = render_plain, **options: Any) -> str:
    """What the network reads before the reply."""
    words = RunningWords(byte_tokenizer(model_type, chat=with_template), 128)
    chosen = DialogueOptions(**options)
    context = EncodingContext(words, (), chosen, 0.0, render, generation=GenerationOptions(max_new_tokens=8))
    columns = fit(TASK, chosen, model_type).output.encode([ASKED], 0, context)
    return str(words.tokenizer.decode(columns["input_ids"][0][: columns["prompt"][0]]))


LINES = "User: Open? Assistant: Yes. User: Until? Assistant:"


@pytest.mark.parametrize("model_type", ["gpt2", "t5"])
def test_without_a_chat_template_the_turns_become_one_line(model_type: str) -> None:
    assert LINES in prompt(model_type)


def test_with_a_chat_template_the_turns_are_messages() -> None:
    text = prompt("gpt2", with_template=True)
    assert "User:" not in text
    assert "<|im_start|>user\nOpen?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>" in text
    assert LINES in prompt("gpt2", with_template=True, chat=False)


def test_a_template_of_the_users_is_left_as_it_is() -> None:
    text = prompt("gpt2", render=lambda record: [Segment(("Q:", *record["text"].split()), "text")])
    assert text.startswith("Q: Until?") and "Open?" not in text


# --- scores -----------------------------------------------------------------------------------------------------


def prediction(text: str, candidates: list[float] | None = None, likelihood: float = -4.0) -> dict[str, Any]:
    return {
        "text": text, "ended": "eos", "cut": 0, "target_cut": 0, "log_likelihood": likelihood, "n_tokens": 2,
        "candidates": candidates or [],
    }  # fmt: skip


JUDGED: list[dict[str, Any]] = [
    {"id": "1", "text": "Open?", "history": "", "target": "Yes, we are open until six.", "most_frequent": "No."},
    {"id": "2", "text": "Why?", "history": "User: a Assistant: b", "target": ["No.", "It is our day of rest."],
     "most_frequent": "No.", "candidates": ["No.", "Yes, we are open until six."]},
]  # fmt: skip


def test_scores_of_a_perfect_model_and_the_baseline_beside() -> None:
    predictions = [prediction("Yes, we are open until six."), prediction("It is our day of rest.", [-1.0, -2.0])]
    found = evaluate("test", JUDGED, predictions, ())
    assert found.headline == "perplexity" and found.metrics["perplexity"] == pytest.approx(7.389, abs=1e-3)
    assert found.metrics["bleu"] == pytest.approx(100.0) and found.metrics["distinct-1"] > 0.8
    assert found.metrics["recall@1"] == found.metrics["mrr"] == 1.0
    replies, selection = found.tables[:2]
    assert [row[0] for row in replies.rows] == ["model", "most frequent: No."]
    assert float(str(replies.rows[1][1])) < 100 and selection.rows[1] == ("by chance", 0.5, 0.75)
    assert found.mistakes == []
    assert found.predictions[1]["text"] == "User: a Assistant: b User: Why?"
    assert found.predictions[1]["chosen"] == "No." and "chosen" not in found.predictions[0]


def test_a_wrong_choice_and_a_tie() -> None:
    wrong = evaluate("test", JUDGED, [prediction("a"), prediction("b", [-2.0, -1.0])], ())
    assert (wrong.metrics["recall@1"], wrong.metrics["mrr"]) == (0.0, 0.5)
    assert wrong.predictions[1]["chosen"] == "Yes, we are open until six."
    assert evaluate("test", JUDGED, [prediction("a"), prediction("b", [-1.0, -1.0])], ()).metrics["recall@1"] == 0.5
    assert {mistake["id"] for mistake in wrong.mistakes} == {"1", "2"}


def test_without_candidates_and_training_data_only_the_models_scores_are_shown() -> None:
    bare = [{key: value for key, value in record.items() if key != "most_frequent"} for record in JUDGED]
    found = evaluate("test", bare, [prediction("a"), prediction("b")], ())
    assert [table.title for table in found.tables] == ["Replies", "Samples"]
    assert len(found.tables[0].rows) == 1 and "recall@1" not in found.metrics


def test_chinese_is_counted_by_character() -> None:
    records = [{"id": "1", "text": "几点关门？", "history": "", "target": "我们六点关门。"}]
    assert evaluate("test", records, [prediction("我们六点开门。")], ()).metrics["bleu"] > 20


def test_real_dialogues_with_several_replies(shared: Path) -> None:
    path = f"data.path={shared}/data/dailydialog_plusplus"
    config = to_plain(compose("train", ["task=dialogue", "data=dailydialog_plusplus", path]))
    splits = load_splits(DataConfig(**config["data"]), 1, TASK.reading).splits
    for wrong in ("split", "negatives", "hard_negatives"):
        options = DialogueOptions(selection=SelectionOptions(wrong=wrong, among=6))
        test = prepare(splits, options).splits["test"]
        assert len(test) == 1142 and all(len(record["target"]) == 5 for record in test)
        chosen = [record for record in test if "candidates" in record]
        sizes = {len(record["candidates"]) for record in chosen}
        assert len(chosen) == 50 and max(sizes) == 6
        assert sizes == {6} or wrong != "split", "a few contexts list a wrong reply twice"
        assert not any(set(record["candidates"][1:]) & set(record["target"]) for record in chosen)
        # Whoever spoke first, the reply is the assistant's.
        assert all(record["turns"] == [] or record["turns"][-1]["role"] == "assistant" for record in test)
