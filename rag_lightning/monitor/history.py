"""What the page shows of the state: messages by topic, label and stretch of time; counted by the database."""

from collections import defaultdict
from dataclasses import dataclass, field

from rag_lightning.monitor.charts import Chart, design_of
from rag_lightning.monitor.cusum import Design
from rag_lightning.monitor.lines import read_time
from rag_lightning.monitor.options import AlertOptions
from rag_lightning.monitor.state import State

BARS, POINTS = 60, 300  # stretches of time that a topic's bars and its line have, at most
MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = (
    *(1, 5, 10, 30),
    *(minutes * MINUTE for minutes in (1, 2, 5, 10, 30)),
    *(hours * HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * DAY for days in (1, 2, 7, 14, 28, 91, 364)),
)


@dataclass(frozen=True)
class Span:
    """The time that is shown, in seconds since 1970, in steps of seconds."""

    start: float
    end: float
    step: float

    @property
    def steps(self) -> int:
        return max(1, round((self.end - self.start) / self.step))

    def place(self, time: float) -> float:
        """Where a moment lies: 0 at the start, 1 at the end."""
        return (time - self.start) / (self.end - self.start)


@dataclass
class TopicHistory:
    """A topic over time.

    Attributes:
        chart: its state now.
        plan: of its chart; None while it learns.
        bars: step -> label -> messages.
        line: (place in the span, score), in the order of time.
        alerts: (place in the span, begins) of those that lie in the span.
    """

    topic: str
    chart: Chart
    plan: Design | None
    bars: dict[int, dict[str, int]] = field(default_factory=dict)
    line: list[tuple[float, int]] = field(default_factory=list)
    alerts: list[tuple[float, bool]] = field(default_factory=list)


def span_of(state: State, hours: float | None) -> Span | None:
    """The time from the first message (or of the last ``hours``) to the last one; None without messages."""
    first, last = state.rows("SELECT min(time), max(time) FROM messages")[0]
    if first is None:
        return None
    if hours is not None:
        first = max(first, last - hours * HOUR)
    step = next((step for step in STEPS if (last - first) / step < BARS - 1), (last - first) / (BARS - 1))
    start = first // step * step
    return Span(start, (last // step + 1) * step, step)


def topics_of(state: State, span: Span, options: AlertOptions) -> list[TopicHistory]:
    """Every topic, those in a surge first, then by how many messages they have."""
    histories = {
        topic: TopicHistory(topic, chart, design_of(chart, options)) for topic, chart in state.charts().items()
    }
    bars: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for topic, step, label, count in state.rows(
        "SELECT topic, CAST((time - ?1) / ?2 AS INTEGER) AS step, label, count(*) FROM messages WHERE time >= ?1 "
        "GROUP BY topic, step, label",
        span.start,
        span.step,
    ):
        bars[topic][step][label] = count
    width = (span.end - span.start) / POINTS
    for topic, step, score in state.rows(
        "SELECT topic, CAST((time - ?1) / ?2 AS INTEGER) AS step, max(score) FROM messages "
        "WHERE time >= ?1 AND score IS NOT NULL GROUP BY topic, step ORDER BY topic, step",
        span.start,
        width,
    ):
        histories[topic].line.append(((step + 0.5) / POINTS, score))
    for alert in state.alerts():
        place = span.place(read_time(alert["time"]) or 0.0)
        if place >= 0:
            histories[alert["topic"]].alerts.append((place, alert["kind"] == "surge"))
    for topic, history in histories.items():
        history.bars = dict(bars[topic])
    return sorted(histories.values(), key=lambda each: (not each.chart.surging, -each.chart.messages, each.topic))
