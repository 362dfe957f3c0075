"""Bernoulli CUSUM (Page 1954): has the share of negative messages risen? With its exact average run length.

Each message is negative with probability p. The chart sums log likelihood ratios of "surge" against "as usual",

    S <- max(0, S + log(P(x | p1) / P(x | p0))),        x = 1 for negative, else 0,

and alarms at S >= h. Divided by the log odds ratio, a negative message adds 1 - g and another one takes g away, with
g = log((1 - p0) / (1 - p1)) / log(odds ratio). With g as a fraction of whole numbers S is a whole number too: its state
is kept without rounding, and the Markov chain of Brook & Evans (1972), approximate for charts of measurements, is exact
(Reynolds & Stoumbos 1999, who take g = 1/m).

Papers: Page, Biometrika 41 (1954); Brook & Evans, Biometrika 59 (1972); Reynolds & Stoumbos, J. Quality Technology 31
(1999); for the bound on an estimated share Gandy & Kvaloy, Scand. J. Statistics 40 (2013).
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

LEAST_SHARE, MOST_SHARE = 0.01, 0.95  # of negative messages as usual; outside, a surge is hardly defined
FINEST = 100  # parts of the step of a negative message


@dataclass(frozen=True, slots=True)
class Design:
    """A chart.

    Attributes:
        usual: p0, the share of negative messages as usual.
        surge: p1, the share that is to be found quickly.
        up: what a negative message adds to the score.
        down: what any other message takes away, down to 0.
        threshold: the score that alarms.
        run_length: messages until a false alarm, on average, at p0.
        delay: messages until the alarm at p1, on average, from a score of 0.
    """

    usual: float
    surge: float
    up: int
    down: int
    threshold: int
    run_length: float
    delay: float

    def step(self, score: int, negative: bool) -> int:
        """The score after one more message, never below 0; the alarm is at ``threshold`` or more."""
        return max(0, self._moved(score, negative))

    def fall(self, score: int, negative: bool) -> int:
        """The same in a surge: never above ``threshold``; the surge is over at 0 or less.

        It is the chart upside down, and so as slow to believe that all is as usual as the chart is to believe in a
        surge.
        """
        return min(self.threshold, self._moved(score, negative))

    def _moved(self, score: int, negative: bool) -> int:
        return score + self.up if negative else score - self.down


@lru_cache(maxsize=1024)
def design(usual: float, odds: float, run_length: float) -> Design:
    """The chart with the lowest threshold whose false alarms are ``run_length`` messages apart, or more, on average.

    Args:
        usual: p0, between 0 and 1; taken to be at least 0.01 and at most 0.95.
        odds: odds of a negative message in a surge over those as usual, above 1.
        run_length: messages, above 1.
    """
    usual = min(max(usual, LEAST_SHARE), MOST_SHARE)
    surge = odds * usual / (1 - usual + odds * usual)
    step = Fraction(math.log((1 - usual) / (1 - surge)) / math.log(odds)).limit_denominator(FINEST)
    down = max(step.numerator, 1)
    up = max(step.denominator - step.numerator, 1)
    high = up
    while average_run_length(usual, up, down, high) < run_length:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if average_run_length(usual, up, down, middle) < run_length else (low, middle)
    reached = average_run_length(usual, up, down, high)
    return Design(usual, surge, up, down, high, reached, average_run_length(surge, up, down, high))


def average_run_length(share: float, up: int, down: int, threshold: int, start: int = 0) -> float:
    """Messages until the alarm, on average, where each is negative with probability ``share``.

    The scores 0 … threshold - 1 are the states of a Markov chain with transitions Q; the mean numbers of steps until
    it leaves them solve (I - Q) n = 1 (Brook & Evans 1972). Q has one diagonal above and one below the main one.

    Args:
        start: the score now.
    """
    from scipy.linalg import solve_banded

    below, above = min(down, threshold - 1), min(up, threshold - 1)
    bands = np.zeros((above + 1 + below, threshold))  # bands[above + i - j, j] is the matrix's element (i, j)
    bands[above] = 1.0
    if up < threshold:
        bands[0, up:] -= share
    states = np.arange(threshold)
    target = np.maximum(states - down, 0)
    np.subtract.at(bands, (above + states - target, target), 1 - share)
    return float(solve_banded((below, above), bands, np.ones(threshold))[start])


def upper_bound(negative: int, messages: int, confidence: float) -> float:
    """The share of negative messages as usual, which is not larger with this confidence (Clopper & Pearson 1934).

    With the plain share of a few hundred messages, which may be too low by chance, false alarms would come several
    times as often as stated in one monitor out of two; with the bound in one of 1 / (1 - confidence).

    Args:
        negative: of the messages that were counted.
        messages: counted.
        confidence: from 0.5 to below 1.
    """
    from scipy.special import betaincinv

    if negative >= messages:
        return 1.0
    return float(betaincinv(negative + 1, messages - negative, confidence))
