"""What is known of a film for a user: the scores that are combined, each (users, films), and the baselines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommending.movielens import Ratings
from recommending.splits import View

DAY = 86_400.0
Scores = NDArray[np.float64]


def likes(histories: Sequence[Sequence[int]], films: Sequence[int]) -> Scores:
    """1 where a user's history has a film, (users, films)."""
    column = {film: number for number, film in enumerate(films)}
    found = np.zeros((len(histories), len(films)))
    for row, history in enumerate(histories):
        found[row, [column[film] for film in history if film in column]] = 1.0
    return found


def popularity(liked: Scores) -> NDArray[np.float64]:
    """How many users liked each film, as log(1 + n), (films,)."""
    return np.log1p(liked.sum(axis=0))


def trend(
    events: Sequence[tuple[float, int]], moments: NDArray[np.float64], films: Sequence[int], half_life: float
) -> Scores:
    """Popularity that forgets: log(1 + sum of 2^(-age / half-life)) over the likes until each user's moment.

    The only score that knows nothing of what came after that moment.

    Args:
        events: time and film of each like, in any order; films without a column are passed over.
        moments: of each user, in seconds.
        films: the columns.
        half_life: in days.
    """
    column = {film: number for number, film in enumerate(films)}
    order = sorted((time, column[film]) for time, film in events if film in column)
    mass, now, given = np.zeros(len(films)), 0.0, 0
    found = np.zeros((len(moments), len(films)))
    for row in np.argsort(moments, kind="stable"):
        while given < len(order) and order[given][0] <= moments[row]:
            time, film = order[given]
            mass *= 0.5 ** ((time - now) / DAY / half_life)
            now = time
            mass[film] += 1.0
            given += 1
        found[row] = np.log1p(mass * 0.5 ** ((moments[row] - now) / DAY / half_life))
    return found


def newness(ratings: Ratings, view: View) -> Scores:
    """How lately a film came out: -log(1 + years) at each user's moment; 30 years where the day is unknown."""
    released = np.array([ratings.released[film] for film in view.films])
    years = (view.moments[:, None] - released[None, :]) / DAY / 365.25
    return -np.log1p(np.clip(np.where(released == 0, 30.0, years), 0.0, None))


def item_knn(community: Scores, own: Scores, neighbours: int) -> Scores:
    """Item-based nearest neighbours (Sarwar et al. 2001): for each film the sum of its similarities to what the user
    liked, each film having its ``neighbours`` most similar ones.

    The similarity of two films is the cosine of the columns of who liked them: users who liked both, by the root of the
    product of how many liked each.

    Args:
        community: (users, films), 1 where liked; what is learnt from.
        own: (others, films), 1 where liked; whom films are recommended to.
        neighbours: at least 1.
    """
    counts = community.sum(axis=0)
    similar = community.T @ community / np.sqrt(np.maximum(counts[:, None] * counts[None, :], 1.0))
    np.fill_diagonal(similar, 0.0)
    if neighbours < len(similar):
        least = np.partition(similar, -neighbours, axis=0)[-neighbours]  # of each film that may be shown
        similar = np.where(similar >= least, similar, 0.0)
    return own @ similar


def same_genres(ratings: Ratings, histories: Sequence[Sequence[int]], films: Sequence[int]) -> Scores:
    """Cosine of a film's genres with the genres of what the user liked, counted."""
    names = sorted({name for genres in ratings.genres.values() for name in genres.split(", ") if name})
    place = {name: number for number, name in enumerate(names)}

    def counted(those: Sequence[int]) -> NDArray[np.float64]:
        row = np.zeros(len(names))
        for film in those:
            row[[place[name] for name in ratings.genres[film].split(", ") if name]] += 1.0
        return row / max(1e-12, float(np.linalg.norm(row)))

    return np.array([counted(history) for history in histories]) @ np.array([counted([film]) for film in films]).T


def standard(scores: Scores, open_: NDArray[np.bool_]) -> Scores:
    """z-scores over the films that each user may be shown; 0 for the others, and where all scores are equal."""
    count = open_.sum(axis=1, keepdims=True).clip(1)
    mean = (scores * open_).sum(axis=1, keepdims=True) / count
    deviation = np.sqrt((((scores - mean) * open_) ** 2).sum(axis=1, keepdims=True) / count)
    return np.where(open_ & (deviation > 1e-9), (scores - mean) / np.maximum(deviation, 1e-9), 0.0)
