"""The share of an answer that stands in its context."""

import pytest

from rag_lightning.metrics.grounding import content_words, grounded_share


def test_function_words_endings_and_case_do_not_count() -> None:
    assert content_words("The cards weren't Anna’s, and they'd been posted.") == ["card", "anna", "post"]


def test_the_share_is_the_mean_over_answers() -> None:
    context = "Your card is posted within 5 days."
    answers = ["Cards are posted", "The card flies in 5 years", ""]
    assert grounded_share(answers, [context] * 3) == pytest.approx((1 + 2 / 4 + 0) / 3)


def test_an_answer_with_function_words_alone_is_not_rewarded() -> None:
    assert grounded_share(["It is."], ["It is."]) == 0.0


def test_nothing_to_score_is_told() -> None:
    with pytest.raises(ValueError):
        grounded_share([], [])
    with pytest.raises(ValueError):
        grounded_share(["a"], [])
