"""BLEU, chrF, ROUGE and distinct-n by hand, their signatures, and the trivial baselines."""

import math
import subprocess
import sys

import pytest

from rag_lightning.errors import UserError
from rag_lightning.metrics.writing import bleu, chrf, copied, distinct, lead, most_frequent, rouge, words_by


def test_bleu_by_hand():
    # 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 fours; equally long: no brevity penalty
    scores, signature = bleu(["the cat sat on the mat"], ["the cat sat on a mat"])
    assert scores["bleu"] == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert scores["length_ratio"] == 1.0
    assert signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_brevity_penalty_and_several_references():
    right = ["one two three four five six", "one two three four"]
    alone, _ = bleu(["one two three four"], [right[:1]])
    assert alone["bleu"] == pytest.approx(100 * math.exp(1 - 6 / 4))
    both, signature = bleu(["one two three four", "a b c d"], [right, "a b c d"])
    assert both["bleu"] == pytest.approx(100) and "nrefs:var" in signature


def test_chinese_is_cut_into_characters():
    prediction, reference = ["我喜欢红色的苹果。"], ["我喜欢绿色的苹果。"]
    assert bleu(prediction, reference)[0]["bleu"] < 5  # one word without zh
    scores, signature = bleu(prediction, reference, tokenize="zh")
    # 9 characters, 1 wrong: 8/9, 6/8, 4/7, 2/6
    assert scores["bleu"] == pytest.approx(100 * (8 / 9 * 6 / 8 * 4 / 7 * 2 / 6) ** 0.25)
    assert "tok:zh" in signature
    assert words_by("zh")("红 apple派") == ["红", "apple", "派"]


def test_chrf():
    # Up to 2-grams of "ab" against "ac": 1 of 2 letters, 0 of 1 pair; longer n-grams don't exist
    scores, signature = chrf(["ab"], ["ac"])
    assert scores["chrf"] == pytest.approx(100 * 0.25)
    assert chrf(["ab"], [["ac", "ab"]])[0]["chrf"] == pytest.approx(100)
    assert signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_rouge_by_hand():
    scores, signature = rouge(["police killed the gunman"], ["police kill the gunman"], stemmer=False)
    # 3 of 4 words, 1 of 3 pairs, in order police ... the gunman
    assert scores == pytest.approx({"rouge1": 3 / 4, "rouge2": 1 / 3, "rougeL": 3 / 4})
    assert signature.startswith("nrefs:1|multi:best|case:lc|tok:rouge|stem:no|version:rouge-score-")
    assert rouge(["police killed the gunman"], ["police kill the gunman"])[0]["rouge2"] == 1.0
    reordered, _ = rouge(["the gunman killed police"], ["police killed the gunman"])
    assert reordered == pytest.approx({"rouge1": 1.0, "rouge2": 1 / 3, "rougeL": 1 / 2})


def test_rouge_takes_the_best_reference_of_each_example():
    scores, signature = rouge(["x y", "p q"], [["x z", "x y"], ["p r"]])
    assert scores["rouge1"] == pytest.approx((1 + 1 / 2) / 2) and scores["rouge2"] == pytest.approx(1 / 2)
    assert "nrefs:var" in signature


def test_rouge_of_other_scripts():
    with pytest.raises(UserError, match="keeps nothing else.*zh for Chinese"):
        rouge(["红苹果"], ["红苹果"])
    scores, signature = rouge(["红苹果"], ["青苹果"], tokenize="zh")
    assert scores == pytest.approx({"rouge1": 2 / 3, "rouge2": 1 / 2, "rougeL": 2 / 3})
    assert "tok:zh|stem:no" in signature
    assert rouge([""], [""])[0] == {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0}
    assert rouge(["Äpfel"], ["äpfel"], tokenize="intl")[0]["rouge1"] == 1.0


def test_distinct():
    # a b a . and a b : 7 words, 4 different without the point; pairs ab ba ab
    assert distinct(["a b a", "a b"]) == pytest.approx({"distinct-1": 2 / 5, "distinct-2": 2 / 3})
    assert distinct(["", "a"]) == {"distinct-1": 1.0, "distinct-2": 0.0}
    assert distinct(["好好学习"], tokenize="zh", orders=(1,)) == {"distinct-1": 3 / 4}


def test_unknown_or_missing_tokenizers():
    with pytest.raises(UserError, match="unknown tokenizer 'chars'. Choose one of char"):
        bleu(["a"], ["a"], tokenize="chars")
    with pytest.raises(UserError, match=r"needs a package.*sacrebleu\[ja\]") as caught:
        _with_failing_tokenizer()
    assert caught.value.exit_code == 2


def _with_failing_tokenizer():
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_ja_mecab, "MeCab", None)  # as where the package is not installed
        words_by("ja-mecab")


def test_references_must_fit():
    for score in (bleu, chrf, rouge):
        with pytest.raises(ValueError, match="references for each prediction"):
            score(["a", "b"], ["a"])
        with pytest.raises(ValueError):
            score([], [])
        with pytest.raises(UserError, match="example 2 has no reference"):
            score(["a", "b"], ["a", []])


def test_lead():
    text = "Dr. Lee met J. R. Smith at 3.15 p.m. today. “He left!” Was it late? No one knew."
    assert lead([text], 1) == ["Dr. Lee met J. R. Smith at 3.15 p.m. today."]
    assert lead([text], 2) == ["Dr. Lee met J. R. Smith at 3.15 p.m. today. “He left!”"]
    assert lead([text], 9) == [text]
    assert lead(["今天下雨。“走吧！”他说。我们走了。"], 2) == ["今天下雨。“走吧！”"]
    assert lead(["A title\n\nThe first line.\nMore."], 2) == ["A title The first line."]
    assert lead([["One.", "Two.", "Three."], ""], 2) == ["One. Two.", ""]


def test_copies_and_the_most_frequent_reply():
    assert copied(["as it is", ["One.", "Two."]]) == ["as it is", "One. Two."]
    assert most_frequent(["yes", "no", "no", "yes", "so"], 2) == ["yes", "yes"]
    with pytest.raises(ValueError):
        most_frequent([], 1)


def test_no_heavy_import():
    code = (
        "import sys; from rag_lightning.metrics import agreement, answers, ranking, relations, writing;"
        "print([name for name in ('torch', 'nltk', 'rouge_score', 'sacrebleu', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
