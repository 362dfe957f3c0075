"""How sure it is that the best setting is the best."""

from dataclasses import dataclass

from rag_lightning.leaderboard.rows import Leaderboard, Mean, Row
from rag_lightning.report.text import cell, duration
from rag_lightning.sweep.record import State

# Welch's test between the best and another one: above this share the difference may well be chance.
CHANCE = 0.05
_TOLD: dict[str, str] = {
    "hopeless": "stopped early as hopeless",
    "waiting": "not begun",
    "running": "running",
}


@dataclass(frozen=True)
class Verdict:
    """The answer in sentences, which are empty where there is nothing to say."""

    counts: str
    best: str
    sure: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.counts, self.best, self.sure) if part)


def verdict(board: Leaderboard) -> Verdict:
    """How many trials there are, which setting is best, and how sure that is."""
    ranked = board.ranked
    if not ranked:
        return Verdict(_counts(board), "None has a score yet.", "")
    best = ranked[0]
    return Verdict(_counts(board), _best(board, best), _sure(board, best))


def close_to_best(board: Leaderboard) -> int | None:
    """How many settings cannot be told from the best by their seeds; None where there are too few to say."""
    first, *others = board.ranked or (None,)
    if first is None or first.score is None or first.score.spread is None:
        return None
    chances = [_chance(first.score, row.score) for row in others if row is not None and row.score is not None]
    known = [chance for chance in chances if chance is not None]
    return sum(chance >= CHANCE for chance in known) if known else None


def plus_minus(mean: Mean | None, percent: bool = False) -> str:
    """``0.912 ± 0.004``; ``91.2 %`` where it is a share."""
    if mean is None:
        return "–"
    scale, form, unit = (100, ".1f", " %") if percent else (1, ".3f", "")
    number = cell(mean.mean) if not percent else f"{100 * mean.mean:{form}}"
    return f"{number}{unit}" if mean.spread is None else f"{number} ± {scale * mean.spread:{form}}{unit}"


def _counts(board: Leaderboard) -> str:
    total = sum(board.states.values())
    settings = f" of {len(board.rows)} settings" if 0 < len(board.rows) < total else ""
    each = [f"{number:,} {_TOLD.get(state, state)}" for state, number in board.states.items()]
    seconds = sum(record.seconds for row in board.rows for record in row.records)
    time = f", {duration(seconds)} of computing" if seconds else ""
    return f"{_many(total, 'trial')}{settings}: {', '.join(each)}{time}."


def _best(board: Leaderboard, best: Row) -> str:
    seeds = f" over {_many(len(best.finished), 'seed')}" if board.seeds else ""
    metric = f"validation {board.question.headline} {plus_minus(best.score)}{seeds}"
    more = [f"test {plus_minus(best.test)}"] if best.test else []
    more += [f"{plus_minus(best.worst, percent=True)} of what it knew is kept"] if best.worst else []
    return f"Best: {board.name(best)} with {metric}{' (' + ', '.join(more) + ')' if more else ''}."


def _sure(board: Leaderboard, best: Row) -> str:
    others = board.ranked[1:]
    if not others or best.score is None or others[0].score is None:
        return ""
    second = others[0]
    gap = abs(best.score.mean - others[0].score.mean)
    behind = f"The second, {board.name(second)}, is {gap:.3f} behind"
    if best.score.spread is None:
        more = "" if board.seeds else " How sure that is, one seed cannot tell: add seed=1,2,3 to the sweep."
        return f"{behind}.{more}"
    chance = _chance(best.score, others[0].score)
    if chance is None:
        return f"{behind}; it has too few seeds to tell whether that is chance."
    if chance >= CHANCE:
        close = close_to_best(board) or 1
        number = "it" if close == 1 else f"{close:,} other settings"
        return f"{behind}, which is within what seeds alone change: {number} cannot be told from the best."
    return f"{behind}, more than seeds alone explain (Welch's test, p = {chance:.2g})."


def _chance(first: Mean, other: Mean) -> float | None:
    """The p-value of Welch's test between two means; None with a single seed."""
    if first.spread is None or other.spread is None:
        return None
    if first.spread == other.spread == 0:
        return 1.0 if first.mean == other.mean else 0.0
    from scipy.stats import ttest_ind_from_stats

    n, m = len(first.values), len(other.values)
    found = ttest_ind_from_stats(first.mean, first.spread, n, other.mean, other.spread, m, equal_var=False)
    return float(found.pvalue)


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def told_state(state: State | str) -> str:
    """A state as a reader understands it."""
    return _TOLD.get(state, str(state))
