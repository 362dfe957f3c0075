"""The state of a topic's chart and what a message does to it; pure, so that a replay comes to the same state."""

from dataclasses import dataclass, replace
from typing import Any

from rag_lightning.monitor.cusum import Design, design, upper_bound
from rag_lightning.monitor.lines import told_time
from rag_lightning.monitor.options import AlertOptions


@dataclass(frozen=True, slots=True)
class Chart:
    """What is known of a topic.

    Attributes:
        messages, negative: of the topic so far.
        usual: the share of negative messages as usual; None while it is being learnt.
        score: of the CUSUM.
        surging: whether an alert was given that is not over.
        since: number of the message with which the score left 0 (the estimate of when a surge began, Page 1954), or
            with which the surge was noticed to be over; 0 before there is one.
        since_time: that message's time, in seconds since 1970.
        since_messages, since_negative: of the topic from that message on.
    """

    messages: int = 0
    negative: int = 0
    usual: float | None = None
    score: int = 0
    surging: bool = False
    since: int = 0
    since_time: float = 0.0
    since_messages: int = 0
    since_negative: int = 0


def new_chart(topic: str, options: AlertOptions) -> Chart:
    """The chart of a topic before its first message."""
    given = options.baseline
    return Chart(usual=given.get(topic) if isinstance(given, dict) else given)


def design_of(chart: Chart, options: AlertOptions) -> Design | None:
    """The chart's steps and threshold; None while its usual share is being learnt."""
    return None if chart.usual is None else design(chart.usual, options.odds, options.false_alarm_every)


def advance(
    chart: Chart, topic: str, negative: bool, number: int, time: float, options: AlertOptions
) -> tuple[Chart, dict[str, Any] | None]:
    """The chart after one more message of its topic, and what is to be told if a surge begins or is over.

    Args:
        number: of the message among all.
        time: of the message, in seconds since 1970.
    """
    plan = design_of(chart, options)
    counted = replace(chart, messages=chart.messages + 1, negative=chart.negative + negative)
    if plan is None:
        return _learnt(counted, options), None
    score = plan.fall(chart.score, negative) if chart.surging else plan.step(chart.score, negative)
    begins = not chart.surging and chart.score == 0
    counted = replace(
        counted,
        score=score,
        since=number if begins else chart.since,
        since_time=time if begins else chart.since_time,
        since_messages=1 if begins else chart.since_messages + 1,
        since_negative=int(negative) if begins else chart.since_negative + negative,
    )
    if chart.surging and score <= 0:
        after = replace(counted, surging=False, score=0)
        return after, _told("over", counted, plan, topic, number, time)
    if not chart.surging and score >= plan.threshold:
        after = replace(counted, surging=True, score=plan.threshold)
        return after, _told("surge", counted, plan, topic, number, time)
    return counted, None


def _learnt(chart: Chart, options: AlertOptions) -> Chart:
    if chart.messages < options.learn:
        return chart
    return replace(chart, usual=upper_bound(chart.negative, chart.messages, options.confidence))


def _told(kind: str, chart: Chart, plan: Design, topic: str, number: int, time: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "topic": topic,
        "time": told_time(time),
        "message": number,
        "since_message": chart.since,
        "since": told_time(chart.since_time),
        "messages": chart.since_messages,
        "negative": chart.since_negative,
        "share": round(chart.since_negative / chart.since_messages, 4),
        "usual": round(plan.usual, 4),
        "score": chart.score,
        "threshold": plan.threshold,
        "false_alarm_every": round(plan.run_length),
    }
