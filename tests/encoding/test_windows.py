"""Windows: every word is shown, and answered exactly once, whatever the lengths."""

import random

import pytest

from rag_lightning.encoding.windows import windows


def test_a_text_that_fits_is_one_window() -> None:
    (only,) = windows([2, 1, 3], room=6, overlap=0.25)
    assert (only.start, only.end, only.own_start, only.own_end) == (0, 3, 0, 3)


def test_no_words_no_windows() -> None:
    assert windows([], room=6, overlap=0.25) == []


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5])
def test_every_word_is_owned_once_and_seen_by_its_owner(overlap: float) -> None:
    rng = random.Random(3)
    for _ in range(300):
        room = rng.randint(1, 30)
        lengths = [rng.randint(1, min(room, 9)) for _ in range(rng.randint(1, 120))]
        cut = windows(lengths, room, overlap)
        owned = [word for window in cut for word in range(window.own_start, window.own_end)]
        assert owned == list(range(len(lengths)))
        for window in cut:
            assert window.start <= window.own_start <= window.own_end <= window.end
            assert sum(lengths[window.start : window.end]) <= room


def test_neighbours_share_words_and_each_answers_its_half() -> None:
    first, second = windows([1] * 15, room=10, overlap=0.4)
    assert (first.end, second.start) == (10, 6)
    assert first.own_end == second.own_start == 8
