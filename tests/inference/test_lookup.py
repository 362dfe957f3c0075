"""The nearest texts, and whether the right ones are among them."""

import numpy as np
import pytest

from rag_lightning.inference import lookup
from rag_lightning.inference.lookup import nearest, recall_at


def test_nearest_first_and_of_equals_the_first() -> None:
    known = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    found = nearest(np.array([[1.0, 0.0]]), known, 3)
    assert found.places.tolist() == [[1, 2, 0]] and found.cosines.tolist() == [[1.0, 1.0, 0.0]]


def test_many_queries_are_answered_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, known = rng.normal(size=(7, 4)), rng.normal(size=(9, 4))
    monkeypatch.setattr(lookup, "_AT_A_TIME", 3)
    together = nearest(queries, known, 4)
    alone = [nearest(query[None], known, 4) for query in queries]
    assert together.places.tolist() == [each.places[0].tolist() for each in alone]
    np.testing.assert_allclose(together.cosines, np.concatenate([each.cosines for each in alone]))


def test_fewer_known_than_asked_for_and_no_query() -> None:
    assert nearest(np.eye(2), np.eye(2)[:1], 5).places.shape == (2, 1)
    assert nearest(np.zeros((0, 2)), np.eye(2), 5).places.shape == (0, 2)
    with pytest.raises(ValueError):
        nearest(np.eye(2), np.zeros((0, 2)), 1)


def test_recall_counts_a_query_once() -> None:
    found = [["a", "b", "a"], ["b", "b", "c"], ["c", "a", "b"]]
    assert recall_at(found, ["a", "c", "x"], (1, 3)) == {1: pytest.approx(1 / 3), 3: pytest.approx(2 / 3)}
