"""The chart's run length is exact, and its threshold keeps what it states."""

import numpy as np
import pytest

from rag_lightning.monitor.cusum import average_run_length, design, upper_bound


def simulated(share: float, up: int, down: int, threshold: int, streams: int) -> np.ndarray:
    """Run lengths of independent streams, by the definition of the chart."""
    rng = np.random.default_rng(0)
    scores, lengths, alive = np.zeros(streams, int), np.zeros(streams, int), np.ones(streams, bool)
    while alive.any():
        negative = rng.random(streams) < share
        scores = np.maximum(0, scores + np.where(negative, up, -down))
        lengths += alive
        alive &= scores < threshold
    return lengths


@pytest.mark.parametrize(("share", "run"), [(0.5, 3), (0.3, 3), (0.1, 4)])
def test_the_waiting_time_for_a_run(share: float, run: int) -> None:
    """A step down that always ends at 0: the first run of successes (Feller 1968, XIII.7); 14 for three heads."""
    expected = (1 - share**run) / ((1 - share) * share**run)
    assert average_run_length(share, 1, 100, run) == pytest.approx(expected)
    if share == 0.5:
        assert average_run_length(share, 1, 100, run) == pytest.approx(14)


@pytest.mark.parametrize(("share", "threshold"), [(0.5, 7), (0.3, 5), (0.1, 6)])
def test_a_walk_that_is_held_at_nothing(share: float, threshold: int) -> None:
    """Steps of one: a birth-and-death chain, whose mean time to the top is a double sum."""
    odds = (1 - share) / share
    expected = sum(odds**j for i in range(threshold) for j in range(i + 1)) / share
    assert average_run_length(share, 1, 1, threshold) == pytest.approx(expected)


@pytest.mark.parametrize("start", [0, 20, 50])
def test_the_bands_are_the_whole_markov_chain(start: int) -> None:
    """Brook & Evans (1972) written out: (I - Q) n = 1."""
    share, up, down, threshold = 0.2, 13, 4, 51
    moves = np.zeros((threshold, threshold))
    for state in range(threshold):
        moves[state, max(0, state - down)] += 1 - share
        if state + up < threshold:
            moves[state, state + up] += share
    steps = np.linalg.solve(np.eye(threshold) - moves, np.ones(threshold))
    assert average_run_length(share, up, down, threshold, start) == pytest.approx(steps[start], rel=1e-9)


@pytest.mark.parametrize("usual", [0.02, 0.125, 0.4])
def test_run_length_and_delay_are_those_of_simulated_streams(usual: float) -> None:
    plan = design(usual, 3.0, 300)
    for share, stated in ((usual, plan.run_length), (plan.surge, plan.delay)):
        lengths = simulated(share, plan.up, plan.down, plan.threshold, 4000)
        error = lengths.std() / np.sqrt(len(lengths))
        assert abs(lengths.mean() - stated) < 4 * error


@pytest.mark.parametrize("usual", [0.001, 0.05, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("odds", [1.5, 3.0, 20.0])
def test_the_threshold_is_the_lowest_that_keeps_the_rate(usual: float, odds: float) -> None:
    plan = design(usual, odds, 5000)
    assert plan.run_length >= 5000
    assert average_run_length(plan.usual, plan.up, plan.down, plan.threshold - 1) < 5000
    assert plan.delay < plan.run_length / 4 and plan.usual < plan.surge < 1
    drift = {share: share * plan.up - (1 - share) * plan.down for share in (plan.usual, plan.surge)}
    assert drift[plan.usual] < 0 < drift[plan.surge]  # so that the chart can tell them apart


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    counts = rng.binomial(200, 0.12, 4000)
    held = np.mean([upper_bound(int(count), 200, 0.95) >= 0.12 for count in counts])
    assert 0.945 <= held <= 0.985  # Clopper & Pearson are careful
    assert upper_bound(0, 200, 0.95) == pytest.approx(1 - 0.05 ** (1 / 200))
    assert upper_bound(200, 200, 0.95) == 1.0


def test_scores_stay_within_their_bounds() -> None:
    plan = design(0.1, 3.0, 1000)
    assert plan.step(0, False) == 0 and plan.step(5, True) == 5 + plan.up
    assert plan.fall(plan.threshold, True) == plan.threshold and plan.fall(3, False) == 3 - plan.down
