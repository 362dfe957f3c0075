"""Scores of extracted answers: exact match and F1 as the official scripts of SQuAD and CMRC 2018 count them.

By word: SQuAD 2.0 (Rajpurkar, Jia & Liang 2018), which counts like SQuAD 1.1 (Rajpurkar et al. 2016) where every
question has an answer. The one difference: references that are nothing but punctuation or an article are left out, as
in 2.0.

By character: CMRC 2018 (Cui et al. 2019), where F1 counts the longest run of segments that both answers share. A
segment is a Chinese character or, in between, a word or number in other letters. Beyond CMRC, kana and Hangul are cut
into characters too, so that Japanese and Korean are scored alike, and a question without an answer is scored as in
SQuAD 2.0.

All scores lie in [0, 1]; the official scripts print them times 100.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np
import regex

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Exactly the marks of the CMRC script: neither the ASCII full stop and comma nor the ellipsis are among them.
_NO_MARKS = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHARACTERS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー"
_CHARACTER = regex.compile(f"[{_CHARACTERS}]")
_CHARACTER_OR_REST = regex.compile(f"[{_CHARACTERS}]|[^{_CHARACTERS}]+")


def normalized(answer: str) -> str:
    """Lower case, without ASCII punctuation and English articles, words divided by one space."""
    return " ".join(_ARTICLE.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, references: Sequence[str], by_character: bool = False) -> float:
    """1 if the normalised prediction equals one of the references, else 0.

    Args:
        prediction: the answer, "" for no answer.
        references: right answers; none where the question has no answer, and then "" is right.
        by_character: as CMRC 2018 instead of SQuAD: articles stay, Chinese punctuation goes.
    """
    plain = _without_marks if by_character else normalized
    return float(plain(prediction) in map(plain, _usable(references, by_character)))


def f1(prediction: str, references: Sequence[str], by_character: bool = False) -> float:
    """F1 of the words (their number, in any order) or, by character, of the longest run of segments in common.

    Arguments as for :func:`exact_match`; of several references the best counts. If prediction or reference is empty, F1
    is 1 where both are and else 0.
    """
    if by_character:
        segments = _segments(prediction)
        return max(_run_f1(segments, _segments(text)) for text in _usable(references, True))
    words = normalized(prediction).split()
    return max(_bag_f1(words, normalized(text).split()) for text in _usable(references, False))


def answer_scores(
    predictions: Sequence[str], references: Sequence[Sequence[str]], by_character: bool = False
) -> dict[str, float]:
    """Mean exact match and F1 over all questions, as the official script reports them.

    Args:
        predictions: one answer a question, "" for no answer.
        references: the right answers of each question; none where it has no answer.
        by_character: as CMRC 2018 instead of SQuAD, for Chinese, Japanese and Korean.

    Returns:
        "exact_match", "f1" and "total"; where some questions have answers and others have none, also the same of either
        part, such as "HasAns/f1" and "NoAns/total".

    Raises:
        ValueError: predictions and references differ in number, or there are none.
    """
    pairs = list(zip(predictions, references, strict=True))
    if not pairs:
        raise ValueError("no answers to score")
    exact = np.array([exact_match(answer, right, by_character) for answer, right in pairs])
    overlap = np.array([f1(answer, right, by_character) for answer, right in pairs])
    answerable = np.array([len(right) > 0 for _, right in pairs])
    parts = {"": np.full(len(pairs), True)}
    if answerable.any() and not answerable.all():
        parts |= {"HasAns/": answerable, "NoAns/": ~answerable}
    scores = {}
    for prefix, part in parts.items():
        scores[f"{prefix}exact_match"] = float(exact[part].mean())
        scores[f"{prefix}f1"] = float(overlap[part].mean())
        scores[f"{prefix}total"] = float(part.sum())
    return scores


def silenced(predictions: Sequence[str], no_answer_scores: Sequence[float], threshold: float) -> list[str]:
    """The predictions, "" where the no-answer score exceeds the threshold."""
    pairs = zip(predictions, no_answer_scores, strict=True)
    return ["" if score > threshold else answer for answer, score in pairs]


def best_thresholds(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    no_answer_scores: Sequence[float],
    by_character: bool = False,
) -> dict[str, float]:
    """The thresholds of :func:`silenced` with the best scores, found as by SQuAD 2.0's ``find_best_thresh``.

    The scores returned are those that the threshold gives, whatever real numbers the no-answer scores are. The official
    script differs in three corners: it may cut between questions of one no-answer score, which no threshold can do; it
    takes 0 for the threshold of silence, which suits probabilities only; and it counts an answer such as "the", which
    normalises to nothing, as wrong here and as no answer elsewhere. Find it on validation data, apply it to test data.

    Args:
        predictions: the best answer of each question as if it had one.
        references: as for :func:`answer_scores`.
        no_answer_scores: the higher, the less likely the question has an answer.
        by_character: as for :func:`answer_scores`.

    Returns:
        "best_exact_match", "best_f1", and the threshold of each, such as "best_f1_threshold"; of several the lowest.

    Raises:
        ValueError: the lists differ in length or are empty, or a no-answer score is NaN.
    """
    triples = list(zip(predictions, references, no_answer_scores, strict=True))
    levels = np.sort(np.asarray(no_answer_scores, dtype=float))
    if not triples or np.isnan(levels[-1]):  # NaN sorts last
        raise ValueError("no-answer scores must be numbers, one a question")
    order = np.argsort(no_answer_scores, kind="stable")
    lowest = min(0.0, float(np.nextafter(levels[0], -np.inf)))  # below every score: nothing is answered
    thresholds = np.append(lowest, levels)
    can_cut = np.append(True, np.append(levels[1:] != levels[:-1], True))
    found = {}
    for name, score in (("exact_match", exact_match), ("f1", f1)):
        silent = np.array([score("", right, by_character) for _, right, _ in triples])
        answered = np.array([score(answer, right, by_character) for answer, right, _ in triples])
        gains = np.cumsum((answered - silent)[order])
        totals = np.where(can_cut, silent.sum() + np.append(0.0, gains), -np.inf)
        best = int(np.argmax(totals))
        found[f"best_{name}"] = float(totals[best] / len(triples))
        found[f"best_{name}_threshold"] = float(thresholds[best])
    return found


def _usable(references: Sequence[str], by_character: bool) -> list[str]:
    plain = _without_marks if by_character else normalized
    return [text for text in references if plain(text)] or [""]


def _bag_f1(prediction: list[str], reference: list[str]) -> float:
    shared = sum((Counter(prediction) & Counter(reference)).values())
    return _f1_of(shared, prediction, reference)


def _run_f1(prediction: list[str], reference: list[str]) -> float:
    shared = SequenceMatcher(None, prediction, reference, autojunk=False).find_longest_match().size
    return _f1_of(shared, prediction, reference)


def _f1_of(shared: int, prediction: list[str], reference: list[str]) -> float:
    if not prediction or not reference:
        return float(prediction == reference)
    return 2 * shared / (len(prediction) + len(reference))  # = 2PR / (P + R)


def _without_marks(answer: str) -> str:
    return answer.lower().strip().translate(_NO_MARKS)


def _segments(answer: str) -> list[str]:
    """CMRC's mixed segmentation: characters one by one, what lies between them as English words."""
    parts = _CHARACTER_OR_REST.findall(_without_marks(answer))
    return [segment for part in parts for segment in ([part] if _CHARACTER.match(part) else _english_words(part))]


@lru_cache(maxsize=10_000)
def _english_words(text: str) -> tuple[str, ...]:
    # The tokenizer under nltk.word_tokenize, which would first cut sentences with a model that has to be downloaded.
    from nltk.tokenize import NLTKWordTokenizer  # here, because nltk takes a second to import

    return tuple(NLTKWordTokenizer().tokenize(text))
