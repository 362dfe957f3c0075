"""Which way keeps what the model knew, and what does it cost? All comparisons and the sequence, on real data.

    python experiments/retention/run.py --data FOLDER_OF_FOLDERS
    python experiments/retention/run.py --data FOLDER_OF_FOLDERS --only sst2_16 conll2003_200 -- trainer=cpu

FOLDER_OF_FOLDERS holds conll2003, sst2, multi30k to learn, stsb, trec, wnut17, ag_news to probe and wikitext103 for
general text, each as conf/data describes it. Given again, it goes on where it was. Tables and pictures lie under
OUTPUT/NAME; what comes after ``--`` is handed on to every run.
"""

import argparse
import subprocess
import sys
from pathlib import Path

COMPARISONS = ("conll2003", "conll2003_200", "sst2", "sst2_16", "multi30k")
SEQUENCE = "sequence"
WRITING = ("multi30k",)
PROBED = {"similarity.data": "stsb", "linear.data.texts": "trec", "linear.data.entities": "wnut17",
          "zero_shot.data": "ag_news"}  # fmt: skip
TASKS = {"ner": "conll2003", "classification": "trec", "matching": "mrpc"}


def general_text(data: Path) -> list[str]:
    """What methods read (and, other articles of it, what is probed)."""
    return ["data@general_text=wikitext", f"general_text.path={data / 'wikitext103'}"]


def probes(data: Path) -> list[str]:
    """Real data for the probes of encoders."""
    words = [
        word
        for place, name in PROBED.items()
        for word in (f"data@probe.{place}={name}", f"probe.{place}.path={data / name}")
    ]
    return [
        "probe=knowledge",
        *words,
        "probe.similarity.split=test",
        "probe.zero_shot.split=test",
        "probe.zero_shot.limit=1000",
    ]


def compared(name: str, data: Path, output: Path) -> list[str]:
    """The command line of a comparison."""
    folder = data / name.removesuffix("_200").removesuffix("_16")
    own = [] if name in WRITING else probes(data)
    return [
        f"comparison={name}", f"data.path={folder}", f"comparison.folder={output / name}",
        f"output_dir={output / 'runs'}", *general_text(data), *own,
    ]  # fmt: skip


def in_sequence(data: Path, output: Path) -> list[str]:
    """The command line of three tasks after one another."""
    limits = "data.limit.train=3000 data.limit.validation=300 trainer.max_epochs=2 batching.size=32"
    tasks = [
        f"sequence.tasks.{task}='task={task} data={name} data.path={data / name} {limits}'"
        for task, name in TASKS.items()
    ]
    return [
        f"sequence.folder={output / SEQUENCE}", f"output_dir={output / 'runs'}",
        *tasks, *general_text(data),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/retention"))
    parser.add_argument("--only", nargs="*", choices=(*COMPARISONS, SEQUENCE), default=[*COMPARISONS, SEQUENCE])
    parser.add_argument("overrides", nargs="*", help="settings of every run, after --")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    data, output = given.data.resolve(), given.output.resolve()
    for name in given.only:
        words = in_sequence(data, output) if name == SEQUENCE else compared(name, data, output)
        command = "sequence" if name == SEQUENCE else "compare"
        done = subprocess.run([sys.executable, "-m", f"rag_lightning.{command}", *words, *given.overrides])
        if done.returncode:
            raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
