"""``python -m rag_lightning.monitor`` as typed, with a real if tiny run."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from tiny import sample_overrides

from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.monitor.state import opened
from rag_lightning.train import train

TEXTS = ["Profit fell by half.", "The mill cuts 40 jobs.", "Strike at the yard.", "Hello", "A court fined the bank."]


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of sentiments, one of topics, one of several labels a text."""
    root = tmp_path_factory.mktemp("runs")
    told = {
        "sentiment": ["data=financial_sample"],
        "topics": ["data=financial_sample", "data.fields.label=topic"],
        "several": ["data=multilabel_sample"],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_curves", "plot_confusion"):
            patch.setattr(f"rag_lightning.report.write.{name}", lambda *_, **__: None)
        return {
            name: train(
                sample_overrides("classification", tiny_model, root / name, "trainer.max_epochs=1", *overrides)
            ).folder
            for name, overrides in told.items()
        }


def stored(folder: Path) -> list[tuple[Any, ...]]:
    with opened(folder, writing=False) as state:
        return state.rows("SELECT topic, label, round(confidence, 3), text FROM messages ORDER BY number")


def test_a_file_then_more_of_it_then_the_page_alone(runs: dict[str, Path], run: Command, tmp_path: Path) -> None:
    source, folder = tmp_path / "news.txt", tmp_path / "watch"
    source.write_text("".join(f"{text}\n" for text in TEXTS[:3]))
    typed = [f"run={runs['sentiment']}", f"source={source}", f"folder={folder}", "device=cpu", "alert.baseline=0.3"]
    first = run("monitor", *typed)
    assert (first.code, first.err) == (0, "") and "3 new messages; 3 messages, 0 refused lines, 0 alerts" in first.out
    with open(source, "ab") as file:
        file.write(f"{TEXTS[3]}\n{TEXTS[4]}\nhalf".encode())
        file.write(b"")
    second = run("monitor", *typed)
    assert "2 new messages; 5 messages" in second.out and "no end yet (4 bytes)" in second.out
    found = stored(folder)
    assert [row[0] for row in found] == ["earnings", "staff", "staff", "other", "legal"]
    answers = Predictor(load_run(str(runs["sentiment"])), device="cpu").answers({"text": text} for text in TEXTS)
    assert [(row[1], row[3]) for row in found] == [(answer["label"], answer["text"]) for answer in answers]
    page = folder / "monitor.html"
    page.unlink()
    report = run("monitor", "report=true", f"folder={folder}")
    assert report.code == 0 and "5 messages" in report.out and "A court fined the bank." in page.read_text("utf-8")


def test_topics_by_a_run_and_one_topic_for_all(runs: dict[str, Path], run: Command, tmp_path: Path) -> None:
    source = tmp_path / "news.txt"
    source.write_text("".join(f"{text}\n" for text in TEXTS))
    typed = [f"run={runs['sentiment']}", f"source={source}", "device=cpu"]
    assert run("monitor", *typed, f"topics={runs['topics']}", f"folder={tmp_path / 'a'}").code == 0
    answers = Predictor(load_run(str(runs["topics"])), device="cpu").answers({"text": text} for text in TEXTS)
    assert [row[0] for row in stored(tmp_path / "a")] == [answer["label"] for answer in answers]
    assert run("monitor", *typed, "rules=none", f"folder={tmp_path / 'b'}").code == 0
    assert {row[0] for row in stored(tmp_path / "b")} == {"all"}
    other = run("monitor", *typed, "rules=none", f"folder={tmp_path / 'a'}")
    assert other.code == 2 and "judged with another topics" in other.err and "Choose a new folder" in other.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["source=x"], "no run says the sentiment. Add run=FOLDER"),
        (["run={sentiment}", "source=nowhere.txt"], "nowhere.txt: the file does not exist"),
        (["run={several}"], "run: the run is of several labels for each text"),
        (["run={sentiment}", "topics={several}"], "topics: the run is of several labels"),
        (["run=nowhere"], "not a run's folder"),
        (["run={sentiment}", "alert.label=negativ"], "no label 'negativ'. Did you mean negative?"),
        (["run={sentiment}", "alert.baseline={{stuff: 0.1}}"], "no topic 'stuff'. Did you mean staff?"),
        (["run={sentiment}", "alert.odds=1"], "alert.odds must be greater than or equal to 1.2"),
        (["run={sentiment}", "alert.lern=50"], "Did you mean alert.learn?"),
        (["run={sentiment}", "rules=financial_topic"], "financial_topics"),
        (["report=true"], "no monitor has been at work in this folder"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    words: list[str], told: str, runs: dict[str, Path], run: Command, tmp_path: Path
) -> None:
    given = [word.format(**runs) for word in words]
    outcome = run("monitor", *given, f"folder={tmp_path / 'watch'}")
    assert outcome.code == 2 and told in outcome.err and "Traceback" not in outcome.err


@pytest.mark.slow
def test_following_kill_and_interrupt(runs: dict[str, Path], tmp_path: Path) -> None:
    """The command itself, killed while it follows a file, then stopped by Ctrl-C."""
    source, folder = tmp_path / "news.jsonl", tmp_path / "watch"
    rows = [json.dumps({"text": f"{TEXTS[n % 5]} {n}", "time": 60 * n}) + "\n" for n in range(60)]
    source.write_text("".join(rows[:30]))
    command = [
        sys.executable, "-m", "rag_lightning.monitor", f"run={runs['sentiment']}", f"source={source}", "follow=true",
        f"folder={folder}", "device=cpu", "batch=4", "poll=0.05",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    for more, stop, code in ((rows[30:45], signal.SIGKILL, -9), (rows[45:], signal.SIGINT, 130)):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # a shell ignores Ctrl-C in what it runs in the background, and this test may be run there
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        waited_for = 12 if stop == signal.SIGKILL else 60
        until = time.monotonic() + 120
        with open(source, "a", encoding="utf-8") as file:
            file.write("".join(more))
        while not (folder / "monitor.sqlite").is_file() or len(stored(folder)) < waited_for:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(stop)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code
    assert "stopped: 60 messages" in err and "Traceback" not in err
    assert [row[3] for row in stored(folder)] == [json.loads(row)["text"] for row in rows]
