"""What a sweep saves against its trials one by one; ratios within one run, on equal work.

MiniLM, named entities, 2,000 training sentences and all of validation and test. Three comparisons:

    epochs   an epoch of training at 4 and at 6 frozen layers (of 6), with the trunk cache and without it
    rates    8 learning rates at 6 frozen layers: one sweep against 8 commands one after the other
    trials   27 trials, learning rate x template x frozen layers: one sweep against 27 commands one after the other

Each command is a process of its own. Sweep and commands begin with caches of their own that are empty, so that making
what is kept is counted. The commands run without the trunk cache, as they do for whoever has none; with `--defaults`
they are timed a second time as they come, when each finds what the one before it kept.

    python experiments/throughput/sweep.py --data FOLDER                       # all three; hours on a busy machine
    python experiments/throughput/sweep.py --data FOLDER --parts rates --commands 3   # three of 8 commands, scaled up
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RATES = ("1e-4", "3e-4", "1e-3", "2e-3", "3e-3", "5e-3", "1e-2", "2e-2")
SWEPT: dict[str, dict[str, tuple[str, ...]]] = {
    "rates": {"optimizer.lr": RATES},
    "trials": {
        "optimizer.lr": ("1e-5", "3e-5", "1e-4"),
        "template": ("none", "description", "hints"),
        "tuning.frozen_layers": ("0", "2", "4"),
    },
}
FIXED = {"rates": ["tuning.frozen_layers=6"], "trials": ["rules=news_ner"]}
BARS = {"epoch, 4 frozen": 1.6, "epoch, 6 frozen": 5.0, "rates": 15.0, "trials": 4.0}
OFF = "encoding.trunk.use=off"


def shared(arguments: argparse.Namespace) -> list[str]:
    """The overrides of every trial."""
    data = ["data=conll", f"data.path={arguments.data}"] if arguments.data else []
    return [
        "task=ner", *data, f"data.limit.train={arguments.sentences}", f"trainer.max_epochs={arguments.epochs}",
        "trainer=cpu", "logger=none", "trainer.enable_progress_bar=false", *arguments.more,
    ]  # fmt: skip


def trials_of(part: str) -> list[list[str]]:
    """The overrides that tell each trial from the others."""
    swept = SWEPT[part]
    return [
        [f"{key}={value}" for key, value in zip(swept, values, strict=True)]
        for values in itertools.product(*swept.values())
    ]


# --- one process ----------------------------------------------------------------------------------------------


def timed(command: list[str], cache: str) -> float:
    """Seconds from the start of a process to its end."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RAG_LIGHTNING_CACHE": cache})
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return seconds


def one_process(part: str, arguments: argparse.Namespace) -> float:
    """The sweep, as users begin it."""
    swept = [f"{key}={','.join(values)}" for key, values in SWEPT[part].items()]
    with tempfile.TemporaryDirectory() as folder:
        words = [*shared(arguments), *FIXED[part], f"output_dir={folder}/runs"]
        if arguments.workers > 1:
            words += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={arguments.workers}"]
        command = [sys.executable, "-m", "rag_lightning.train", "-m", *words, *swept]
        if arguments.loop:
            command = [sys.executable, __file__, "--turn", part, "--more", *words]
        return timed(command, f"{folder}/cache")


def one_by_one(part: str, arguments: argparse.Namespace, *, use: list[str]) -> float:
    """The commands; where only some are run, they stand for the others of their kind."""
    trials = trials_of(part)
    chosen = trials[: arguments.commands]  # the first nine of `trials` are all kinds at one learning rate
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for trial in chosen:
            words = [*shared(arguments), *FIXED[part], f"output_dir={folder}/runs", *use, *trial]
            seconds.append(timed([sys.executable, "-m", "rag_lightning.train", *words], f"{folder}/cache"))
            print(f"    {' '.join(trial)}: {seconds[-1]:.1f} s", flush=True)
    return sum(seconds) * len(trials) / len(chosen)


def loop(part: str, words: list[str]) -> None:
    """The trials one after the other in this process, as a worker does them."""
    from rag_lightning.train import train
    from rag_lightning.trials import many_trials

    with many_trials():
        for trial in trials_of(part):
            train([*words, *trial])


# --- epochs ---------------------------------------------------------------------------------------------------


def epochs(words: list[str]) -> None:
    """Train in this process; the last line printed is the seconds of each epoch of training, and the test score."""
    from rag_lightning.callbacks.throughput import Throughput
    from rag_lightning.train import train

    marks: list[float] = []
    begin = Throughput.on_train_epoch_start

    def note_begin(self: Throughput, *more: object) -> None:
        begin(self, *more)  # type: ignore[arg-type]
        marks.append(time.perf_counter())

    Throughput.on_train_epoch_start = note_begin  # type: ignore[method-assign]
    Throughput.on_train_epoch_end = lambda self, *_: marks.append(time.perf_counter())  # type: ignore[method-assign]
    result = train(words)
    seconds = [end - start for start, end in zip(marks[::2], marks[1::2], strict=True)]
    print("\n" + json.dumps({"epochs": seconds, "f1": result.metrics["test/f1"]}))


def epoch_of(layers: int, use: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """Median seconds of an epoch in a process of its own, and the test score."""
    lr = "1e-3" if layers == 6 else "1e-4"
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *shared(arguments),
            f"tuning.frozen_layers={layers}",
            f"encoding.trunk.use={use}",
            f"optimizer.lr={lr}",
        ]
        words += [f"run.folder={folder}/run", "trainer.max_epochs=3", "data.limit.validation=500"]
        words += ["data.limit.test=500", "trainer.check_val_every_n_epoch=3"]  # the epochs are timed, no evaluation
        command = [sys.executable, __file__, "--turn", "epochs", "--more", *words]
        environment = {**os.environ, "RAG_LIGHTNING_CACHE": f"{folder}/cache"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(f"failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        result = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"    {layers} frozen, cache {use}: {result['epochs']} s, F1 {result['f1']:.3f}", flush=True)
    return statistics.median(result["epochs"]), float(result["f1"])


# --- all ------------------------------------------------------------------------------------------------------


def compare(arguments: argparse.Namespace) -> list[tuple[str, float, float]]:
    """(what, seconds without, seconds with) of each comparison, the median of the rounds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", flush=True)
        if "epochs" in arguments.parts:
            for layers in (4, 6):
                without, kept = (epoch_of(layers, use, arguments)[0] for use in ("off", "on"))
                found.setdefault(f"epoch, {layers} frozen", []).append((without, kept))
        for part in (each for each in SWEPT if each in arguments.parts):
            together = one_process(part, arguments)
            print(f"    {part}, one sweep: {together:.1f} s", flush=True)
            found.setdefault(part, []).append((one_by_one(part, arguments, use=[OFF]), together))
            if arguments.defaults:
                found.setdefault(f"{part}, commands as they come", []).append(
                    (one_by_one(part, arguments, use=[]), together)
                )
    return [(name, *min(pairs, key=lambda pair: abs(_ratio(pair) - _middle(pairs)))) for name, pairs in found.items()]


def _ratio(pair: tuple[float, float]) -> float:
    return pair[0] / pair[1]


def _middle(pairs: list[tuple[float, float]]) -> float:
    return statistics.median_low([_ratio(pair) for pair in pairs])


def table(rows: list[tuple[str, float, float]]) -> str:
    """A Markdown table."""
    lines = ["| | one by one, or without | sweep, or with | faster by | asked for |", "|---|---:|---:|---:|---:|"]
    for name, without, kept in rows:
        bar = f"{BARS[name]:g}" if name in BARS else ""
        lines.append(f"| {name} | {without:,.1f} s | {kept:,.1f} s | {without / kept:.1f} | {bar} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder of CoNLL columns; without it the embedded sample")
    parser.add_argument("--sentences", type=int, default=2000, help="of training")
    parser.add_argument("--epochs", type=int, default=3, help="of each trial of the sweeps")
    parser.add_argument("--parts", nargs="*", choices=("epochs", *SWEPT), default=["epochs", *SWEPT])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--commands", type=int, help="run a sweep's first so many commands only, and scale up")
    parser.add_argument("--defaults", action="store_true", help="time the commands with the trunk cache too")
    parser.add_argument("--workers", type=int, default=1, help="of the sweep, which joblib starts")
    parser.add_argument("--loop", action="store_true", help="a loop in one process instead of the command of a sweep")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    parser.add_argument("--more", nargs="*", default=[], help="further overrides of every trial")
    arguments = parser.parse_args()
    if arguments.turn == "epochs":
        epochs(arguments.more)
    elif arguments.turn:
        loop(arguments.turn, arguments.more)
    else:
        print("\n" + table(compare(arguments)))


if __name__ == "__main__":
    main()
