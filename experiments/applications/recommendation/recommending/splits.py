"""Who knew what when: each user's last ratings are to be found, some films are kept from all training."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommending.movielens import LIKED, Ratings

HELD = {"valid": 0.1, "test": 0.2}  # share of a user's ratings, the test part last in time
COLD = {"valid": 0.1, "test": 0.2}  # share of the films whose ratings nobody is shown
HISTORY = 8  # liked titles in a text
PAIRS = 12  # training pairs of a user at most
SEED = 0


@dataclass(frozen=True)
class Parts:
    """The ratings of each user cut in time, and the films that are cold.

    Attributes:
        past, valid, test: user -> films rated, in the order of time.
        cold: "valid" and "test" -> films whose ratings no method learns from.
        warm: all other films.
    """

    past: dict[int, list[int]]
    valid: dict[int, list[int]]
    test: dict[int, list[int]]
    cold: dict[str, frozenset[int]]
    warm: frozenset[int]


@dataclass(frozen=True)
class View:
    """A moment of each user: what is known by then, what may be shown, what should be found.

    Attributes:
        films: the candidates, which are the columns.
        users: the rows.
        history: of each user the liked warm films, the latest last.
        moments: of each user the time of the last rating that is known, in seconds since 1970.
        open: (users, films), whether the film may be shown: those that the user has rated already may not.
        relevant: (users, films), whether the user liked the film later on.
    """

    films: list[int]
    users: list[int]
    history: list[list[int]]
    moments: NDArray[np.float64]
    open: NDArray[np.bool_]
    relevant: NDArray[np.bool_]


def cut(ratings: Ratings, seed: int = SEED) -> Parts:
    """Cut each user's ratings in time and draw the cold films.

    The last 20 % of a user's ratings are the test part, the 10 % before them the validation part, at least one rating
    each; of users with fewer than three ratings all are past.
    """
    past, valid, test = {}, {}, {}
    for user, stars in ratings.stars.items():
        films = list(stars)
        tested, validated = (max(1, round(HELD[part] * len(films))) for part in ("test", "valid"))
        first = len(films) - tested
        if len(films) < 3:
            tested, validated, first = 0, 0, len(films)
        past[user], valid[user], test[user] = (
            films[: first - validated],
            films[first - validated : first],
            films[first:],
        )
    drawn = sorted(ratings.titles)
    random.Random(seed).shuffle(drawn)
    tests, valids = (round(COLD[part] * len(drawn)) for part in ("test", "valid"))
    cold = {"test": frozenset(drawn[:tests]), "valid": frozenset(drawn[tests : tests + valids])}
    return Parts(past, valid, test, cold, frozenset(drawn[tests + valids :]))


def view(ratings: Ratings, parts: Parts, part: str, cold: bool) -> View:
    """What is to be ranked in a part, ``valid`` or ``test``, for warm or for cold films.

    In the test part the validation part is known. Users without a liked film in their history are left out; users
    without a relevant film stay: what they like is known, and the metrics leave them out.
    """
    films = sorted(parts.cold[part] if cold else parts.warm)
    column = {film: number for number, film in enumerate(films)}
    users, history, moments, opened, relevant = [], [], [], [], []
    for user, past in parts.past.items():
        known = past + parts.valid[user] if part == "test" else past
        later = parts.test[user] if part == "test" else parts.valid[user]
        stars = ratings.stars[user]
        liked = [film for film in known if film in parts.warm and stars[film] >= LIKED]
        if not liked:
            continue
        users.append(user)
        history.append(liked)
        moments.append(ratings.times[user][known[-1]])
        opened.append(~_marked(known, column))
        relevant.append(_marked([film for film in later if stars[film] >= LIKED], column))
    return View(films, users, history, np.array(moments, dtype=float), np.array(opened), np.array(relevant))


def _marked(films: Sequence[int], column: dict[int, int]) -> NDArray[np.bool_]:
    """Which columns are those of the films, (columns,)."""
    row = np.zeros(len(column), dtype=bool)
    row[[column[film] for film in films if film in column]] = True
    return row


# --- texts -----------------------------------------------------------------------------------------------------------


def told(titles: Sequence[str]) -> str:
    """What a user liked, as the model reads it."""
    return "; ".join(titles)


def pairs(ratings: Ratings, parts: Parts, seed: int = SEED) -> dict[str, list[dict[str, str]]]:
    """Texts that belong together: some titles that a user liked, and the title that the user liked next.

    Only the past and warm films are learnt from. Histories have 1 to 8 titles, so that short ones are learnt too. One
    pair of each user's validation and test part is for the run's own report.
    """
    rng = random.Random(seed)
    found: dict[str, list[dict[str, str]]] = {"train": [], "valid": [], "test": []}
    for user, past in parts.past.items():
        stars = ratings.stars[user]
        liked = [film for film in past if film in parts.warm and stars[film] >= LIKED]
        places = range(1, len(liked))
        for place in sorted(rng.sample(places, min(PAIRS, len(places)))):
            length = rng.randint(1, HISTORY)
            found["train"].append(_pair(ratings, liked[max(0, place - length) : place], liked[place]))
        for part, later in (("valid", parts.valid[user]), ("test", parts.test[user])):
            first = next((film for film in later if film in parts.warm and stars[film] >= LIKED), None)
            if liked and first is not None:
                found[part].append(_pair(ratings, liked[-HISTORY:], first))
    return found


def _pair(ratings: Ratings, history: Sequence[int], film: int) -> dict[str, str]:
    return {"first": told([ratings.titles[each] for each in history]), "second": ratings.text(film)}
