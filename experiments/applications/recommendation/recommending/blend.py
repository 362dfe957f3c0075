"""The scores in one: a logistic regression on z-scores, its weights fitted on what users liked next."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommending.features import Scores, standard

WRONG = 50  # films not liked that are drawn beside a user's liked ones
SEED = 0


@dataclass(frozen=True)
class Blend:
    """Weights of scores; a film's place is that of the weighted sum of its z-scores.

    Attributes:
        weights: name of a score -> change in log-odds for one standard deviation.
    """

    weights: dict[str, float]

    def parts(self, scores: Mapping[str, Scores], open_: NDArray[np.bool_]) -> dict[str, Scores]:
        """What each score adds, (users, films) each."""
        return {name: weight * standard(scores[name], open_) for name, weight in self.weights.items()}

    def score(self, scores: Mapping[str, Scores], open_: NDArray[np.bool_]) -> Scores:
        """The sum of the parts, (users, films)."""
        return np.sum(list(self.parts(scores, open_).values()), axis=0)


def fit(scores: Mapping[str, Scores], open_: NDArray[np.bool_], relevant: NDArray[np.bool_]) -> Blend:
    """Weights by which the liked films stand out among 50 others that each user may be shown.

    Drawing fewer of the others changes the intercept only, which no ranking depends on (King & Zeng 2001).

    Args:
        scores: name -> (users, films).
        open_: (users, films), what may be shown.
        relevant: (users, films), what was liked.
    """
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(SEED)
    users, films = [], []
    for user in np.flatnonzero((relevant & open_).any(axis=1)):
        right, wrong = np.flatnonzero(relevant[user] & open_[user]), np.flatnonzero(~relevant[user] & open_[user])
        chosen = np.concatenate([right, rng.choice(wrong, min(WRONG, len(wrong)), replace=False)])
        users.append(np.full(len(chosen), user))
        films.append(chosen)
    row, column = np.concatenate(users), np.concatenate(films)
    inputs = np.stack([standard(each, open_)[row, column] for each in scores.values()], axis=1)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(inputs, relevant[row, column])
    return Blend(dict(zip(scores, map(float, model.coef_[0]), strict=True)))
