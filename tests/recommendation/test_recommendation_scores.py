"""Splits, scores and metrics of recommendations, against values worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from recommending.blend import Blend, fit
from recommending.evaluate import coverage, interval, novelty, per_user, table, top
from recommending.features import DAY, item_knn, likes, newness, popularity, same_genres, standard, trend
from recommending.interest import interest, texts_of
from recommending.movielens import Ratings, read, spoken
from recommending.sample import sample
from recommending.splits import Parts, cut, pairs, view

from rag_lightning.errors import UserError


def ratings_of(stars: dict[int, dict[int, int]], films: int = 6) -> Ratings:
    """Ratings one day apart; film n is called ``film n`` and came out on day -365 n."""
    times = {user: {film: place * DAY for place, film in enumerate(own)} for user, own in stars.items()}
    numbers = range(1, films + 1)
    return Ratings(
        {n: f"film {n}" for n in numbers}, {n: "comedy" if n % 2 else "crime, drama" for n in numbers},
        {n: -365.25 * DAY * n for n in numbers}, stars, times,
    )  # fmt: skip


# --- splits ----------------------------------------------------------------------------------------------------------


def test_the_last_ratings_are_the_test_and_those_before_them_validation() -> None:
    many, three, two = dict.fromkeys(range(10, 0, -1), 5), {4: 5, 5: 5, 6: 5}, {1: 5, 2: 5}
    parts = cut(ratings_of({1: many, 2: three, 3: two}, films=10))
    assert (parts.past[1], parts.valid[1], parts.test[1]) == ([10, 9, 8, 7, 6, 5, 4], [3], [2, 1])
    assert (parts.past[2], parts.valid[2], parts.test[2]) == ([4], [5], [6])
    assert (parts.past[3], parts.valid[3], parts.test[3]) == ([1, 2], [], [])
    assert (len(parts.cold["test"]), len(parts.cold["valid"]), len(parts.warm)) == (2, 1, 7)
    assert parts.cold["test"] | parts.cold["valid"] | parts.warm == set(range(1, 11))


PARTS = Parts(
    past={7: [1, 2, 5], 8: [2]}, valid={7: [3], 8: []}, test={7: [4, 6, 1], 8: []},
    cold={"test": frozenset({5, 6}), "valid": frozenset()}, warm=frozenset({1, 2, 3, 4}),
)  # fmt: skip
STARS = {7: {1: 4, 2: 3, 5: 5, 3: 5, 4: 4, 6: 5}, 8: {2: 1}}


def test_a_view_knows_the_past_and_hides_what_was_rated() -> None:
    warm = view(ratings_of(STARS), PARTS, "test", cold=False)
    assert (warm.users, warm.films) == ([7], [1, 2, 3, 4])  # user 8 liked nothing
    assert warm.history == [[1, 3]]  # 2 was not liked, 5 is cold
    assert warm.open.tolist() == [[False, False, False, True]]
    assert warm.relevant.tolist() == [[True, False, False, True]]  # 1 is relevant but not open: it does not count
    assert warm.moments.tolist() == [3 * DAY]
    early = view(ratings_of(STARS), PARTS, "valid", cold=False)
    assert early.history == [[1]]
    assert early.open.tolist() == [[False, False, True, True]]
    assert early.relevant.tolist() == [[False, False, True, False]]


def test_a_cold_view_shows_cold_films_only() -> None:
    cold = view(ratings_of(STARS), PARTS, "test", cold=True)
    assert (cold.films, cold.open.tolist(), cold.relevant.tolist()) == ([5, 6], [[False, True]], [[False, True]])
    assert cold.history == [[1, 3]]


def test_training_shows_neither_cold_films_nor_what_came_later() -> None:
    ratings = sample()
    parts = cut(ratings)
    shown = pairs(ratings, parts)
    warm = {ratings.text(film) for film in parts.warm}
    titles = {ratings.titles[film] for film in parts.warm}
    past = {(user, film) for user, films in parts.past.items() for film in films}
    assert len(shown["train"]) > 300
    for pair in shown["train"]:
        assert pair["second"] in warm and set(pair["first"].split("; ")) <= titles
    liked_late = [
        ratings.text(film) for film in parts.warm if not any((user, film) in past for user in ratings.stars)
    ]  # nobody rated them in the past: no training pair may have them
    assert not {pair["second"] for pair in shown["train"]} & set(liked_late)
    assert pairs(ratings, parts) == shown
    assert max(len(pair["first"].split("; ")) for pair in shown["train"]) == 8


# --- scores ----------------------------------------------------------------------------------------------------------


COMMUNITY = likes([[10, 11], [10, 11], [10, 12]], [10, 11, 12])


def test_popularity_counts_likes() -> None:
    assert popularity(COMMUNITY) == pytest.approx(np.log([4, 3, 2]))


def test_recency_halves_and_does_not_look_ahead() -> None:
    events = [(0.0, 10), (30 * DAY, 11), (31 * DAY, 12), (0.0, 99)]
    scores = trend(events, np.array([30, 60, -1]) * DAY, [10, 11, 12], half_life=30)
    assert np.expm1(scores) == pytest.approx(np.array([[0.5, 1, 0], [0.25, 0.5, 0.5 ** (29 / 30)], [0, 0, 0]]))


def test_item_knn_sums_cosines_of_the_nearest() -> None:
    own = likes([[10], [11], [12], [11, 12]], [10, 11, 12])
    near, far = 2 / 6**0.5, 1 / 3**0.5
    assert item_knn(COMMUNITY, own, 10) == pytest.approx(
        np.array([[0, near, far], [near, 0, 0], [far, 0, 0], [near + far, 0, 0]])
    )
    # With one neighbour for each film, film 10 has 11 only; 12 has 10, its own nearest.
    assert item_knn(COMMUNITY, own, 1) == pytest.approx(
        np.array([[0, near, far], [near, 0, 0], [0, 0, 0], [near, 0, 0]])
    )


def test_newness_and_genres() -> None:
    ratings = ratings_of(STARS)
    ratings.released[2] = 0.0
    scene = view(ratings, PARTS, "test", cold=False)
    years = np.array([1, 30, 3, 4]) + np.array([1, 0, 1, 1]) * 3 / 365.25
    assert newness(ratings, scene)[0] == pytest.approx(-np.log1p(years))
    # comedy twice and crime, drama once, against comedy and against crime, drama
    assert same_genres(ratings, [[1, 3, 2]], [5, 6])[0] == pytest.approx([2 / 6**0.5, 2 / 12**0.5])


def test_standard_scores_count_what_may_be_shown_only() -> None:
    open_ = np.array([[True, True, False], [True, True, True]])
    assert standard(np.array([[1.0, 3.0, 100.0], [2.0, 2.0, 2.0]]), open_).tolist() == [[-1, 1, 0], [0, 0, 0]]


def test_interest_is_the_mean_cosine_of_the_texts() -> None:
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0], "x": [0.6, 0.8]}
    scores = interest(lambda texts: np.array([vectors[text] for text in texts]), [["a"], ["b", "a"]], ["x", "a"])
    assert scores == pytest.approx(np.array([[0.6, 1.0], [0.7, 0.5]]))


def test_a_long_history_is_read_eight_titles_at_a_time_from_its_end() -> None:
    titles = [str(number) for number in range(20)]
    assert texts_of(titles) == ["; ".join(titles[12:]), "; ".join(titles[4:12]), "; ".join(titles[:4])]
    assert len(texts_of(titles * 5)) == 4


def test_the_fitted_weights_find_what_tells() -> None:
    rng = np.random.default_rng(1)
    told, noise = rng.normal(size=(2, 40, 60))
    open_ = rng.random((40, 60)) < 0.9
    relevant = rng.random((40, 60)) < 1 / (1 + np.exp(3 - 2 * told))
    blend = fit({"told": told, "noise": noise, "against": -2 * told}, open_, relevant)
    assert abs(blend.weights["noise"]) < 0.2
    assert blend.weights["told"] == pytest.approx(-blend.weights["against"])
    assert blend.weights["told"] + -blend.weights["against"] == pytest.approx(2.0, abs=0.4)
    parts = Blend({"told": 2.0, "noise": -1.0}).parts({"told": told, "noise": noise}, open_)
    assert parts["told"] - standard(noise, open_) == pytest.approx(
        Blend({"told": 2.0, "noise": -1.0}).score({"told": told, "noise": noise}, open_)
    )


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_each_user_who_can_be_served_is_scored_over_all_open_films() -> None:
    open_ = np.array([[True] * 4, [True, True, True, False], [True] * 4])
    relevant = np.array([[False, False, True, False], [False, False, False, True], [True, False, False, True]])
    scores = np.array([[3.0, 2.0, 1.0, 0.0]] * 3)
    found = per_user(scores, open_, relevant)  # the second user's only liked film may not be shown
    assert found["ndcg@10"] == pytest.approx([0.5, (1 + 1 / np.log2(5)) / (1 + 1 / np.log2(3))])
    assert found["recall@10"].tolist() == [1.0, 1.0]
    assert found["map"] == pytest.approx([1 / 3, (1 + 2 / 4) / 2])
    told, single = table({"ranked": scores, "chance": np.zeros((3, 4))}, open_, relevant)
    assert told["ranked"]["ndcg@10"][0] == pytest.approx(single["ranked"].mean(), abs=1e-4)  # type: ignore[index]
    assert single["chance"][0] == pytest.approx(np.mean(1 / np.log2([2, 3, 4, 5])))
    assert "novelty@10" not in told["chance"]


def test_lists_coverage_and_novelty() -> None:
    lists = top(np.array([[1.0, 3.0, 2.0, 9.0], [0.0, 0.0, 5.0, 1.0]]), np.array([[True, True, True, False]] * 2), k=2)
    assert lists[0].tolist() == [1, 2] and lists[1][0] == 2 and lists[1][1] in (0, 1)
    assert coverage([np.array([0, 1]), np.array([1])], 4) == 0.5
    assert novelty([np.array([0, 1]), np.array([1])], np.array([3.0, 0.0]), users=3) == pytest.approx(4 / 3)


def test_an_interval_is_as_wide_as_the_spread_of_a_mean() -> None:
    assert interval(np.full(7, 0.25)).told() == [0.25, 0.25, 0.25]
    coin = interval(np.array([0.0, 1.0] * 50))
    assert (coin.mean, coin.low, coin.high) == (0.5, pytest.approx(0.402, abs=0.015), pytest.approx(0.598, abs=0.015))


# --- MovieLens -------------------------------------------------------------------------------------------------------


def test_movielens_is_read_as_it_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "u.genre").write_text("unknown|0\nComedy|1\nDrama|2\n\n", encoding="latin-1")
    films = "1|Caf\xe9, The (1990)|02-Jan-1970||url|0|1|1\n2|unknown||||1|0|0\n"
    (tmp_path / "u.item").write_text(films, encoding="latin-1")
    (tmp_path / "u.data").write_text("5\t2\t3\t900\n5\t1\t4\t800\n", encoding="utf-8")
    ratings = read(tmp_path)
    assert ratings.text(1) == "The Caf\xe9 (1990), comedy, drama" and ratings.titles[2] == "unknown"
    assert ratings.stars == {5: {1: 4, 2: 3}} and list(ratings.stars[5]) == [1, 2]
    assert ratings.times == {5: {1: 800.0, 2: 900.0}} and ratings.released == {1: DAY, 2: 0.0}
    assert ratings.liked(5, {1, 2}) == [1]
    assert spoken("Heat (1995)") == "Heat (1995)"
    (tmp_path / "u.item").unlink()
    with pytest.raises(UserError, match=r"there is no file u\.item"):
        read(tmp_path)


def test_the_sample_is_the_same_each_time_and_has_tastes_in_it() -> None:
    ratings = sample()
    assert ratings == sample() and ratings != sample(seed=1)
    assert (len(ratings.titles), len(set(ratings.titles.values())), len(ratings.stars)) == (60, 60, 60)
    for user, stars in ratings.stars.items():
        assert list(ratings.times[user].values()) == sorted(ratings.times[user].values())
        assert all(ratings.times[user][film] >= ratings.released[film] for film in stars)
    liked = [len({ratings.genres[film] for film in ratings.liked(user, ratings.titles)}) for user in ratings.stars]
    rated = [len({ratings.genres[film] for film in stars}) for stars in ratings.stars.values()]
    assert np.mean(liked) < np.mean(rated) - 1
