"""How well predicted numbers agree with gold ones, for similarity as regression."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr

from rag_lightning.errors import UserError


def agreement_scores(gold: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """Correlations and mean absolute error.

    A correlation is undefined where all gold or all predicted values are equal, or where there is one pair only. It is
    given as 0 then: such predictions tell no two examples apart.

    Args:
        gold: finite numbers.
        predicted: in the same order.

    Returns:
        "pearson" and "spearman" in [-1, 1] (Spearman with mean ranks for ties), "mae" in units of the gold values.

    Raises:
        UserError: a prediction is NaN or infinite: the training went wrong.
        ValueError: gold and predicted differ in number, there are none, or a gold value is not finite.
    """
    x, y = np.asarray(gold, dtype=float), np.asarray(predicted, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or not x.size or not np.isfinite(x).all():
        raise ValueError(f"one prediction for each finite gold value: {x.shape} gold, {y.shape} predicted")
    lost = int((~np.isfinite(y)).sum())
    if lost:
        raise UserError(
            f"{lost:,} of {len(y):,} predicted values are not finite numbers",
            remedy="Lower optimizer.lr, set trainer.gradient_clip_val=1, or try trainer.precision=32-true.",
        )
    scores = {"pearson": 0.0, "spearman": 0.0, "mae": float(np.abs(x - y).mean())}
    if np.ptp(x) > 0 and np.ptp(y) > 0:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy's, of rounding in nearly constant values
            scores["pearson"] = _bounded(pearsonr(x, y).statistic)
            scores["spearman"] = _bounded(spearmanr(x, y).statistic)
    return scores


def _bounded(value: float) -> float:
    """0 for what rounding left undefined, and never beyond 1 by a rounding error."""
    return 0.0 if np.isnan(value) else float(np.clip(value, -1.0, 1.0))
