"""A monitor whose judge is a few words, so that it starts at once: ``stub_monitor.py SOURCE FOLDER [follow]``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rag_lightning.monitor.judge import Judge, Judged
from rag_lightning.monitor.options import AlertOptions, MonitorConfig
from rag_lightning.monitor.state import opened
from rag_lightning.monitor.watching import watch

ALERT = AlertOptions(baseline=0.1, odds=3, false_alarm_every=200)


def judge(texts: Sequence[str]) -> list[Judged]:
    """``deals 17 bad``: the topic comes first, the label last."""
    return [Judged(text.split()[0], "negative" if text.endswith("bad") else "neutral", 0.9) for text in texts]


STUB = Judge(("negative", "neutral"), {"run": "stub", "topics": "stub"}, judge)


def config_of(source: str, folder: Path, **more: object) -> MonitorConfig:
    settings = {"source": source, "folder": str(folder), "batch": 5, "poll": 0.002, "alert": ALERT, **more}
    return MonitorConfig(**settings)


if __name__ == "__main__":
    source, folder, *follow = sys.argv[1:]
    with opened(Path(folder)) as state:
        print("ready", flush=True)
        watch(config_of(source, Path(folder), follow=bool(follow), page_every=1), STUB, state)
