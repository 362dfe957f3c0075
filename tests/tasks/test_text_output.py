"""The output kind of texts: what is learnt, what is seen, and what is written."""

from typing import Any

import pytest
import torch
from tiny_writing import WINDOW, byte_tokenizer, tiny_network
from transformers import PreTrainedModel

from rag_lightning.data.records import Record
from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.render import Segment, render_plain
from rag_lightning.encoding.running import RunningWords
from rag_lightning.errors import UserError
from rag_lightning.generation.generate import generate
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.tasks.outputs.text import equip, text_output
from rag_lightning.tasks.task import EncodingContext, OutputKind
from rag_lightning.tasks.writing import WritingOptions

RECORDS: list[Record] = [
    {"text": "Dinner is almost ready.", "target": "Das Abendessen\nist fast fertig."},
    {"text": "No.", "target": ["Nein.", "Nee."]},
    {"text": "Could you set the table and light the candles?", "target": "Könntest du den Tisch decken?"},
    {"text": "Nobody has translated this."},
]
CAUSAL = ["gpt2", "llama"]
SEQ2SEQ = ["t5", "bart", "marian", "mt5"]
OPTIONS = GenerationOptions(max_new_tokens=6)


def _context(model_type: str, *, window: int = WINDOW, chat: Any = "auto", **more: Any) -> EncodingContext:
    words = RunningWords(byte_tokenizer(model_type, chat=more.pop("template", False)), window)
    settings: dict[str, Any] = {"render": render_plain, "generation": OPTIONS, **more}
    return EncodingContext(words, (), WritingOptions(name="writing", chat=chat), 0.25, **settings)


def _network(model_type: str) -> PreTrainedModel:
    return tiny_network(model_type, byte_tokenizer(model_type))


def _batch(kind: OutputKind, context: EncodingContext, records: list[Record]) -> dict[str, torch.Tensor]:
    columns = kind.encode(records, 0, context)
    return pad_columns(columns, {**kind.padding, "input_ids": 0})


@pytest.mark.parametrize("model_type", [*CAUSAL, *SEQ2SEQ])
def test_the_loss_is_that_of_transformers(model_type: str) -> None:
    kind, context, network = text_output(model_type), _context(model_type), _network(model_type)
    batch = _batch(kind, context, RECORDS)
    found = kind.loss(kind.forward(network, batch), batch)
    expected = network(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
    ).loss
    torch.testing.assert_close(found, expected * batch["n_labels"].sum(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("model_type", [*CAUSAL, *SEQ2SEQ])
def test_every_row_is_answered_as_if_it_were_alone(model_type: str) -> None:
    network, context = _network(model_type), _context(model_type)
    kind = equip(text_output(model_type), network, context)

    def answers(groups: list[list[Record]]) -> list[dict[str, Any]]:
        found = []
        for group in groups:
            batch = _batch(kind, context, group)
            with torch.inference_mode():
                found += kind.assemble(group, [kind.decode(kind.forward(network, batch), batch)], ())
        return found

    together, alone = answers([RECORDS]), answers([[record] for record in RECORDS])
    for one, other in zip(together, alone, strict=True):
        assert one["log_likelihood"] == pytest.approx(other["log_likelihood"], abs=1e-3)
        assert {**one, "log_likelihood": 0} == {**other, "log_likelihood": 0}
    assert model_type == "bart" or len({each["text"] for each in together}) > 1  # a tiny one hardly looks at its source
    assert together[3]["n_tokens"] == 0 and together[3]["log_likelihood"] == 0
    words = context.words
    source = [*words.prefix, *words.ids(RECORDS[0]["text"])]  # type: ignore[attr-defined]
    prompt = [*source, *words.suffix] if model_type in SEQ2SEQ else [*source, *words.ids("\n")]  # type: ignore
    (written,) = generate(network, words.tokenizer, [prompt], OPTIONS, tokens_per_batch=500)
    assert together[0]["text"] == written.text.strip()


def test_the_likelihood_is_that_of_the_first_reference() -> None:
    network, context = _network("llama"), _context("llama")
    kind = equip(text_output("llama"), network, context)
    batch = _batch(kind, context, RECORDS[:2])
    with torch.inference_mode():
        losses = kind.forward(network, batch)
        decoded = kind.decode(losses, batch)
        logits = network(input_ids=batch["input_ids"][1:], attention_mask=batch["attention_mask"][1:]).logits
    assert sum(decoded["log_likelihood"]) == pytest.approx(-float(losses.sum()), rel=1e-5)
    wanted = [*context.words.ids("Nein."), 2]  # type: ignore[attr-defined]
    start = int(batch["prompt"][1]) - 1
    each = torch.log_softmax(logits[0, start : start + len(wanted)], dim=-1)[range(len(wanted)), wanted]
    assert decoded["log_likelihood"][1] == pytest.approx(float(each.sum()), rel=1e-4)
    assert list(decoded["n_tokens"]) == [int(n) for n in batch["n_labels"]]


def test_a_causal_row_is_prompt_line_end_text_and_end() -> None:
    context = _context("llama")
    columns = text_output("llama").encode(RECORDS[:1], 7, context)
    decode = context.words.tokenizer.decode
    assert decode(columns["input_ids"][0]) == (
        "<s>Dinner is almost ready.\nDas Abendessen\nist fast fertig.</s>"  # its own line end is kept
    )
    learnt = [token for token in columns["labels"][0] if token != -100]
    assert decode(learnt) == "Das Abendessen\nist fast fertig.</s>"
    assert columns["prompt"][0] == columns["labels"][0].count(-100) and columns["example"] == [7]
    assert columns["n_labels"] == [len(learnt)] and columns["cut"] == [0]


def test_an_encoder_decoder_reads_and_writes_apart() -> None:
    context = _context("bart")
    columns = text_output("bart").encode(RECORDS[:2], 0, context)
    decode = context.words.tokenizer.decode
    assert decode(columns["input_ids"][1]) == "<s>No.</s>" and decode(columns["labels"][1]) == "<s>Nein.</s>"
    sizes = [len(row) + len(label) for row, label in zip(columns["input_ids"], columns["labels"], strict=True)]
    assert columns["cost"] == sizes


def test_what_looks_like_the_end_of_a_text_is_text() -> None:
    context = _context("gpt2")
    columns = text_output("gpt2").encode([{"text": "a </s> b", "target": "</s>"}], 0, context)
    assert columns["input_ids"][0].count(2) == 1


def _template(record: Record) -> list[Segment]:
    added = [Segment(words, "context", rank=3) for words in record.get("added", [])]
    return [Segment(("Read",)), *added, Segment(record["text"].split(), "text"), Segment((":",), joined=True)]


@pytest.mark.parametrize("chat", [True, False])
def test_a_long_input_is_cut_at_the_data_and_leaves_room_to_write(chat: bool) -> None:
    context = _context("gpt2", window=60, template=chat, render=_template)
    records = [
        {"text": "word " * 200, "added": [["many", "words", "of", "context", "that", "may", "go"]], "target": "Kurz."},
        {"text": "word", "target": "Kurz."},
    ]
    columns = text_output("gpt2").encode(records, 0, context)
    prompts = [ids[:length] for ids, length in zip(columns["input_ids"], columns["prompt"], strict=True)]
    shown = context.words.tokenizer.decode(prompts[0])
    assert len(prompts[0]) == 60 - OPTIONS.max_new_tokens
    assert "Read word" in shown and "context" not in shown  # what is added makes room first
    assert shown.endswith(":<|im_end|>\n<|im_start|>assistant\n" if chat else ":\n")
    whole, one = (len(context.words.ids(" word" * n)) for n in (200, 1))  # type: ignore[attr-defined]
    assert columns["cut"] == [whole - one - (len(prompts[0]) - len(prompts[1])), 0]


def test_a_long_text_to_write_is_learnt_without_its_end() -> None:
    context = _context("gpt2", window=40)
    columns = text_output("gpt2").encode([{"text": "a", "target": "wort " * 200}], 0, context)
    assert len(columns["input_ids"][0]) == 40 and 2 not in columns["input_ids"][0]
    assert columns["target_cut"][0] > 100


def test_no_room_is_told() -> None:
    context = _context("gpt2", window=10)
    with pytest.raises(UserError, match=r"generation\.max_new_tokens: max_new_tokens=6 leaves 4 of the window's 10"):
        text_output("gpt2").encode(RECORDS, 0, context)
    with pytest.raises(UserError, match=r"model\.max_length: the chat template takes"):
        text_output("gpt2").encode(RECORDS, 0, _context("gpt2", window=24, template=True))


TURNS = [{"role": "user", "text": "Hello there."}, {"role": "assistant", "text": "Good morning to you."}]


def test_earlier_turns_stand_before_the_prompt_and_the_first_of_them_make_room() -> None:
    record = {"text": "Is it open?", "turns": [{"role": "system", "text": "Be brief."}, *TURNS], "target": "Ja."}

    def shown(window: int) -> tuple[str, int]:
        context = _context("gpt2", window=window, template=True)
        columns = text_output("gpt2").encode([record], 0, context)
        return context.words.tokenizer.decode(columns["input_ids"][0][: columns["prompt"][0]]), columns["cut"][0]

    whole, cut = shown(WINDOW)
    assert whole.count("<|im_start|>") == 5 and cut == 0
    assert whole.index("Be brief.") < whole.index("Hello there.") < whole.index("Good morning") < whole.index("Is it")
    less, lost = shown(62)
    assert "Hello" not in less and "Be brief." in less and "Is it open?" in less and lost > 0


@pytest.mark.parametrize(("template", "chat", "expected"), [(True, "auto", 2), (True, False, 0), (False, "auto", 0)])
def test_the_chat_template_is_used_where_there_is_one(template: bool, chat: Any, expected: int) -> None:
    context = _context("gpt2", template=template, chat=chat)
    columns = text_output("gpt2").encode(RECORDS[:1], 0, context)
    opened = context.words.tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert columns["input_ids"][0].count(opened) == expected


def test_a_chat_template_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match=r"task\.chat: the tokenizer of this backbone has no chat template"):
        text_output("gpt2").encode(RECORDS, 0, _context("gpt2", chat=True))


def test_a_tokenizer_without_an_end_is_told() -> None:
    context = _context("gpt2")
    context.words.tokenizer.eos_token = None
    with pytest.raises(UserError, match="could never stop"):
        text_output("gpt2").encode(RECORDS, 0, context)


def test_a_missing_answer_is_a_defect() -> None:
    with pytest.raises(RuntimeError, match="1 examples were not answered"):
        text_output("gpt2").assemble(RECORDS[:1], [], ())
