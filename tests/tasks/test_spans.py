"""Words of running text, and entities as spans."""

import random
import time

import pytest

from rag_lightning.tasks.spans import spans_to_tags, tags_to_spans, words_with_offsets

TEXTS = [
    ("EU rejects German call.", "EU|rejects|German|call|."),
    ("Mr. O'Neill's U.S.-based firm paid $3.5m (12:30).", "Mr.|O'Neill|'s|U.S.-based|firm|paid|$|3.5m|(|12:30|)|."),
    ("J. Smith and I. Then...", "J.|Smith|and|I|.|Then|..."),
    ("1,000 a,b and/or AT&T a--b", "1,000|a|,|b|and|/|or|AT&T|a|--|b"),
    ("@user #tag me@x.org http://x.y/z?a=1, www.a.b.", "@user|#tag|me@x.org|http://x.y/z?a=1|,|www.a.b|."),
    ('"Don\'t," she said', '"|Don\'t|,|"|she|said'),
    ("我爱北京。カタ 한국어", "我|爱|北|京|。|カ|タ|한국어"),
    ("e\u0301a\u0308 नमस्ते", "e\u0301a\u0308|नमस्ते"),
    ("👨‍👩‍👧‍👦❤️🇩🇪🇫🇷👍🏽1️⃣", "👨‍👩‍👧‍👦|❤️|🇩🇪|🇫🇷|👍🏽|1️⃣"),
    ("שלום, عالم می‌خواهم", "שלום|,|عالم|می‌خواهم"),
    ("a\u200bb\u00a0c\u3000d\ufeff\u200f \r\n", "a|b|c|d"),
    ("", ""),
    (" \t\n", ""),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_words(text, expected):
    words = words_with_offsets(text)
    assert [word for word, _, _ in words] == [word for word in expected.split("|") if word]
    assert all(text[start:end] == word for word, start, end in words)


def test_offsets_grow_and_no_visible_character_is_lost():
    rng = random.Random(0)
    alphabet = "aB1.,'’-@#/:&_ \n\t字カe\u0301\u200d\u200b👨🇩ש\u0600\u00ad\u0000(“”%"
    for _ in range(3000):
        text = "".join(rng.choices(alphabet, k=rng.randrange(25)))
        words, position = words_with_offsets(text), 0
        for word, start, end in words:
            assert position <= start < end
            assert text[start:end] == word
            assert not any(character.isprintable() and character != " " for character in text[position:start])
            position = end
        assert not any(character.isprintable() and character != " " for character in text[position:])


UNITS = [
    "a",
    "-",
    "+-",
    "a.",
    "http://",
    "www.!",
    "A.",
    "A. ",
    "'s",
    "e\u0301",
    "\u0301",
    "👨‍",
    "字",
    "1,",
    "\u200d",
    "🇩🇪",
    "#@",
    " ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_linear_time(unit):
    def seconds(size):
        text = unit * (size // len(unit))
        start = time.perf_counter()
        words_with_offsets(text)
        return time.perf_counter() - start

    seconds(1000)
    assert seconds(100_000) < 1.0  # a quadratic pattern takes minutes


def test_spans_become_tags():
    words = words_with_offsets("Ann Lee flew to New York City.")
    spans = [{"start": 16, "end": 29, "label": "LOC"}, {"start": 0, "end": 7, "label": "PER"}]
    assert spans_to_tags(words, spans) == (["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "I-LOC", "O"], 0)


@pytest.mark.parametrize(
    ("text", "spans", "tags", "changed"),
    [
        ("Paris-based", [(0, 5, "A")], ["B-A"], 1),
        ("in Paris now", [(2, 9, "A")], ["O", "B-A", "O"], 0),  # white space around is no change
        ("in Paris now", [(5, 10, "A")], ["O", "B-A", "I-A"], 1),
        ("Paris-Rome", [(0, 5, "A"), (6, 10, "B")], ["B-A"], 2),  # one word for two spans: the first has it
        ("a b", [(1, 2, "A")], ["O", "O"], 1),  # no word in it
        ("a b", [(0, 1, "A"), (2, 3, "A")], ["B-A", "B-A"], 0),
        ("", [], [], 0),
    ],
)
def test_spans_that_do_not_fit_words(text, spans, tags, changed):
    made = [{"start": start, "end": end, "label": label} for start, end, label in spans]
    assert spans_to_tags(words_with_offsets(text), made) == (tags, changed)


def test_there_and_back():
    rng = random.Random(1)
    for _ in range(200):
        text = " ".join(rng.choices(["Ann", "U.S.", "字字", "3.5", "(x)", "O'Neill's"], k=12))
        words, spans, first = words_with_offsets(text), [], 0
        while (first := first + rng.randrange(4)) < len(words):
            last = min(first + rng.randint(1, 3), len(words))
            spans.append((first, last, rng.choice("AB")))
            first = last
        characters = [{"start": words[s][1], "end": words[e - 1][2], "label": kind} for s, e, kind in spans]
        tags, changed = spans_to_tags(words, characters)
        assert (tags_to_spans(tags), changed) == (spans, 0)


def test_entities_are_those_of_strict_seqeval():
    from seqeval.scheme import IOB2, Entities

    rng = random.Random(2)
    sequences = [rng.choices(["O", "B-A", "I-A", "B-B", "I-B"], k=15) for _ in range(500)]
    theirs = [[(e.start, e.end, e.tag) for e in found] for found in Entities(sequences, IOB2).entities]
    assert [tags_to_spans(tags) for tags in sequences] == theirs
