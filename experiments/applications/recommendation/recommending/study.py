"""The study: weights and settings from validation, every way of ranking on the test part, histories made short."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recommending.blend import Blend, fit
from recommending.evaluate import METRICS, counted, interval, per_user, table
from recommending.features import Scores, item_knn, likes, newness, popularity, same_genres, trend
from recommending.interest import Embed, interest, texts_of
from recommending.movielens import Ratings
from recommending.splits import Parts, View, view

HALF_LIVES = (7.0, 30.0, 90.0)  # days
NEIGHBOURS = (10, 30, 100, 1000)
LENGTHS = (1, 2, 4, 8)  # of a history made short
COUNTS = ("popularity", "recency", "item-kNN")  # what needs ratings of a film
TOGETHER, NO_TEXT, TEXT, UNTRAINED = "all together", "all but the text", "interest by text", "text, before training"
CHANCE, GENRES = "chance", "same genres"


@dataclass(frozen=True)
class Settings:
    """What validation chose: days in which a like loses half its weight, similar films of each film."""

    half_life: float
    neighbours: int


@dataclass(frozen=True)
class World:
    """The ratings cut in time, and how texts become vectors."""

    ratings: Ratings
    parts: Parts
    embed: Embed

    def interest(self, scene: View, embed: Embed | None = None) -> Scores:
        users = [texts_of([self.ratings.titles[film] for film in history]) for history in scene.history]
        return interest(embed or self.embed, users, [self.ratings.text(film) for film in scene.films])

    def counted(self, scene: View, known: View, settings: Settings) -> dict[str, Scores]:
        """Popularity, recency and item-kNN of warm films for the users of ``scene``; ``known`` is the community."""
        community = likes(known.history, scene.films)
        return {
            "popularity": np.tile(popularity(community), (len(scene.users), 1)),
            "recency": trend(self.events(known), scene.moments, scene.films, settings.half_life),
            "item-kNN": item_knn(community, likes(scene.history, scene.films), settings.neighbours),
        }

    def events(self, known: View) -> list[tuple[float, int]]:
        rows = zip(known.users, known.history, strict=True)
        return [(self.ratings.times[user][film], film) for user, history in rows for film in history]

    def view(self, part: str, cold: bool = False) -> View:
        return view(self.ratings, self.parts, part, cold)


def study(world: World, before: Embed) -> tuple[dict[str, Any], Blend]:
    """All figures, and the weights for warm films.

    Args:
        world: the ratings, and texts as vectors by the trained model.
        before: the same by the model before training.
    """
    valid, test = world.view("valid"), world.view("test")
    settings = choose(world, valid)
    warm, blend, short = _warm(world, before, valid, test, settings)
    found = {
        "films": len(world.ratings.titles), "users": len(world.ratings.stars),
        "ratings": sum(map(len, world.ratings.stars.values())), "settings": asdict(settings),
        "warm": warm, "cold": _cold(world, before), "short histories": short,
    }  # fmt: skip
    return found, blend


def choose(world: World, valid: View) -> Settings:
    """Half-life and neighbours with the best nDCG@10 on validation, each by itself."""

    def best(name: str, choices: Sequence[Settings]) -> Settings:
        return max(choices, key=lambda each: _ndcg(world.counted(valid, valid, each)[name], valid))

    half = best("recency", [Settings(days, NEIGHBOURS[0]) for days in HALF_LIVES]).half_life
    return Settings(half, best("item-kNN", [Settings(half, number) for number in NEIGHBOURS]).neighbours)


def _ndcg(scores: Scores, scene: View) -> float:
    return float(per_user(scores, scene.open, scene.relevant)[METRICS[0]].mean())


def _warm(
    world: World, before: Embed, valid: View, test: View, settings: Settings
) -> tuple[dict[str, Any], Blend, dict[str, Any]]:
    known = {TEXT: world.interest(valid), **world.counted(valid, valid, settings)}
    scores = {TEXT: world.interest(test), **world.counted(test, test, settings)}
    blend = fit(known, valid.open, valid.relevant)
    without = fit({name: known[name] for name in COUNTS}, valid.open, valid.relevant)
    rows = {
        CHANCE: np.zeros(test.open.shape), **{name: scores[name] for name in COUNTS},
        GENRES: same_genres(world.ratings, test.history, test.films),
        UNTRAINED: world.interest(test, before), TEXT: scores[TEXT],
        NO_TEXT: without.score(scores, test.open), TOGETHER: blend.score(scores, test.open),
    }  # fmt: skip
    community = likes(test.history, test.films).sum(axis=0)
    told, single = table(rows, test.open, test.relevant, community, len(test.users))
    found = {
        "users": int(len(single[TEXT])), "films": len(test.films), "relevant": int(test.relevant.sum()),
        "table": told, "weights": blend.weights, "weights without text": without.weights,
        "differences": _differences(single, [(TOGETHER, NO_TEXT), (TOGETHER, "item-kNN"), (TEXT, "item-kNN"),
                                             (TEXT, "popularity"), (TEXT, UNTRAINED)]),
    }  # fmt: skip
    return found, blend, _short(world, valid, test, settings)


def _cold(world: World, before: Embed) -> dict[str, Any]:
    """Films that nobody has rated: popularity, recency of likes and item-kNN are equal for all, which is chance."""
    valid, test = world.view("valid", cold=True), world.view("test", cold=True)
    known = {TEXT: world.interest(valid), "newness": newness(world.ratings, valid)}
    scores = {TEXT: world.interest(test), "newness": newness(world.ratings, test)}
    blend = fit(known, valid.open, valid.relevant)
    rows = {
        CHANCE: np.zeros(test.open.shape), "newness": scores["newness"],
        GENRES: same_genres(world.ratings, test.history, test.films),
        UNTRAINED: world.interest(test, before), TEXT: scores[TEXT], TOGETHER: blend.score(scores, test.open),
    }  # fmt: skip
    told, single = table(rows, test.open, test.relevant)
    return {
        "users": int(len(single[TEXT])), "films": len(test.films), "relevant": int(test.relevant.sum()),
        "table": told, "weights": blend.weights,
        "differences": _differences(single, [(TEXT, CHANCE), (TEXT, GENRES), (TEXT, UNTRAINED), (TOGETHER, TEXT)]),
    }  # fmt: skip


def _short(world: World, valid: View, test: View, settings: Settings) -> dict[str, Any]:
    """The same users as if only their last 1, 2, 4 or 8 liked films were known; weights fitted for each length."""
    fitting, asked = (_with_history(scene, max(LENGTHS)) for scene in (valid, test))
    found: dict[str, Any] = {"users": int(len(counted(asked.open, asked.relevant))), "lengths": {}}
    if not found["users"] or not counted(fitting.open, fitting.relevant).size:
        return found
    for length in (*LENGTHS, None):
        known, scores = (
            {TEXT: world.interest(scene), **world.counted(scene, community, settings)}
            for scene, community in ((_last(fitting, length), valid), (_last(asked, length), test))
        )
        rows = {name: scores[name] for name in ("popularity", "item-kNN", TEXT)}
        for name, those in ((NO_TEXT, COUNTS), (TOGETHER, tuple(known))):
            chosen = fit({each: known[each] for each in those}, fitting.open, fitting.relevant)
            rows[name] = chosen.score(scores, asked.open)
            weights = chosen.weights
        single = {name: per_user(each, asked.open, asked.relevant)[METRICS[0]] for name, each in rows.items()}
        found["lengths"][str(length or "all")] = {
            **{name: interval(values).told() for name, values in single.items()},
            "weights": weights,
            "differences": _differences(single, [(TOGETHER, NO_TEXT), (TEXT, "item-kNN")]),
        }
    return found


def _with_history(scene: View, least: int) -> View:
    rows = [row for row, history in enumerate(scene.history) if len(history) >= least]
    return View(
        scene.films, [scene.users[row] for row in rows], [scene.history[row] for row in rows], scene.moments[rows],
        scene.open[rows], scene.relevant[rows],
    )  # fmt: skip


def _last(scene: View, length: int | None) -> View:
    return scene if length is None else replace(scene, history=[history[-length:] for history in scene.history])


def _differences(single: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
    """Of nDCG@10 between two ways for the same users, with its interval."""
    return {f"{one} - {other}": interval(single[one] - single[other]).told() for one, other in pairs}
