"""What rules find in texts and tokens of any script, and that every place they name is right."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_lightning.errors import UserError
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.hits import hit_from_json, hit_to_json
from rag_lightning.rules.load import load_rules
from rag_lightning.tasks.spans import words_with_offsets


def engine(rules: dict[str, Any], lexicons: dict[str, Any] | None = None) -> RuleEngine:
    return RuleEngine(load_rules({"rules": rules, "lexicons": lexicons or {}}))


def lexicon(words: Any, **rule: Any) -> RuleEngine:
    return engine({"r": {"lexicon": "x", "label": "L", **rule}}, {"x": words})


def found(rules: RuleEngine, text: str) -> list[str]:
    return [text[hit.start : hit.end] for hit in rules.apply_text(text)]


def among(rules: RuleEngine, tokens: str) -> list[str]:
    words = tokens.split(" ")
    return [" ".join(words[hit.start : hit.end]) for hit in rules.apply_tokens(words)]


# --- lexicons ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text", "hits"),
    [
        (["art"], "party art, art's; art-deco tart", ["art", "art", "art"]),
        (["New York", "York"], "New  York and\nNew\nYork, York", ["New  York", "New\nYork", "York"]),
        (["New York", "York"], "New Yorker", []),
        (["北京", "京"], "我在北京工作。Beijing北京", ["北京", "北京"]),
        (["القاهرة"], "في القاهرة، مصر والقاهرة", ["القاهرة"]),
        (["iPhone"], "新iPhone手机", ["iPhone"]),
        (["กรุงเทพ"], "ไปกรุงเทพมา", ["กรุงเทพ"]),
        (["café"], "cafe\u0301 CAFÉ cafés", ["cafe\u0301", "CAFÉ"]),
        (["McDonald's"], "McDonald’s or McDonald's", ["McDonald’s", "McDonald's"]),
        (["👍"], "👍👍🏽 👍", ["👍", "👍"]),
        ([":)"], "well :) x", [":)"]),
        (["U.S."], "the U.S. and", ["U.S."]),
        (["Straße"], "STRASSE Straße strasse", ["STRASSE", "Straße"]),
        (["a b"], "a\u200b b a\u00a0b", ["a\u200b b", "a\u00a0b"]),
    ],
)
def test_entries_match_whole_words_of_their_script(words: list[str], text: str, hits: list[str]) -> None:
    assert found(lexicon(words), text) == hits


@pytest.mark.parametrize(
    ("case", "hits"),
    [("exact", ["Apple", "pie"]), ("ignore", ["Apple", "APPLE", "apple", "pie", "Pie"]),
     ("smart", ["Apple", "APPLE", "pie", "Pie"])],
)  # fmt: skip
def test_case(case: str, hits: list[str]) -> None:
    assert found(lexicon({"words": ["Apple", "pie"], "case": case}), "Apple APPLE apple pie Pie") == hits


def test_tokens_are_covered_whole_or_not_at_all() -> None:
    rules = lexicon(["Berlin", "New York", "Inc"])
    assert among(rules, "Berlin-based firms in New York , Acme Inc. and Berlin") == ["New York", "Inc.", "Berlin"]
    assert among(rules, "New Yorkers") == []
    assert among(rules, "Berlin's mayor") == []


def test_a_possessive_is_taken_with_its_token_where_asked_for() -> None:
    rules = lexicon({"words": ["Berlin"], "inflect": "possessive"})
    assert among(rules, "Berlin's mayor in Berlin 's east") == ["Berlin's", "Berlin"]


def test_entries_match_across_tokens_of_single_characters() -> None:
    assert among(lexicon(["北京大学"]), "我 在 北 京 大 学") == ["北 京 大 学"]


def test_tokens_that_are_characters_are_one_text() -> None:
    rules = lexicon(["NBA", "AC米兰", "iPhone 5"])
    assert among(rules, "看 N B A 和 A C 米 兰 。") == ["N B A", "A C 米 兰"]
    assert among(rules, "N B A") == []  # letters alone may be anything
    assert among(lexicon(["5S"]), "买 5 S ， 5 SE") == []  # SE is no character, so these are words


def test_odd_tokens_keep_their_places() -> None:
    hits = lexicon(["Ada"]).apply_tokens(["", "\u200b", "Ada", " ", "", "Ada", "Ad", "a"])
    assert [(hit.start, hit.end) for hit in hits] == [(2, 3), (5, 6)]


# --- patterns ---------------------------------------------------------------------------------------------------


def test_groups_name_labels() -> None:
    rules = engine({"r": {"pattern": r"(?P<PER>\p{Lu}\w+) of (?P<ORG>\p{Lu}\w+)"}})
    assert [(h.start, h.end, h.label) for h in rules.apply_text("Élodie of Ärzte")] == [(0, 6, "PER"), (10, 15, "ORG")]


def test_the_group_hit_is_the_stretch_of_the_label() -> None:
    rules = engine({"r": {"pattern": r"room (?P<hit>\d+)", "label": "creative-work"}})
    assert [(h.start, h.end, h.label) for h in rules.apply_text("room 12a room ٣٤")] == [(14, 16, "creative-work")]


def test_a_pattern_sees_tokens_as_they_would_be_written_or_with_spaces() -> None:
    chinese = ["在", "北", "京"]
    assert engine({"r": {"pattern": "北京"}}).apply_tokens(chinese)[0].start == 1
    assert engine({"r": {"pattern": "北 京", "over": "tokens"}}).apply_tokens(chinese)[0].start == 1
    tokens = engine({"r": {"pattern": r"Mr\. (?P<PER>\w+) ,", "over": "tokens"}})
    assert found(tokens, "Mr. Smith, you") == ["Smith"]


def test_case_of_a_pattern() -> None:
    assert found(engine({"r": {"pattern": "über", "case": "ignore"}}), "ÜBER Über") == ["ÜBER", "Über"]


# --- growth and conditions --------------------------------------------------------------------------------------


def test_a_hit_grows_over_capitalised_words() -> None:
    rules = lexicon(["Inc"], expand={"before": "capitalised", "at_least": 1, "over": ["of", "and"], "stop": ["The"]})
    assert found(rules, "The Bank of Acme and Sons Inc, and Inc") == ["Bank of Acme and Sons Inc"]
    assert found(rules, "we and Acme Inc") == ["Acme Inc"]
    assert found(rules, "Bank of and of Acme Inc") == ["Acme Inc"]  # two small words at most
    assert found(rules, "Acme\nInc") == []
    assert among(rules, "see Acme Widgets Inc .") == ["Acme Widgets Inc"]
    assert found(lexicon(["Ada"], expand="capitalised_after"), "Ada Lovelace King wrote") == ["Ada Lovelace King"]
    assert found(lexicon(["Ada"], expand={"after": "capitalised", "at_most": 1}), "Ada Lovelace King") == [
        "Ada Lovelace"
    ]
    assert found(lexicon(["Ada", "Eva"], expand="capitalised_around"), "Ada Eva Lang") == ["Ada Eva Lang"]
    assert found(lexicon(["page"], expand={"after": "number", "at_least": 1}), "page one, page 12") == ["page 12"]


@pytest.mark.parametrize(
    ("when", "text", "hits"),
    [
        ({"capitalised": True}, "May may MAY", ["May", "MAY"]),
        ({"capitalised": False}, "May may MAY", ["may"]),
        ({"all_caps": True}, "May may MAY", ["MAY"]),
        ({"lower_case": True}, "May may MAY", ["may"]),
        ({"sentence_start": True}, 'May I? "May I. No may', ["May", "May"]),
        ({"sentence_start": False}, "May I? No may\nMay", ["may"]),
        ({"in_quotes": True}, 'May "the may" may “May” «may» "may', ["may", "May", "may"]),
        ({"text_all_caps": True}, "MAY I", ["MAY"]),
        ({"text_all_caps": True}, "MAY i", []),
        ({"preceded_by": "in"}, "in May, in the May, In may", ["May", "may"]),
        ({"preceded_by": {"words": ["in"], "within": 2}}, "in the May, in all the May", ["May"]),
        ({"followed_by": ["the first", "day"]}, "May the first, may the may day", ["May"]),
        ({"followed_by": {"words": ["day"], "within": 3}}, "May is a day, May is not a day", ["May"]),
        ({"preceded_by": {"lexicon": "titles"}}, "Mrs May, Dr. May, may", ["May", "May"]),
        ({"text_has": ["spring"]}, "May in spring", ["May"]),
        ({"text_has": ["spring"]}, "May in springs", []),
        ({"min_words": 2}, "May may day", ["may day"]),
        ({"max_words": 1}, "May may day", ["May"]),
        ({"capitalised": True, "preceded_by": "in"}, "in May in may May", ["May"]),
    ],
)
def test_conditions(when: dict[str, Any], text: str, hits: list[str]) -> None:
    lexicons = {"x": {"words": ["may", "may day"], "case": "ignore"}, "titles": ["Mrs", "Dr."]}
    assert found(engine({"r": {"lexicon": "x", "when": when}}, lexicons), text) == hits
    if len(when) == 1:
        every = found(engine({"r": {"lexicon": "x"}}, lexicons), text)
        others = found(engine({"r": {"lexicon": "x", "unless": when}}, lexicons), text)
        assert sorted(hits + others) == sorted(every)


def test_one_of_unless_is_enough() -> None:
    rules = lexicon(["May"], unless={"preceded_by": "in", "followed_by": "day"})
    assert found(rules, "in May; May day; May") == ["May"]


def test_fewer_hits_than_asked_for_are_none() -> None:
    rules = lexicon(["goal"], min_hits=2)
    assert found(rules, "goal") == []
    assert found(rules, "goal goal") == ["goal", "goal"]


# --- records ----------------------------------------------------------------------------------------------------


def test_records_keep_hits_in_order_as_json() -> None:
    rules = engine(
        {"b": {"lexicon": "x", "never": "L", "priority": 3}, "a": {"lexicon": "x"}}, {"x": ["Paris", "in Paris"]}
    )
    record = {"id": "1", "tokens": ["Paris", "in", "Paris"], "text": "something else"}
    (annotated,) = rules.annotate([record])
    assert annotated["hits"] == [
        [0, 1, None, "a", 0, False],
        [0, 1, "L", "b", 3, True],
        [1, 3, None, "a", 0, False],
        [1, 3, "L", "b", 3, True],
    ]
    assert "hits" not in record
    assert [hit_to_json(hit_from_json(values)) for values in annotated["hits"]] == annotated["hits"]
    assert next(rules.annotate([{"text": "x Paris"}]))["hits"][0][:2] == [2, 7]


def test_a_record_without_text_is_told() -> None:
    with pytest.raises(UserError, match="a.jsonl:3: rules need the field tokens or text"):
        list(lexicon(["a"]).annotate([{"source": "a.jsonl:3", "question": "x"}]))


# --- whatever the text is -----------------------------------------------------------------------------------------

PIECES = [
    *'éßİ’." \n\x00\x1f\ufeff\u200b\u00ad\ud800aA北京',
    "New",
    "York",
    "new",
    "في",
    "e\u0301",
    "👩‍👩‍👧",
    "🇩🇪",
    "'s",
    "\r\n",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=12).map("".join)
EVERYTHING = RuleEngine(
    load_rules(
        {
            "lexicons": {
                "x": {
                    "words": ["New York", "york", "北京", "京", "é", "ß", "i̇", "👩‍👩‍👧", "في", "A", '"'],
                    "case": "ignore",
                },
                "y": ["New", "a", "北"],
            },
            "rules": {
                "entries": {"lexicon": ["x", "y"], "label": "A"},
                "grown": {"lexicon": "y", "label": "B", "expand": {"before": "capitalised", "after": "capitalised"}},
                "asked": {"lexicon": "x", "label": "B", "unless": {"in_quotes": True, "sentence_start": True}},
                "near": {"lexicon": "x", "never": "A", "when": {"preceded_by": "a", "text_has": {"lexicon": "y"}}},
                "letters": {"pattern": r"(?P<A>\w+)(?: (?P<B>\w*))?"},
                "tokens": {"pattern": r"\S+ \S+", "over": "tokens", "label": "C"},
                "anything": {"pattern": r".*?", "whole_words": False},
                "all": {"pattern": r"(?s).+", "label": "C", "whole_words": False},
            },
        }
    )
)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
@example("")
@example("\ufeff")
@example("a\x00b \x1fNew\x1fYork\x1f")
def test_every_hit_in_a_text_lies_in_it_and_hits_of_a_rule_do_not_overlap(text: str) -> None:
    hits = EVERYTHING.apply_text(text)
    assert hits == sorted(hits, key=lambda hit: (hit.start, hit.end, hit.rule, hit.label or ""))
    reached: dict[tuple[str, str | None], int] = {}
    for hit in hits:
        assert 0 <= hit.start < hit.end <= len(text)
        assert hit.start >= reached.get((hit.rule, hit.label), 0)
        reached[hit.rule, hit.label] = hit.end
        if hit.rule == "entries":
            assert not text[hit.start].isspace() and not text[hit.end - 1].isspace()


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, max_size=8))
@example([])
@example([""])
@example(["New", "", "York"])
def test_every_hit_among_tokens_lies_among_them(tokens: list[str]) -> None:
    reached: dict[tuple[str, str | None], int] = {}
    for hit in EVERYTHING.apply_tokens(tokens):
        assert 0 <= hit.start < hit.end <= len(tokens)
        assert hit.start >= reached.get((hit.rule, hit.label), 0)
        reached[hit.rule, hit.label] = hit.end


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "ab", "A", "."]), min_size=1, max_size=12),
    st.lists(st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_entries_are_found_as_a_slow_search_finds_them(tokens: list[str], entries: list[list[str]]) -> None:
    rules = lexicon({"words": [" ".join(entry) for entry in entries], "case": "exact"})
    wanted, place = [], 0
    while place < len(tokens):
        fitting = [len(entry) for entry in entries if tokens[place : place + len(entry)] == entry]
        if fitting:
            wanted.append((place, place + max(fitting)))
        place += max(fitting, default=1)
    assert [(hit.start, hit.end) for hit in rules.apply_tokens(tokens)] == wanted


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["New", "York", "in", "Ada", "北", "x"]), max_size=10))
def test_a_text_and_its_words_have_the_same_entries(words: list[str]) -> None:
    text, rules = " ".join(words), lexicon(["New York", "Ada", "北", "in"])
    offsets = {start: number for number, (_, start, _) in enumerate(words_with_offsets(text))}
    of_text = [(offsets[hit.start], text[hit.start : hit.end]) for hit in rules.apply_text(text)]
    of_words = [(hit.start, " ".join(words[hit.start : hit.end])) for hit in rules.apply_tokens(words)]
    assert of_text == of_words
