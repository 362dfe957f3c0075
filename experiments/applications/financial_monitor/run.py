"""A financial sentiment monitor, from training to the false alarms of hundreds of simulated streams.

    python experiments/applications/financial_monitor/run.py                  # the embedded sample, offline
    python experiments/applications/financial_monitor/run.py --data FOLDER    # Financial PhraseBank and AG News

FOLDER holds ``financial_phrasebank/Sentences_50Agree.txt`` and ``ag_news/test.csv``. The script trains the sentiment
run (or takes that of ``--run``), replays held-out news with time stamps and a surge of bad news about one topic at a
known moment through ``python -m rag_lightning.monitor``, and resamples the monitor's own answers into streams with and
without a surge. The topic is the one with most bad news among the held-out texts. OUTPUT/results.json has the figures,
OUTPUT/monitor.png the picture, OUTPUT/watch/monitor.html the page.
"""

import argparse
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from rag_lightning.config.paths import conf_dir
from rag_lightning.data import samples
from rag_lightning.monitor.__main__ import monitor
from rag_lightning.monitor.charts import Chart, advance, design_of, new_chart
from rag_lightning.monitor.cusum import average_run_length, design, upper_bound
from rag_lightning.monitor.judge import by_rules
from rag_lightning.monitor.lines import read_time, told_time
from rag_lightning.monitor.options import AlertOptions
from rag_lightning.rules.load import read_rules
from rag_lightning.train import train

MESSAGES, BEGINS, ENDS = 6000, 4500, 4800  # of the replay, and of the surge in it
SHARE = 0.25  # of the messages of the surge that are further bad news
START, GAP = 1_772_323_200, 120  # the replay's first second (2026-03-01) and mean seconds between messages
OF_SAMPLE = ["task=classification", "data=financial_sample", "optimizer.lr=2e-4", "tuning.head_lr=2e-3",
             "trainer.max_epochs=12", "batching.size=16"]  # fmt: skip
STATED = 1000  # messages between false alarms in the simulation, so that each stream has several
LONG = 6000  # messages of a simulated stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with financial_phrasebank and ag_news; else the sample")
    parser.add_argument("--output", type=Path, default=Path("runs/financial_monitor"))
    parser.add_argument("--run", type=Path, help="a finished sentiment run, instead of a training")
    parser.add_argument("--streams", type=int, default=300, help="simulated streams of each kind")
    parser.add_argument("overrides", nargs="*", help="settings of the training, after --")
    given = parser.parse_args()
    run = given.run or trained(given.data, given.output, given.overrides)
    scores = json.loads((run / "status.json").read_text(encoding="utf-8"))["metrics"]
    items = news(given.data, run)
    topic = Counter(item["topic"] for item in items if item["gold"] == "negative").most_common(1)[0][0]
    source = replay(items, topic, given.output)
    folder = given.output / "watch"
    monitor([f"run={run}", f"source={source}", f"folder={folder}", "alert.learn=300"])
    results = {
        "sentiment": {name: round(scores[f"test/{name}"], 4) for name in ("accuracy", "macro_f1", "negative/f1")},
        "topic": topic,
        "replay": delay_of_replay(folder, topic),
        "simulation": simulated(folder, topic, given.streams),
    }
    picture(folder, topic, results, given.output / "monitor.png")
    del results["simulation"]["first"], results["simulation"]["delays"]
    (given.output / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(json.dumps(results, indent=1))


def trained(data: Path | None, output: Path, overrides: Sequence[str]) -> Path:
    """The sentiment run: on the sample, or on Financial PhraseBank."""
    real = ["recipe=financial_phrasebank", f"data.path={data and data / 'financial_phrasebank'}"]
    return train([*(OF_SAMPLE if data is None else real), f"output_dir={output / 'runs'}", *overrides]).folder


# --- a stream of news ------------------------------------------------------------------------------------------------


def news(data: Path | None, run: Path) -> list[dict[str, str]]:
    """Texts that the run was not trained on, with their sentiment where it is known, and their topic by the rules."""
    tested = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    items = [{"text": row["text"], "gold": row["gold"]} for row in tested]
    if data is None:
        held = Path(samples.__path__[0]) / "financial" / "validation.jsonl"
        rows = [json.loads(line) for line in held.read_text(encoding="utf-8").splitlines()]
        items += [{"text": row["text"], "gold": row["label"]} for row in rows]
    else:
        from rag_lightning.config.compose import compose
        from rag_lightning.config.validate import to_plain
        from rag_lightning.data.load import load_split
        from rag_lightning.data.options import DataConfig
        from rag_lightning.data.reading import Reading

        plain = to_plain(compose("train", ["task=classification", "data=ag_news", f"data.path={data / 'ag_news'}"]))
        reading = Reading(fields=("text", "label"), labels=("label",))
        others = load_split(DataConfig(**plain["data"]), "train", reading).splits["train"]
        items += [{"text": item["text"], "gold": ""} for item in others if item["label"] == "Business"]
    topics = by_rules(read_rules(conf_dir() / "rules" / "financial_topics.yaml"))([item["text"] for item in items])
    return [{**item, "topic": topic} for item, topic in zip(items, topics, strict=True)]


def replay(items: list[dict[str, str]], topic: str, output: Path) -> Path:
    """The stream as JSON lines: as usual, a surge of bad news about the topic, as usual again."""
    rng = random.Random(0)
    bad = [item for item in items if item["gold"] == "negative" and item["topic"] == topic]
    output.mkdir(parents=True, exist_ok=True)
    path = output / "news.jsonl"
    moment = float(START)
    with open(path, "w", encoding="utf-8") as file:
        for number in range(MESSAGES):
            moment += rng.expovariate(1 / GAP)
            surge = BEGINS <= number < ENDS and rng.random() < SHARE
            item = rng.choice(bad if surge else items)
            row = {"id": number, "time": told_time(moment), "text": item["text"]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def delay_of_replay(folder: Path, topic: str) -> dict[str, Any]:
    """What the monitor found of the surge, and what it alarmed at besides."""
    alerts = [json.loads(line) for line in (folder / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    surges = [alert for alert in alerts if alert["kind"] == "surge"]
    right = next((a for a in surges if a["topic"] == topic and BEGINS < a["message"] <= ENDS), None)
    with closing(sqlite3.connect(folder / "monitor.sqlite")) as state:
        topics = Counter(name for (name,) in state.execute("SELECT topic FROM messages"))
        begin = state.execute("SELECT time FROM messages WHERE number = ?", (BEGINS + 1,)).fetchone()[0]
        between = "SELECT count(*) FROM messages WHERE topic = ? AND number > ? AND number <= ?"
        found = {
            "messages_by_topic": dict(topics.most_common()),
            "other_surges": [a["topic"] for a in surges if a != right],
        }
        if right is None:
            return {**found, "found": False}
        waited = state.execute(between, (topic, BEGINS, right["message"])).fetchone()[0]
    hours = ((read_time(right["time"]) or 0.0) - begin) / 3600
    return {
        **found,
        "found": True,
        "delay_messages_of_topic": waited,
        "delay_messages": right["message"] - BEGINS,
        "delay_hours": round(hours, 2),
        "estimated_begin_off_by_messages": right["since_message"] - BEGINS - 1,
        "usual": right["usual"],
        "share_in_surge": right["share"],
    }


# --- many streams ----------------------------------------------------------------------------------------------------


def simulated(folder: Path, topic: str, streams: int) -> dict[str, Any]:
    """False alarms and delays of the topic's chart on streams drawn from the monitor's own answers."""
    with closing(sqlite3.connect(folder / "monitor.sqlite")) as state:
        query = "SELECT label = 'negative', number > ? AND number <= ? FROM messages WHERE topic = ?"
        rows = state.execute(query, (BEGINS, ENDS, topic)).fetchall()
    usual = np.array([negative for negative, in_surge in rows if not in_surge], dtype=bool)
    surge = np.array([negative for negative, in_surge in rows if in_surge], dtype=bool)
    share = float(usual.mean())
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {"share_as_usual": round(share, 4), "share_in_surge": round(float(surge.mean()), 4)}
    found["streams"], found["messages_each"], found["stated"] = streams, LONG, STATED
    known = AlertOptions(baseline=share, false_alarm_every=STATED)
    plan = design(share, known.odds, STATED)
    lengths = [alarms(known, rng.choice(usual, LONG)) for _ in range(streams)]
    found["known share"] = {
        "exact_run_length": round(plan.run_length, 1),
        "messages_between_false_alarms": between(lengths, streams),
    }
    found["first"] = [each[0] if each else LONG for each in lengths]
    for confidence in (0.5, 0.95):
        options = AlertOptions(confidence=confidence, learn=200, false_alarm_every=STATED)
        lengths = [alarms(options, rng.choice(usual, 200 + LONG), skip=200) for _ in range(streams)]
        bounds = [upper_bound(int(rng.binomial(200, share)), 200, confidence) for _ in range(2000)]
        charts = {bound: design(bound, options.odds, STATED) for bound in set(bounds)}
        exact = [average_run_length(share, charts[b].up, charts[b].down, charts[b].threshold) for b in bounds]
        found[f"learnt from 200, confidence {confidence}"] = {
            "messages_between_false_alarms": between(lengths, streams),
            "monitors_with_more_false_alarms_than_stated": round(float(np.mean(np.array(exact) < STATED)), 3),
        }
    found["delays"] = {}
    for every in (STATED, 10_000):
        options = AlertOptions(learn=200, false_alarm_every=every)
        delays = [delay(options, rng.choice(usual, 700), rng.choice(surge, 2000)) for _ in range(streams)]
        found["delays"][every] = delays
        found[f"delay at {every:,}"] = {
            "median": float(np.median(delays)), "mean": round(float(np.mean(delays)), 1),
            "nine_of_ten_within": float(np.quantile(delays, 0.9)),
        }  # fmt: skip
    return found


def alarms(options: AlertOptions, stream: np.ndarray, skip: int = 0) -> list[int]:
    """After how many messages the chart alarmed, each counted from when it last began anew."""
    chart, begun, found = new_chart("", options), skip, []
    for number, negative in enumerate(stream, 1):
        chart, alert = advance(chart, "", bool(negative), number, 0.0, options)
        if alert is not None and alert["kind"] == "surge":
            found.append(number - begun)
            plan = design_of(chart, options)
            assert plan is not None
            chart, begun = Chart(usual=chart.usual), number  # the chart begins anew: what the run length is about
    return found


def between(lengths: Sequence[Sequence[int]], streams: int) -> float:
    """Messages for each alarm, over all streams."""
    return round(streams * LONG / max(1, sum(map(len, lengths))), 1)


def delay(options: AlertOptions, before: np.ndarray, after: np.ndarray) -> int:
    """Messages of the topic from the beginning of a surge until the alert; a false alarm before it is passed over."""
    chart = new_chart("", options)
    for number, negative in enumerate(before, 1):
        chart, alert = advance(chart, "", bool(negative), number, 0.0, options)
        chart = Chart(usual=chart.usual) if alert is not None else chart
    for number, negative in enumerate(after, 1):
        chart, alert = advance(chart, "", bool(negative), number, 0.0, options)
        if alert is not None:
            return number
    return len(after)


# --- the picture -----------------------------------------------------------------------------------------------------


def picture(folder: Path, topic: str, results: dict[str, Any], path: Path) -> None:
    """The chart over the replay; false alarms and delays of the simulated streams against what was stated."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with closing(sqlite3.connect(folder / "monitor.sqlite")) as state:
        rows = state.execute(
            "SELECT number, score FROM messages WHERE topic = ? AND score NOT NULL", (topic,)
        ).fetchall()
    alerts = [json.loads(line) for line in (folder / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    chart, alarmed, waited = figure.subplots(1, 3, width_ratios=(2, 1.2, 1.2))
    chart.axvspan(BEGINS, ENDS, color="#fde68a", label="injected surge")
    chart.plot(*zip(*rows, strict=True), color="#1f2937", lw=0.9, label="score")
    for alert in alerts:
        if alert["topic"] == topic:
            begins = alert["kind"] == "surge"
            chart.axvline(
                alert["message"], color="#b91c1c" if begins else "#15803d", lw=1.5, label="alert" if begins else "over"
            )
            chart.axhline(alert["threshold"], color="#b91c1c", ls="--", lw=0.8)
    chart.set(title=f"CUSUM of {topic} over the replay", xlabel="message of the stream", ylabel="score")
    chart.legend(loc="upper left", fontsize=8)
    simulation = results["simulation"]
    first = np.sort(simulation["first"])
    alarmed.step(first, 1 - np.arange(1, len(first) + 1) / len(first), color="#2563eb", label=f"{len(first)} streams")
    grid = np.linspace(0, LONG, 100)
    stated = simulation["known share"]["exact_run_length"]
    alarmed.plot(grid, np.exp(-grid / stated), color="#ea580c", ls="--", label=f"one in {stated:,.0f}")
    alarmed.set(title="No false alarm yet", xlabel="messages of the topic", ylabel="share of streams")
    alarmed.legend(fontsize=8)
    for every, colour in zip(simulation["delays"], ("#2563eb", "#ea580c"), strict=True):
        delays = simulation["delays"][every]
        waited.hist(
            delays,
            bins=np.arange(0, max(delays) + 5, 3),
            alpha=0.6,
            color=colour,
            label=f"one false alarm in {every:,}",
        )
    waited.set(title="Delay until the alert", xlabel="messages of the topic", ylabel="streams")
    waited.legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
