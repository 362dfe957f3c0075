"""Patterns: linear whatever they are, whole words of every script, refusals in words."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lightning.rules.patterns import WINDOW, Haystack, Pattern, PatternMistake


def matches(pattern: str, text: str, **options: bool) -> list[str]:
    return [text[slice(*groups[""])] for groups in Pattern(pattern, **options).search(Haystack(text))]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\w+", "Élan vital, 北京 naïve_x", ["Élan", "vital", "北京", "naïve_x"]),
        (r"\d+", "12 ٣٤ x9", ["12", "٣٤"]),
        (r"[\w.-]+@\w+", "mail ö.ä-b@x now", ["ö.ä-b@x"]),
        (r"[^\d\s]+", "12 ab", ["ab"]),
        (r"\bécole\b", "école écoles", ["école"]),
        (r"\b(?:who|whose)\b", "whose ear, who", ["whose", "who"]),
        (r"ab|abc|a", "abcd abc a", ["abc", "a"]),
        (r"foo(?: bar)?", "foo bars foo bar", ["foo", "foo bar"]),
        (r"\p{Lu}\w+ \p{Lu}\w+", "iPhone Plus Max", ["Plus Max"]),
        (r"北京", "我在北京", ["北京"]),
        (r"^b|c$", "bcb c", ["c"]),
        (r"a*", "baac", []),
        (r"x\s+y", "x\u00a0y", ["x\u00a0y"]),
        (r"[[:alpha:]]+", "ab 1", ["ab"]),
        (r"[]a]+", "]a]", ["]a]"]),
        (r"\[\w\]", "[w] w", ["[w]"]),
    ],
)
def test_what_patterns_find(pattern: str, text: str, found: list[str]) -> None:
    assert matches(pattern, text) == found


def test_parts_of_words_where_they_are_asked_for() -> None:
    assert matches("art", "party art", whole_words=False) == ["art", "art"]
    assert matches("art", "party art") == ["art"]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?=a)", "lookaround"), (r"(?!a)", "lookaround"), (r"(?<=a)", "lookaround"), (r"(?<!a)", "lookaround"),
        (r"(a)\1", "backreference"), (r"(?P<a>x)(?P=a)", "backreference"), (r"a\k<n>", "backreference"),
        (r"(?>a)", "atomic"), (r"a++", "atomic"), (r"a{2}+", "atomic"), (r"(a)?(?(1)b)", "conditional"),
        (r"a\Z", r"\\z"),
        (r"(", "cannot be read"), (r"[a", "cannot be read"), (r"a{1001}", "cannot be read"), (r"*a", "cannot be read"),
        (r"((a{100}){100}){100}", "cannot be read"), (r"(?P<x>a)(?P<x>b)", "stands twice"), ("a\\", "cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_linear_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternMistake, match=reason) as caught:
        Pattern(pattern)
    assert caught.value.remedy


@pytest.mark.parametrize("pattern", [r"\p{L}+x", r"a\++", r"[(?=]", r"[*+]+", r"\\1", r"\(?=", r"a{2,}b", r"\[(?:a)\]"])
def test_what_only_looks_like_it_is_not(pattern: str) -> None:
    Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 30_000 + "!"),
        ("(x+x+)+y", "x" * 30_000),
        (r"(\w+\s?)*;", "a " * 15_000),
        ("(?:é|e)*ü|é", "é" * 15_000),
        ("a.*b|a", "a" * 30_000),
        (".*.*.*=.*", "a " * 15_000),
        (r"foo(?: bar)?", "foo bars " * 4_000),
    ],
)
def test_no_pattern_hangs(pattern: str, text: str) -> None:
    for whole_words in (True, False):
        began = time.process_time()
        for _ in Pattern(pattern, whole_words=whole_words).search(Haystack(text)):
            pass
        assert time.process_time() - began < 10  # a backtracking engine needs ages; this one less than a second


def test_long_texts_are_searched_whole() -> None:
    text = "word " * WINDOW + "Ada"
    assert matches("Ada$", text) == ["Ada"]
    assert len(matches("word", text)) == WINDOW
    assert matches("x+", "x" * (3 * WINDOW), whole_words=False) == ["x" * WINDOW] * 3


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["a+b?", "[ab]+", "(?:ab|a)c?", "é.", "b|京+", ".", r"(?s)..", "a*?b"]),
    st.text(alphabet="abcé京\n ", max_size=20),
)
def test_matches_are_those_of_the_standard_library(pattern: str, text: str) -> None:
    wanted = [match.group() for match in re.finditer(pattern, text) if match.group()]
    assert matches(pattern, text, whole_words=False) == wanted


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_pattern_is_used_or_refused(pattern: str, text: str) -> None:
    try:
        compiled = Pattern(pattern)
    except PatternMistake as mistake:
        assert mistake.reason and mistake.remedy
        return
    for groups in compiled.search(Haystack(text)):
        start, end = groups[""]
        assert 0 <= start < end <= len(text)
