"""``monitor.html``: one file that needs no network. Every text of a message is escaped; there is no script."""

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from rag_lightning.monitor.history import TopicHistory, span_of, topics_of
from rag_lightning.monitor.lines import told_time
from rag_lightning.monitor.options import AlertOptions, MonitorConfig
from rag_lightning.monitor.plots import bars, classes, cusum, times
from rag_lightning.monitor.state import State
from rag_lightning.report.files import write_bytes

PAGE = "monitor.html"
LAST, LAST_ALERTS, LAST_REFUSED = 30, 20, 5


def write_page(state: State, config: MonitorConfig, now: float) -> Path:
    """The page of what the state holds, written whole into its folder.

    Args:
        now: seconds since 1970.
    """
    path = state.folder / PAGE
    refresh = config.page_every if config.follow else None
    write_bytes(path, page(state, config.hours, now, refresh).encode("utf-8", "replace"))
    return path


def page(state: State, hours: float | None, now: float, refresh: float | None = None) -> str:
    """The page as HTML.

    Args:
        hours: the last hours that it shows; None: all.
        refresh: seconds after which a browser loads it again; None: never.
    """
    settings = state.settings()
    options = AlertOptions(**settings.get("alert", {}))
    labels = classes(settings.get("labels", [options.label]), options.label)
    span = span_of(state, hours)
    topics = topics_of(state, span, options) if span is not None else []
    cards = "".join(
        _card(topic, options, bars(topic, span, labels), cusum(topic), times(span)) for topic in topics if span
    )
    legend = "".join(f'<span><i class="{name}"></i>{escape(label)}</span>' for label, name in labels.items())
    style = files("rag_lightning.monitor").joinpath("page.css").read_text(encoding="utf-8")
    again = f'<meta http-equiv="refresh" content="{max(5, round(refresh))}">' if refresh is not None else ""
    html = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{again}<title>Monitor</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{style}</style></head><body><h1>Monitor</h1>"
        f'<p class="soft">As of {told_time(now)}. Times are UTC.</p>{_tiles(state, topics, options)}'
        f"<main><h2>Alerts</h2>{_alerts(state, options)}"
        f'<h2>Sentiment by topic</h2><p class="legend">{legend}</p><div class="topics">{cards}</div>'
        f"<h2>Last messages</h2>{_messages(state, labels)}{_refused(state)}</main></body></html>\n"
    )
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in html)  # no control characters


def _tiles(state: State, topics: list[TopicHistory], options: AlertOptions) -> str:
    messages = state.count("messages")
    negative = sum(topic.chart.negative for topic in topics)
    surging = sum(topic.chart.surging for topic in topics)
    shown = {
        "messages": f"{messages:,}",
        options.label: f"{negative / messages:.1%}" if messages else "–",
        "surges now": str(surging),
        "surges so far": str(sum(alert["kind"] == "surge" for alert in state.alerts())),
        "refused lines": f"{state.count('refused'):,}",
    }
    return '<div class="tiles">' + "".join(f"<div><b>{v}</b>{escape(k)}</div>" for k, v in shown.items()) + "</div>"


def _alerts(state: State, options: AlertOptions) -> str:
    alerts = state.alerts()
    if not alerts:
        return "<p>None.</p>"
    rows = "".join(f"<li>{_alert(alert, options)}</li>" for alert in reversed(alerts[-LAST_ALERTS:]))
    more = f'<p class="soft">{len(alerts) - LAST_ALERTS:,} earlier ones: alerts.jsonl</p>' * (len(alerts) > LAST_ALERTS)
    return f'<ul class="alerts">{rows}</ul>{more}'


def _alert(alert: dict[str, Any], options: AlertOptions) -> str:
    begins = alert["kind"] == "surge"
    head = '<b class="surge">Surge</b>' if begins else '<b class="over">Over</b>'
    return (
        f"{head} <b>{escape(alert['topic'])}</b>, {alert['time']}: {alert['negative']:,} of {alert['messages']:,} "
        f"messages {escape(options.label)} ({alert['share']:.0%}) since {alert['since']}; "
        f"as usual at most {alert['usual']:.0%}. "
        + (f"By chance once in {alert['false_alarm_every']:,} messages of the topic." if begins else "")
    )


def _card(topic: TopicHistory, options: AlertOptions, bars_: str, cusum_: str, times_: str) -> str:
    chart, plan = topic.chart, topic.plan
    if plan is None:
        told = f'<span class="state soft">learning, {chart.messages:,} of {options.learn:,} messages</span>'
        limits = f"The share of {escape(options.label)} messages as usual is being learnt."
    else:
        told = '<span class="state surge">surge</span>' if chart.surging else '<span class="state over">as usual</span>'
        limits = (
            f"CUSUM, alert at 1. As usual at most {plan.usual:.1%} {escape(options.label)}; {plan.surge:.0%} would be "
            f"found after {plan.delay:,.0f} messages; a false alarm every {plan.run_length:,.0f}."
        )
    share = f"{chart.negative / chart.messages:.1%}" if chart.messages else "–"
    return (
        f'<section class="topic{" surging" if chart.surging else ""}">'
        f"<header><h3>{escape(topic.topic)}</h3>{told}</header>"
        f'<p class="soft">{chart.messages:,} messages, {share} {escape(options.label)}</p>{bars_}{cusum_}{times_}'
        f'<p class="soft caption">{limits}</p></section>'
    )


def _messages(state: State, labels: dict[str, str]) -> str:
    rows = state.rows(f"SELECT time, topic, label, confidence, text FROM messages ORDER BY number DESC LIMIT {LAST}")
    cells = "".join(
        f"<tr><td>{told_time(time)}</td><td>{escape(topic)}</td>"
        f'<td><i class="{labels.get(label, "k2")}"></i>{escape(label)} {confidence:.2f}</td>'
        f"<td>{escape(_short(text))}</td></tr>"
        for time, topic, label, confidence, text in rows
    )
    head = "<thead><tr><th>time</th><th>topic</th><th>sentiment</th><th>message</th></tr></thead>"
    return f"<table>{head}<tbody>{cells}</tbody></table>" if rows else "<p>None yet.</p>"


def _refused(state: State) -> str:
    rows = state.rows(f"SELECT time, reason, line FROM refused ORDER BY number DESC LIMIT {LAST_REFUSED}")
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td>{told_time(time)}</td><td>{escape(reason)}</td><td>{escape(_short(line))}</td></tr>"
        for time, reason, line in rows
    )
    head = "<thead><tr><th>read</th><th>reason</th><th>line</th></tr></thead>"
    return f"<h2>Last refused lines</h2><table>{head}<tbody>{cells}</tbody></table>"


def _short(text: str, most: int = 240) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
