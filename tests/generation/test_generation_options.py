"""Options that contradict each other are refused in words."""

import pytest
import torch
from pydantic import ValidationError

from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.steps import SeededDraw, find_stop, processors, seeds_of


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 2, "do_sample": True}, "set num_beams=1 or do_sample=false"),
        ({"temperature": 0.5}, "temperature has no effect without do_sample=true"),
        ({"top_p": 0.5}, "top_p has no effect without do_sample"),
        ({"top_k": 5}, "top_k has no effect without do_sample"),
        ({"do_sample": True, "temperature": 0}, "temperature"),
        ({"length_penalty": 2}, "length_penalty has no effect without beams"),
        ({"early_stopping": True}, "early_stopping has no effect without beams"),
        ({"min_new_tokens": 9, "max_new_tokens": 8}, "min_new_tokens=9 is more than max_new_tokens=8"),
        ({"stop": ["a", ""]}, "empty text"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_length": 20}, "max_length"),
    ],
)
def test_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GenerationOptions.model_validate(settings)


def test_one_stop_text_needs_no_list() -> None:
    assert GenerationOptions(stop="###").stop == ("###",)
    assert GenerationOptions.model_validate({"stop": ["a", "b"]}).stop == ("a", "b")


def test_every_option_is_described() -> None:
    assert all(field.description for field in GenerationOptions.model_fields.values())


def test_what_is_not_asked_for_takes_no_part() -> None:
    assert not processors(GenerationOptions(), 0, [0])


def test_penalties_see_neither_prompt_nor_padding() -> None:
    """Else a text would depend on the padding, and so on the batch."""
    for settings in ({"repetition_penalty": 2.0}, {"no_repeat_ngram_size": 1}):
        steps = processors(GenerationOptions(**settings), 2, [0])
        changed = steps(torch.tensor([[5, 6, 7]]), torch.ones(1, 9)) != 1
        assert changed.nonzero()[:, 1].tolist() == [7]
        assert torch.equal(steps(torch.tensor([[5, 6]]), torch.ones(1, 9)), torch.ones(1, 9))


def test_draws_follow_the_distribution() -> None:
    shares = torch.tensor([0.6, 0.3, 0.1, 0.0])
    rows = 4000
    drawn = SeededDraw(range(rows))(torch.zeros(rows, 1), shares.log().expand(rows, -1)).argmax(-1)
    assert torch.allclose(torch.bincount(drawn, minlength=4) / rows, shares, atol=0.03)
    assert (drawn != 3).all()


def test_seeds_are_of_the_prompt() -> None:
    one, two, again = seeds_of([[1], [2], [1]], 0)
    assert len({one, two, again}) == 3
    assert seeds_of([[2], [1]], 0) == [two, one] and seeds_of([[1]], 1) != [one]


def test_the_first_stop_text_counts() -> None:
    assert find_stop("one two", ["two", "ne"]) == 1 and find_stop("one", ["two"]) is None and find_stop("x", []) is None
