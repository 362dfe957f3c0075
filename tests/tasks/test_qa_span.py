"""Answers by characters to sub-tokens and back, windows, loss, and the best answers over all windows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_families import tiny_config
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering

from rag_lightning.data.records import Record
from rag_lightning.decoding.answers import assemble
from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.render import Segment, example_segments, render_plain
from rag_lightning.encoding.rows.spans import IGNORED, NO_ANSWER, TEXT, encode
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError
from rag_lightning.model.interface import INTERFACES, supports
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.tasks.outputs.span import SPAN, decode, forward, loss
from rag_lightning.tasks.qa import QaOptions
from rag_lightning.tasks.task import EncodingContext

REAL = ("bert-base-cased-tokenizer", "bert-tiny-uncased-splade", "gpt2-tokenizer", "t5-small-tokenizer")
PIECES = (
    "Ada",
    "1990s",
    "(the",
    "end).",
    "naïve",
    "e\u0301a",
    "漢字です。",
    "Straße",
    "🙂",
    "\u200b",
    "don't",
    "x" * 40,
)
WORDS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=30)
GAPS = st.sampled_from((" ", "  ", "\n", "\u3000", "\u2028", "\x1f"))


def words_of(tokenizer_folder: Path, max_length: int = 40) -> WordEncoder:
    return WordEncoder(load_tokenizer(tokenizer_folder), max_length)


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return words_of(tiny_model)


def context(words: WordEncoder, **changes: Any) -> EncodingContext:
    settings_ = {"labels": (), "options": QaOptions(), "overlap": 0.25, "render": render_plain, **changes}
    return EncodingContext(words, **settings_)


def question(text: str, *answers: tuple[str, int], asked: str = "Who was it?") -> Record:
    return {
        "id": "q", "question": asked, "text": text,
        "answers": [{"text": answer, "answer_start": start} for answer, start in answers],
    }  # fmt: skip


def batch_of(columns: dict[str, list[Any]]) -> dict[str, Tensor]:
    return pad_columns(columns, {**SPAN.padding, "input_ids": 0})


def oracle(batch: dict[str, Tensor]) -> Tensor:
    """Logits that are sure of the labels."""
    rows, tokens = batch["input_ids"].shape
    logits = torch.zeros(rows, tokens, 2)
    return logits.scatter(1, batch["labels"].unsqueeze(1), 20.0)


def answered(records: list[Record], context: EncodingContext, **options: Any) -> list[dict[str, Any]]:
    batch = batch_of(encode(records, 0, context))
    return assemble(records, [decode(oracle(batch), batch, **options)], ())


def check_round_trip(words: WordEncoder, pieces: list[str], gaps: list[str], cut: tuple[float, float]) -> None:
    text = "".join(part for pair in zip(pieces, gaps, strict=False) for part in pair)
    places = [i for i, character in enumerate(text) if not character.isspace()]
    first, last = sorted(places[min(len(places) - 1, int(share * len(places)))] for share in cut)
    record = question(text, (text[first : last + 1], first))
    columns = encode([record], 0, context(words, overlap=0.5))
    shown = 0
    for row, ids in enumerate(columns["input_ids"]):
        assert len(ids) <= words.max_length
        begins, ends, start = columns["begins"][row], columns["ends"][row], columns["text_start"][row]
        assert columns["text_end"][row] - start == len(begins) == len(ends)
        assert begins == sorted(begins) and ends == sorted(ends)
        labels = columns["labels"][row]
        if labels == [NO_ANSWER, NO_ANSWER]:
            continue
        shown += 1
        a, b = (label - start for label in labels)
        assert begins[a] <= first and ends[b] > last, "the answer is not covered"
        assert a == b or (ends[a] > first and begins[b] <= last), "a shorter stretch would do"
    assert shown or last - first > 5


@settings(deadline=None, max_examples=60)
@given(WORDS, st.lists(GAPS, min_size=30, max_size=30), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_an_answer_is_the_shortest_stretch_of_subtokens_that_covers_it(
    words: WordEncoder, pieces: list[str], gaps: list[str], cut: tuple[float, float]
) -> None:
    check_round_trip(words, pieces, gaps, cut)


@pytest.mark.parametrize("name", REAL)
def test_so_it_is_with_real_tokenizers(name: str, shared: Path) -> None:
    words = words_of(shared / "models" / name)

    @settings(deadline=None, max_examples=40)
    @given(WORDS, st.lists(GAPS, min_size=30, max_size=30), st.tuples(st.floats(0, 1), st.floats(0, 1)))
    def check(pieces: list[str], gaps: list[str], cut: tuple[float, float]) -> None:
        check_round_trip(words, pieces, gaps, cut)

    check()


@settings(deadline=None, max_examples=100)
@given(st.text(min_size=1, max_size=30).filter(lambda word: not any(map(str.isspace, word))))
def test_the_subtokens_of_a_word_cover_it_without_gaps(words: WordEncoder, word: str) -> None:
    places = words.places([["He", word]])[0]
    assert [len(each) for each in places] == [len(each) for each in words.encode([["He", word]])[0]]
    assert places[1][0][0] == 0 and places[1][-1][1] == len(word)
    assert all(before[1] >= after[0] for before, after in zip(places[1], places[1][1:], strict=False))


def test_an_answer_inside_a_word_is_exact_where_the_tokenizer_cuts_there(shared: Path) -> None:
    words = words_of(shared / "models" / "gpt2-tokenizer")
    record = question("Built in the (1990s), it stands.", ("1990", 14))
    found = answered([record], context(words))[0]
    assert (found["answer"], found["start"], found["end"]) == ("1990", 14, 18)


def test_chinese_answers_are_exact_to_the_character(shared: Path) -> None:
    words = words_of(shared / "models" / "bert-base-cased-tokenizer", max_length=24)
    text = "北京大学创办于1898年，初名京师大学堂，是中国第一所国立综合性大学，也是当时中国最高教育行政机关。" * 2
    for answer in ("1898年", "京师大学堂", "机关", "北"):
        record = question(text, (answer, text.index(answer)), asked="北大何时创办？")
        columns = encode([record], 0, context(words))
        assert len(columns["input_ids"]) > 3, "the text takes several windows"
        found = answered([record], context(words))[0]
        assert (found["answer"], found["start"]) == (answer, text.index(answer))


def test_every_answer_of_the_sample_is_found_as_it_stands(words: WordEncoder) -> None:
    from data_yaml import QUESTIONS, composed

    from rag_lightning.data.load import load_splits
    from rag_lightning.data.options import DataConfig
    from rag_lightning.tasks.qa import prepare

    loaded = load_splits(DataConfig(**composed("qa_sample")), 1, QUESTIONS).splits
    records = [r for r in prepare(loaded, QaOptions()).splits["train"] if r["answers"]]
    wide = words_of(Path(words.tokenizer.name_or_path), max_length=600)
    for record, found in zip(records, answered(records, context(wide), longest=300), strict=True):
        assert found["answer"] in [answer["text"] for answer in record["answers"]]
        assert record["text"][found["start"] : found["end"]] == found["answer"]


def test_windows_overlap_and_each_has_the_question(words: WordEncoder) -> None:
    text = " ".join(f"w{i}" for i in range(60))
    columns = encode([question(text, ("w59", text.index("w59")))], 0, context(words))
    assert columns["windows"] == [len(columns["window"])] * len(columns["window"]) and len(columns["window"]) > 3
    asked = columns["input_ids"][0][: columns["text_start"][0]]
    seen: set[int] = set()
    for row, ids in enumerate(columns["input_ids"]):
        assert ids[: columns["text_start"][row]] == asked and ids[-1] == words.suffix[-1]
        characters = set(range(columns["begins"][row][0], columns["ends"][row][-1]))
        assert not row or characters & seen, "neighbours share some text"
        seen |= characters
    assert {i for i in range(len(text)) if text[i] != " "} <= seen
    assert [labels == [0, 0] for labels in columns["labels"]] == [True] * (len(columns["labels"]) - 1) + [False]
    assert columns["n_labels"] == [2] * len(columns["labels"])


def test_an_absurdly_long_question_leaves_half_of_the_window(words: WordEncoder) -> None:
    text = " ".join(f"w{i}" for i in range(60))
    columns = encode([question(text, asked="why " * 200)], 0, context(words))
    sizes = [len(begins) for begins in columns["begins"]]
    assert min(sizes[:-1]) >= words.room // 2 and columns["left_out"][0] > 100
    short = encode([question("He did.", asked="why " * 12)], 0, context(words))
    assert short["left_out"] == [0] and len(short["window"]) == 1


def test_labels_of_questions_without_answer_without_label_and_with_several(words: WordEncoder) -> None:
    bare = {key: value for key, value in question("He lived.").items() if key != "answers"}
    several = question("He or she lived.", ("He", 0), ("she", 6), ("she", 6))
    columns = encode([question("He lived."), bare, several], 5, context(words))
    assert columns["labels"][:2] == [[NO_ANSWER, NO_ANSWER], [IGNORED, IGNORED]]
    assert columns["n_labels"] == [2, 0, 2] and columns["example"] == [5, 6, 7]
    a, b = (label - columns["text_start"][2] for label in columns["labels"][2])
    assert (columns["begins"][2][a], columns["ends"][2][b]) == (6, 9), "most annotators say: she"


def test_a_text_with_many_questions_is_encoded_once(words: WordEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    given_: list[int] = []
    original = WordEncoder.encode

    def counting(self: WordEncoder, texts: Any) -> Any:
        given_.append(sum(texts_ == ["He", "lived."] for texts_ in texts))
        return original(self, texts)

    monkeypatch.setattr(WordEncoder, "encode", counting)
    encode([question("He lived.", asked=f"What {i}?") for i in range(5)], 0, context(words))
    assert given_ == [1]


def test_what_a_template_puts_around_the_text_is_in_every_window(words: WordEncoder) -> None:
    def render(record: Record) -> list[Segment]:
        return [Segment(["Hint", ":"]), Segment(["He"] * 9, "hints", 2), *example_segments(record), Segment(["Answer"])]

    text = " ".join(f"w{i}" for i in range(40))
    record = question(text, ("w7", text.index("w7")))
    columns = encode([record], 0, context(words, render=render))
    assert answered([record], context(words, render=render))[0]["answer"] == "w7"
    before, after = ([token for piece in words.encode([[word]])[0] for token in piece] for word in ("Hint", "Answer"))
    for ids in columns["input_ids"]:
        assert ids[1 : 1 + len(before)] == before and ids[-1 - len(after) : -1] == after


@pytest.mark.parametrize("times", [0, 2])
def test_a_template_shows_the_text_once(words: WordEncoder, times: int) -> None:
    def render(record: Record) -> list[Segment]:
        return [Segment(["Who"], "question"), *[Segment(["He"], TEXT)] * times]

    with pytest.raises(UserError, match=f"must be shown once, not {times} times"):
        encode([question("He")], 0, context(words, render=render))


def test_the_input_is_that_of_transformers_for_a_pair(words: WordEncoder) -> None:
    text = "He lived in the house, and then he left."
    batch = batch_of(encode([question(text), question("He")], 0, context(words)))
    pair = words.tokenizer(["Who was it?"] * 2, [text, "He"], padding=True, return_tensors="pt")
    seen: dict[str, Tensor] = {}

    class Network(nn.Module):
        config = type("Config", (), {"type_vocab_size": 2})

        def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Any:
            seen.update(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            zeros = torch.zeros(input_ids.shape)
            return type("Output", (), {"start_logits": zeros, "end_logits": zeros})

    forward(Network(), batch)
    for name, tensor in seen.items():
        assert torch.equal(tensor, pair[name]), name


@pytest.mark.parametrize("model_type", [each for each in INTERFACES if supports(each, "span")])
def test_every_family_with_a_head_learns(model_type: str, words: WordEncoder) -> None:
    batch = batch_of(encode([question("He lived.", ("He", 0)), question("No")], 0, context(words)))
    batch["input_ids"] %= 120
    network = AutoModelForQuestionAnswering.from_config(tiny_config(model_type))
    logits = forward(network, batch)
    assert logits.shape == (*batch["input_ids"].shape, 2)
    loss(logits, batch).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert decode(logits.detach(), batch)["score"].shape[0] == 2


def test_the_loss_is_the_cross_entropy_over_the_text_and_no_answer(words: WordEncoder) -> None:
    batch = batch_of(encode([question("He lived in London.", ("London", 12)), question("He")], 0, context(words)))
    logits = torch.randn(*batch["input_ids"].shape, 2, requires_grad=True)
    expected = torch.zeros(())
    for row in range(2):
        start, end = int(batch["text_start"][row]), int(batch["text_end"][row])
        places = [NO_ANSWER, *range(start, end)]
        for side in (0, 1):
            target = torch.tensor(places.index(int(batch["labels"][row, side])))
            expected = expected + nn.functional.cross_entropy(logits[row, places, side], target)
    found = loss(logits, batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()
    assert logits.grad is not None and not logits.grad[:, 1 : int(batch["text_start"].min())].any()
    weighted = {**batch, "weight": torch.tensor([0.0, 1.0])}
    nobody = {**batch, "labels": torch.full_like(batch["labels"], IGNORED)}
    assert 0 < loss(logits, weighted).item() < found.item() and loss(logits, nobody).item() == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 12))
def test_the_best_stretches_are_those_of_a_search_through_all(
    words: WordEncoder, seed: int, n_best: int, longest: int
) -> None:
    records = [question("He lived in the old house and left it."), question("It rained."), question("")]
    batch = batch_of(encode(records, 0, context(words)))
    logits = torch.randn(*batch["input_ids"].shape, 2, generator=torch.Generator().manual_seed(seed))
    found = decode(logits, batch, n_best=n_best, longest=longest)
    for row in range(3):
        start, end = int(batch["text_start"][row]), int(batch["text_end"][row])
        places = [NO_ANSWER, *range(start, end)]
        scores = torch.log_softmax(logits[row, places], dim=0)
        assert found["no_answer"][row] == pytest.approx(float(scores[0].sum()), abs=1e-4)
        every = [
            (float(scores[a, 0] + scores[b, 1]), int(batch["begins"][row, a - 1]), int(batch["ends"][row, b - 1]))
            for a in range(1, len(places))
            for b in range(a, min(a + longest, len(places)))
        ]
        best = sorted(every, reverse=True)[:n_best]
        real = np.isfinite(found["score"][row])
        assert real.sum() == len(best)
        assert found["score"][row][real] == pytest.approx([score for score, _, _ in best], abs=1e-4)
        places_found = list(zip(found["begin"][row][real], found["end"][row][real], strict=True))
        assert places_found == [(begin, end_) for _, begin, end_ in best]


def window(number: int, of: int, *spans: tuple[float, int, int], example: int = 0, no_answer: float = -1.0) -> Any:
    score, begin, end = zip(*spans, strict=True) if spans else ((-np.inf,), (0,), (0,))
    single = {"example": example, "window": number, "windows": of, "no_answer": no_answer}
    return {name: np.array([value]) for name, value in single.items()} | {
        "score": np.array([score]), "begin": np.array([begin]), "end": np.array([end]),
    }  # fmt: skip


def test_windows_are_merged_and_an_answer_is_told_once() -> None:
    record = {"text": "Ada met Bob. Bob met Ada."}
    parts = [window(0, 2, (-0.7, 0, 3), (-1.2, 8, 11), no_answer=-2.0), window(1, 2, (-0.2, 13, 16), no_answer=-0.1)]
    found = assemble([record], parts, (), n_best=5)[0]
    assert [(each["answer"], each["start"]) for each in found["n_best"]] == [("Bob", 13), ("Ada", 0)]
    assert found["answer"] == "Bob" and found["confidence"] == pytest.approx(np.exp(-0.2), abs=1e-4)
    assert found["difference"] == pytest.approx(-2.0 + 0.2) and found["no_answer"] == pytest.approx(0.1353, abs=1e-4)
    assert len(assemble([record], parts, (), n_best=1)[0]["n_best"]) == 1


@pytest.mark.parametrize(("threshold", "answer"), [(None, "Ada"), (0.5, "Ada"), (0.3, "")])
def test_silence_begins_above_the_threshold(threshold: float | None, answer: str) -> None:
    config = type("Config", (), {"no_answer_threshold": threshold})
    found = assemble([{"text": "Ada"}], [window(0, 1, (-0.9, 0, 3), no_answer=-0.5)], (), config=config)[0]
    assert found["answer"] == answer and found["n_best"][0]["answer"] == "Ada"
    assert found["start"] == (0 if answer else None)


def test_a_text_without_words_has_no_answer() -> None:
    found = assemble([{"text": ""}], [window(0, 1)], ())[0]
    assert found["answer"] == "" and found["n_best"] == [] and np.isfinite(found["difference"])


@pytest.mark.parametrize(
    "parts",
    [
        [window(0, 2)],
        [window(0, 2), window(0, 2)],
        [window(0, 1), window(0, 1)],
        [],
    ],
)
def test_a_missing_or_doubled_window_is_a_defect(parts: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="not answered exactly once"):
        assemble([{"text": "Ada"}], parts, ())


def test_a_question_without_any_window_is_a_defect() -> None:
    with pytest.raises(RuntimeError, match="not answered exactly once"):
        assemble([{"text": "Ada"}, {"text": "Bob"}], [window(0, 1, example=1)], ())
