"""Scores of written text: BLEU, chrF, ROUGE and distinct-n, and the trivial baselines to be shown beside them.

BLEU and chrF are sacrebleu's and lie in [0, 100], as everybody quotes them; ROUGE and distinct-n lie in [0, 1]. BLEU,
chrF and ROUGE come with a signature, without which such a number can't be compared with another one.

The libraries are imported where they are used: nltk, under rouge-score, takes a second.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import zip_longest
from typing import Any

import regex

from rag_lightning.errors import UserError, nearest

Texts = Sequence[str]
References = Sequence[str | Sequence[str]]  # one or several right texts for each prediction

# sacrebleu's tokenizers that need no download; ja-mecab and ko-mecab need a package.
TOKENIZERS = ("13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "none")
ROUGE = ("rouge1", "rouge2", "rougeL")
_NO_END = r"(?<!\b(?:\p{Lu}|Mr|Mrs|Ms|Dr|Prof|St|No|vs|e\.g|i\.e)\.)"
_SENTENCE_END = regex.compile(
    rf"""(?<=[.!?…]["'”’»)\]]*){_NO_END}\s+(?!\p{{Ll}})|(?<=[。！？｡][”’」』）]*)(?![”’」』）。！？｡])\s*|\s*\n\s*"""
)


def bleu(predictions: Texts, references: References, tokenize: str = "13a") -> tuple[dict[str, float], str]:
    """Corpus BLEU (Papineni et al. 2002; Post 2018), case kept, exponential smoothing.

    Args:
        predictions: texts as the model wrote them, not tokenized.
        references: for each prediction a text, or several of which each n-gram may be matched in any.
        tokenize: one of ``TOKENIZERS``: ``13a`` for languages with spaces, ``zh`` for Chinese, ``char`` for any other
            script without spaces.

    Returns:
        {"bleu" in [0, 100], "length_ratio": words predicted / words of the references nearest in length}, and
        sacrebleu's signature.

    Raises:
        UserError: an unknown tokenizer or one whose package is missing; a prediction without reference.
        ValueError: predictions and references differ in number, or there are none.
    """
    metric = _bleu(tokenize)
    score = metric.corpus_score(list(predictions), _streams(predictions, references))
    return {"bleu": float(score.score), "length_ratio": float(score.ratio)}, str(metric.get_signature())


def chrf(predictions: Texts, references: References) -> tuple[dict[str, float], str]:
    """Corpus chrF2 (Popović 2015): n-grams of up to 6 characters, so that no tokenizer is needed, Chinese included.

    Arguments and errors as for :func:`bleu`; of several references the best of each example counts.

    Returns:
        {"chrf" in [0, 100]}, and sacrebleu's signature.
    """
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    score = metric.corpus_score(list(predictions), _streams(predictions, references))
    return {"chrf": float(score.score)}, str(metric.get_signature())


def rouge(
    predictions: Texts, references: References, tokenize: str | None = None, stemmer: bool = True
) -> tuple[dict[str, float], str]:
    """Mean F1 of ROUGE-1, -2 and -L (Lin 2004) by rouge-score; L over the whole text as one sentence.

    Of several references the best counts, for each example and each of the three by itself.

    Args:
        predictions: texts as the model wrote them.
        references: for each prediction a text or several.
        tokenize: None is ROUGE's own: lower case, nothing but a-z and 0-9. For other alphabets one of
            ``TOKENIZERS``, ``zh`` for Chinese; lower case too, punctuation kept.
        stemmer: cut English endings (Porter 1980); only with ROUGE's own tokenizer.

    Returns:
        {"rouge1", "rouge2", "rougeL"} in [0, 1], and a signature.

    Raises:
        UserError: as for :func:`bleu`; or ROUGE's own tokenizer finds no word in any reference.
        ValueError: as for :func:`bleu`.
    """
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer

    own = DefaultTokenizer(use_stemmer=stemmer) if tokenize is None else _Words(words_by(tokenize))
    rights = _checked(predictions, references)
    written = [text for texts in rights for text in texts if text.strip()]
    if tokenize is None and written and not any(own.tokenize(text) for text in written):
        raise UserError(
            "no reference holds a letter a-z or a digit, and ROUGE's own tokenizer keeps nothing else",
            remedy="Choose another tokenizer: zh for Chinese, char for other scripts without spaces, else intl.",
        )
    scorer = RougeScorer(list(ROUGE), tokenizer=own)
    rows = [scorer.score_multi(texts, text) for text, texts in zip(predictions, rights, strict=True)]
    scores = {name: sum(float(row[name].fmeasure) for row in rows) / len(rows) for name in ROUGE}
    return scores, _rouge_signature(rights, tokenize, stemmer)


def distinct(texts: Texts, tokenize: str = "13a", orders: Sequence[int] = (1, 2)) -> dict[str, float]:
    """Different n-grams by all n-grams of all texts together (Li et al. 2016): how varied the texts are.

    It falls with the amount of text: compare only sets of about the same size. Case counts.

    Returns:
        "distinct-n" in [0, 1] for each order n; 0 if there is no n-gram.
    """
    words = words_by(tokenize)
    tokens = [words(text) for text in texts]
    scores = {}
    for order in orders:
        grams = Counter(gram for row in tokens for gram in zip(*(row[i:] for i in range(order)), strict=False))
        scores[f"distinct-{order}"] = len(grams) / grams.total() if grams else 0.0
    return scores


def words_by(tokenize: str) -> Callable[[str], list[str]]:
    """A function from a text to its words by one of ``TOKENIZERS``. Errors as for :func:`bleu`."""
    cut = _bleu(tokenize).tokenizer
    return lambda text: str(cut(text)).split()


def lead(documents: References, sentences: int = 3) -> list[str]:
    """The lead-n baseline of summarization: the first sentences of each document.

    Args:
        documents: texts, or lists of sentences. Texts are cut at line ends and after ``. ! ? …`` and their Chinese and
            Japanese counterparts, not after initials and the most usual English abbreviations.
        sentences: how many.
    """
    parts = ([p for p in _SENTENCE_END.split(d.strip()) if p] if isinstance(d, str) else d for d in documents)
    cut = (_joined(list(part)[:sentences]) for part in parts)
    return list(cut)


def copied(documents: References) -> list[str]:
    """The copy baseline: each source as it is, a list of sentences joined."""
    return [document if isinstance(document, str) else _joined(document) for document in documents]


def most_frequent(training_targets: Texts, how_many: int) -> list[str]:
    """The most frequent target of the training data (the first of several), once for each example to be answered.

    Raises:
        ValueError: there is no training target.
    """
    if not training_targets:
        raise ValueError("no training targets")
    return [Counter(training_targets).most_common(1)[0][0]] * how_many


class _Words:
    """What rouge-score takes for a tokenizer."""

    def __init__(self, words: Callable[[str], list[str]]) -> None:
        self._words = words

    def tokenize(self, text: str) -> list[str]:
        return self._words(text.lower())


def _bleu(tokenize: str) -> Any:
    from sacrebleu.metrics import BLEU

    if tokenize not in TOKENIZERS:
        near = nearest(tokenize, list(TOKENIZERS))
        raise UserError(f"unknown tokenizer {tokenize!r}", remedy=f"Choose one of {', '.join(near or TOKENIZERS)}.")
    try:
        return BLEU(tokenize=tokenize, force=True)  # force: no warning for references that are tokenized already
    except RuntimeError as error:
        raise UserError(
            f"the tokenizer {tokenize} needs a package that is not installed",
            remedy=f"Run pip install 'sacrebleu[{tokenize[:2]}]', or choose char.",
        ) from error


def _checked(predictions: Texts, references: References) -> list[list[str]]:
    """The references as lists, at least one for each prediction."""
    rights = [[right] if isinstance(right, str) else list(right) for right in references]
    if not rights or len(rights) != len(predictions):
        raise ValueError(f"references for each prediction: {len(rights)} for {len(predictions)}")
    for number, texts in enumerate(rights, 1):
        if not texts:
            raise UserError(f"example {number:,} has no reference text", remedy="Give it one, or leave it out.")
    return rights


def _streams(predictions: Texts, references: References) -> list[list[Any]]:
    """The first reference of each example, the second of each, and so on; None, which sacrebleu skips, for none."""
    return [list(stream) for stream in zip_longest(*_checked(predictions, references))]


def _rouge_signature(rights: list[list[str]], tokenize: str | None, stemmer: bool) -> str:
    numbers = {len(texts) for texts in rights}
    return "|".join((
        f"nrefs:{numbers.pop() if len(numbers) == 1 else 'var'}",
        "multi:best",
        "case:lc",
        f"tok:{tokenize or 'rouge'}",
        f"stem:{'porter' if stemmer and tokenize is None else 'no'}",
        f"version:rouge-score-{version('rouge-score')}",
    ))  # fmt: skip


def _joined(sentences: Sequence[str]) -> str:
    """Sentences as a text: a space between them, but none after a full-width stop."""
    text = ""
    for sentence in sentences:
        gap = "" if not text or regex.search(r"[。！？｡][”’」』）]*$", text) else " "
        text += gap + sentence.strip()
    return text
