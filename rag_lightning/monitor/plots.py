"""The page's pictures as SVG that stretches to its card; numbers beside it are HTML, which does not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from rag_lightning.monitor.history import DAY, Span, TopicHistory
from rag_lightning.monitor.lines import told_time

WIDTH, HEIGHT = 1000, 100
NAMED = {"positive": "k1", "neutral": "k2"}
FURTHER = ("k2", "k1", "k3", "k4", "k5")


def classes(labels: Sequence[str], watched: str) -> dict[str, str]:
    """A colour for each label: the watched one first; colours come again if there are many."""
    others = [label for label in labels if label != watched]
    taken = {NAMED[label.lower()] for label in others if label.lower() in NAMED}
    free = [name for name in FURTHER if name not in taken] or list(FURTHER)
    found = {watched: "k0"}
    for label in others:
        found[label] = NAMED.get(label.lower()) or free[len(found) % len(free)]
    return found


def bars(topic: TopicHistory, span: Span | None, labels: dict[str, str]) -> str:
    """Messages in each stretch of time, the watched label at the bottom."""
    if span is None:
        return ""
    most = max((sum(counts.values()) for counts in topic.bars.values()), default=1)
    width = WIDTH / span.steps
    shapes = []
    for step, counts in sorted(topic.bars.items()):
        top = float(HEIGHT)
        told = ", ".join(f"{counts.get(label, 0)} {label}" for label in labels)
        boxes = []
        for label, name in labels.items():
            height = HEIGHT * counts.get(label, 0) / most
            top -= height
            boxes.append(_box(name, step * width, top, width, height) if height else "")
        title = f"{told_time(span.start + step * span.step)}: {told}"
        shapes.append(f"<g><title>{escape(title)}</title>{''.join(boxes)}</g>")
    return _plot("bars", "".join(shapes), f"{most:,}", f"messages of {escape(topic.topic)} over time, by sentiment")


def cusum(topic: TopicHistory) -> str:
    """The score as a share of its threshold, with the alerts; nothing while the chart learns."""
    if topic.plan is None:
        return ""
    scale = HEIGHT / (1.15 * topic.plan.threshold)
    points = " ".join(f"{WIDTH * x:.1f},{HEIGHT - scale * score:.1f}" for x, score in topic.line)
    limit = HEIGHT - scale * topic.plan.threshold
    marks = "".join(
        f'<line class="{"begin" if begins else "end"}" x1="{WIDTH * x:.1f}" x2="{WIDTH * x:.1f}" y1="0" y2="{HEIGHT}"/>'
        for x, begins in topic.alerts
    )
    inner = (
        f'<line class="threshold" x1="0" x2="{WIDTH}" y1="{limit:.1f}" y2="{limit:.1f}"/>{marks}'
        f'<polyline class="score" points="{points}"/>'
    )
    return _plot("cusum", inner, "1", f"CUSUM of {escape(topic.topic)} over time", at=limit)


def times(span: Span | None) -> str:
    """Start and end of the time axis."""
    if span is None:
        return ""
    form = "%Y-%m-%d" if span.step >= DAY else "%m-%d %H:%M" if span.step >= 1 else "%H:%M:%S"
    ends = (datetime.fromtimestamp(moment, UTC).strftime(form) for moment in (span.start, span.end))
    return '<p class="times soft">' + "".join(f"<span>{each}</span>" for each in ends) + "</p>"


def _plot(kind: str, inner: str, top: str, name: str, at: float = 0.0) -> str:
    axis = f'<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
    return (
        f'<div class="plot {kind}"><span class="y" style="top:{at / HEIGHT:.1%}">{top}</span>'
        f'<span class="y" style="top:100%">0</span><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{name}">{axis}{inner}</svg></div>'
    )


def _box(name: str, x: float, y: float, width: float, height: float) -> str:
    gap = min(2.0, width / 5)
    return f'<rect class="{name}" x="{x + gap / 2:.1f}" y="{y:.2f}" width="{width - gap:.1f}" height="{height:.2f}"/>'
