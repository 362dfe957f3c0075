"""A topic's chart: it learns, alarms once, says when it is over."""

import random

import pytest

from rag_lightning.monitor.charts import Chart, advance, design_of, new_chart
from rag_lightning.monitor.cusum import upper_bound
from rag_lightning.monitor.options import AlertOptions


def fed(chart: Chart, negatives: list[bool], options: AlertOptions, first: int = 1) -> tuple[Chart, list[dict]]:
    alerts = []
    for number, negative in enumerate(negatives, first):
        chart, alert = advance(chart, "staff", negative, number, 60.0 * number, options)
        alerts += [alert] if alert else []
    return chart, alerts


def test_the_usual_share_is_learnt_first() -> None:
    options = AlertOptions(learn=40, confidence=0.9)
    chart, alerts = fed(new_chart("staff", options), [True] * 30 + [False] * 9, options)
    assert chart.usual is None and design_of(chart, options) is None and alerts == []
    chart, _ = fed(chart, [False], options, 40)
    assert chart.usual == upper_bound(30, 40, 0.9) and chart.score == 0


def test_a_given_share_needs_no_learning_and_may_be_the_topics() -> None:
    assert new_chart("staff", AlertOptions(baseline=0.2)).usual == 0.2
    options = AlertOptions(baseline={"staff": 0.1})
    assert new_chart("staff", options).usual == 0.1
    assert new_chart("deals", options).usual is None


def test_one_surge_one_alert_and_its_end() -> None:
    options = AlertOptions(baseline=0.1, odds=3, false_alarm_every=1000)
    quiet, surge = [False] * 9 + [True], [True, True, False]
    chart, alerts = fed(new_chart("staff", options), quiet * 20 + [False] * 20, options)
    assert alerts == [] and chart.score == 0
    chart, alerts = fed(chart, surge * 30, options, 221)
    [alert] = alerts
    assert alert["kind"] == "surge" and alert["since_message"] == 221 and alert["since"] == "1970-01-01T03:41:00Z"
    assert 221 < alert["message"] < 250 and alert["messages"] == alert["message"] - 220
    assert alert["share"] > 0.5 and alert["usual"] == 0.1 and alert["false_alarm_every"] >= 1000
    assert chart.surging
    chart, alerts = fed(chart, quiet * 40, options, 311)
    assert [alert["kind"] for alert in alerts] == ["over"] and not chart.surging
    assert alerts[0]["since_message"] == 221 and alerts[0]["messages"] == alerts[0]["message"] - 220


def test_false_alarms_are_as_rare_as_stated_or_rarer() -> None:
    options = AlertOptions(baseline=0.15, odds=3, false_alarm_every=400)
    rng = random.Random(3)
    _, alerts = fed(new_chart("staff", options), [rng.random() < 0.15 for _ in range(60_000)], options)
    begun = sum(alert["kind"] == "surge" for alert in alerts)
    assert 0.6 * 150 < begun < 1.15 * 150


@pytest.mark.parametrize("wrong", [{"baseline": 0}, {"baseline": {"staff": 1.5}}, {"odds": 1}, {"confidence": 1}])
def test_senseless_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError):
        AlertOptions(**wrong)
