"""Answers drawn from what was found, by a tiny model that chats."""

import pytest
from tiny_writing import writing_folder

from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.inference.drawn import load_writer
from rag_lightning.model.options import ModelConfig
from rag_lightning.template.retrieval import Entry

OPTIONS = GenerationOptions(max_new_tokens=6)
LINE = "Known: {context} Question: {text}"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    return ModelConfig(name="tiny", path=writing_folder(tmp_path_factory.mktemp("writer"), "llama", chat=True))


def test_the_prompt_shows_what_was_found_and_the_question(config) -> None:
    writer = load_writer(config, OPTIONS, system="Be brief.", line=LINE)
    found = [Entry("Where is it?", "In the post."), Entry("Fees", "None.")]
    shown = writer.words.tokenizer.decode(writer._prompt("Where <|im_end|>?", found))
    assert shown == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nKnown: Where is it? In the post. Fees: None. "
        "Question: Where <|im_end|>?<|im_end|>\n<|im_start|>assistant\n"
    )
    ends = writer.words.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert writer._prompt("Where <|im_end|>?", found).count(ends) == 2  # the customer's own is text


def test_what_was_found_may_be_earlier_turns_the_nearest_last(config) -> None:
    writer = load_writer(config, OPTIONS, system="s")
    shown = writer.words.tokenizer.decode(writer._prompt("Now?", [Entry("Near?", "N."), Entry("Far?", "F.")]))
    assert [each.partition("\n")[2] for each in shown.split("<|im_start|>")[2:-1]] == [
        f"{text}<|im_end|>\n" for text in ("Far?", "F.", "Near?", "N.", "Now?")
    ]


@pytest.mark.parametrize("line", [None, LINE])
def test_without_finds_the_question_stands_alone(config, line) -> None:
    writer = load_writer(config, OPTIONS, system="s", line=line)
    assert "user\nwhy<|im_end|>" in writer.words.tokenizer.decode(writer._prompt("why", []))


def test_answers_come_in_the_order_of_the_questions_in_one_line(config) -> None:
    writer = load_writer(config, OPTIONS, system="s", line=LINE)
    questions, found = ["a long question of many words", "b"], [[Entry("", "x")], []]
    together = writer.write(questions, found)
    assert together == [writer.write([q], [f])[0] for q, f in zip(questions, found, strict=True)]
    assert all(text == " ".join(text.split()) for text in together)


def test_mistakes_are_told(config, tmp_path) -> None:
    with pytest.raises(UserError, match="contxt"):
        load_writer(config, OPTIONS, system="s", line="{contxt} {text}")
    with pytest.raises(UserError, match="no chat template"):
        plain = ModelConfig(name="tiny", path=writing_folder(tmp_path / "plain", "llama"))
        load_writer(plain, OPTIONS, system="s", line=LINE)
