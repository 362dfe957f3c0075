"""The monitor's loop: lines to messages, messages to judgements, judgements to charts; written batch by batch."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rag_lightning.console import say
from rag_lightning.monitor.charts import advance, new_chart
from rag_lightning.monitor.judge import Judge
from rag_lightning.monitor.lines import Message, Refused, read_line
from rag_lightning.monitor.options import AlertOptions, MonitorConfig
from rag_lightning.monitor.outbox import Outbox
from rag_lightning.monitor.page import write_page
from rag_lightning.monitor.source import FileSource, Source, open_source
from rag_lightning.monitor.state import Batch, State, Stored

Clock = Callable[[], float]


def watch(config: MonitorConfig, judge: Judge, state: State, clock: Clock = time.time) -> int:
    """Read the source to its end, or for ever with ``follow``.

    Args:
        judge: says topic and sentiment.
        state: the open folder.
        clock: seconds since 1970, for messages that tell no time.

    Returns:
        the messages that were new.

    Raises:
        UserError: if the folder holds messages that were judged in another way, or the source cannot be read.
    """
    state.keep_settings({**judge.identity, "alert": config.alert.model_dump(), "labels": list(judge.labels)})
    alerts = Outbox(state.folder / "alerts.jsonl", state.alerts, lambda alert: tell_alert(alert, config.alert))
    refused = Outbox(state.folder / "refused.jsonl", state.refused, lambda _: None)
    name = config.source if config.source == "-" else str(Path(config.source).expanduser().absolute())
    committed = state.position(name)
    source = open_source(config.source, committed, follow=config.follow, tell=_note)
    before = state.count("messages")
    page_due = 0.0
    changed = True
    try:
        while True:
            alerts.follow()
            refused.follow()
            if changed and time.monotonic() >= page_due:
                write_page(state, config, clock())
                page_due, changed = time.monotonic() + config.page_every, False
            lines = source.read(config.batch)
            if lines or source.position != committed:
                batch = judged(lines, state, judge, config, clock())
                committed = source.position
                state.commit(batch, name, committed, clock())
                changed = True
            elif source.ended:
                _tell_half_line(source)
                break
            else:
                source.wait(config.poll)
    finally:
        source.close()
        write_page(state, config, clock())
    return state.count("messages") - before


def judged(lines: Sequence[bytes], state: State, judge: Judge, config: MonitorConfig, now: float) -> Batch:
    """What some lines come to, given the state that the lines before them left."""
    read = [read_line(line, config.format, now) for line in lines]
    found = [each for each in read if isinstance(each, Message)]
    known = state.known_ids([message.id for message in found if message.id is not None])
    fresh: list[Message] = []
    for message in found:
        if message.id is None or message.id not in known:
            fresh.append(message)
            known |= {message.id} if message.id is not None else set()
    before = state.charts()
    charts = dict(before)
    number = state.count("messages")
    stored: list[Stored] = []
    alerts: list[dict[str, Any]] = []
    for message, answer in zip(fresh, judge.judge([message.text for message in fresh]) if fresh else [], strict=True):
        number += 1
        topic = answer.topic
        chart = charts.get(topic) or new_chart(topic, config.alert)
        negative = answer.label == config.alert.label
        learning = chart.usual is None
        charts[topic], alert = advance(chart, topic, negative, number, message.time, config.alert)
        if alert is not None:
            alerts.append(alert)
        score = None if learning else charts[topic].score
        stored.append(
            Stored(number, message.id, message.time, topic, answer.label, answer.confidence, message.text, score)
        )
    return Batch(
        messages=stored,
        refused=[each for each in read if isinstance(each, Refused)],
        charts={topic: chart for topic, chart in charts.items() if before.get(topic) != chart},
        alerts=alerts,
        repeated=len(found) - len(fresh),
        blank=sum(each is None for each in read),
    )


def tell_alert(alert: dict[str, Any], options: AlertOptions) -> None:
    """A sentence on standard output."""
    share = f"{alert['negative']} of {alert['messages']} messages {options.label} ({alert['share']:.0%})"
    if alert["kind"] == "surge":
        say(
            f"ALERT {alert['time']} {alert['topic']}: {share} since {alert['since']}, as usual at most "
            f"{alert['usual']:.0%}; by chance once in {alert['false_alarm_every']:,} messages",
            style="bold red",
        )
    else:
        say(f"over  {alert['time']} {alert['topic']}: {share} since {alert['since']}", style="green")


def _note(sentence: str) -> None:
    say(f"note  {sentence}.", style="yellow")


def _tell_half_line(source: Source) -> None:
    if isinstance(source, FileSource) and (left := source.half_line()):
        _note(f"the last line has no end yet ({left:,} bytes): it is read when it has one")
