"""A sweep's life: its trials are looked at, workers are sent until none is left, the answer is told."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_lightning.cli import Interrupted
from rag_lightning.config.schema import SweepConfig
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.errors import UserError
from rag_lightning.sweep.known import origin_of, sort_out, sort_out_search
from rag_lightning.sweep.order import Order, is_settled, write_order
from rag_lightning.sweep.planning import Outlook, look_ahead, say_outlook, say_trials, twins_of
from rag_lightning.sweep.question import Trial, Typed, asked_of, folder_of
from rag_lightning.sweep.record import (
    Question,
    Record,
    read_question,
    read_record,
    read_records,
    write_question,
)
from rag_lightning.sweep.stopping import SweepStop

# Sends so many workers, which work trials off until none is left. Returns or raises when they have ended: True if this
# very process was one of them and was told to stop.
Launch = Callable[[int], bool]
NOT_ALL = 3  # exit code
_IN_VAIN = 2  # rounds of workers that may end without a single trial


@dataclass(frozen=True)
class Asked:
    """What a sweeper asks for.

    Attributes:
        typed: the words behind ``-m``; ``way``: the sweeper and its settings that change which trials it asks for.
        config: the composed configuration without any swept value.
        trials: all of them; for a search a few examples, which show what is refused.
        workers: how many at a time.
        search: of an optuna search; then ``n_trials`` is their number.
    """

    typed: Typed
    way: Mapping[str, Any]
    config: Any
    trials: Sequence[Trial]
    workers: int
    search: dict[str, Any] | None = None
    n_trials: int = 0

    @property
    def total(self) -> int:
        return self.n_trials if self.search is not None else len(self.trials)


def run_sweep(asked: Asked, send: Callable[[Order], Launch]) -> None:
    """Do all trials of a sweep that are not done yet.

    Args:
        send: makes the launch of workers for an order.

    Raises:
        UserError: for a mistake in the sweep itself, or if no worker could be started.
        Interrupted: stopped by a signal, after the running trials were saved.
        SystemExit: with :data:`NOT_ALL` if trials failed or were refused.
    """
    config = asked.config
    order = _order(asked)
    if order.search is not None:
        from rag_lightning.sweep.search import check_question  # sqlalchemy takes long to import

        check_question(order)
    if config.dry_run:
        _show(asked, order)
        return
    order.path.mkdir(parents=True, exist_ok=True)
    if asked.search is None:
        outlook = look_ahead(order, *sort_out(order, asked.trials, config.sweep.again), dry=False)
        say_outlook(order, outlook)
        _refuse_if_all_are(outlook, order.total)
    else:
        sort_out_search(order)
        outlook = look_ahead(order, asked.trials, {}, dry=True)
        order = _search_order(order, asked, outlook)
    write_question(order.path, _question(asked, order, outlook))
    write_order(replace(order, twins=twins_of(outlook) if order.search is None else ()), outlook.waiting)
    interrupted = False
    if outlook.waiting or asked.search is not None:
        interrupted = _send_until_done(order, outlook.waiting, asked.workers, send(order))
    _tell_end(order, asked.total, interrupted)


def _order(asked: Asked) -> Order:
    config, cwd = asked.config, os.getcwd()
    sweep = parse(SweepConfig, to_plain(config)["sweep"], "sweep")
    if asked.search is not None and sweep.again != "none":
        raise UserError(
            "a search has told its study of what failed, and tries it no second time",
            where="sweep.again",
            remedy=f"Leave it out, or raise hydra.sweeper.n_trials above {asked.total:,}.",
        )
    task = str(config.task.get("name"))
    folder = sweep.folder or folder_of(asked.typed, task, Path(config.output_dir), asked.way)
    return Order(
        name=Path(folder).name, total=asked.total, folder=str(Path(folder).expanduser().absolute()), cwd=cwd,
        origin=origin_of(cwd), force=bool(config.force), tries=sweep.tries, stop=sweep.stop,
        stop_after=sweep.stop_after, stop_from=sweep.stop_from, stop_factor=sweep.stop_factor,
        search=None if asked.search is None else {**asked.search, "question": _searched(asked)},
    )  # fmt: skip


def _searched(asked: Asked) -> list[str]:
    """The words that one study can answer; how many trials are asked for is none of them."""
    fixed, swept = asked_of(asked.typed)
    return [*fixed, *swept, *(f"hydra.sweeper.{key}={value}" for key, value in asked.way.items() if key != "sweeper")]


def _show(asked: Asked, order: Order) -> None:
    """What ``dry_run=true`` prints; nothing is written."""
    known: tuple[Sequence[Trial], Mapping[str, Record]] = (asked.trials, {})
    if asked.search is None:
        known = sort_out(order, asked.trials, asked.config.sweep.again, dry=True)
    else:
        done = sum(is_settled(record, order) for record in read_records(order.path))
        say(f"a search of {asked.total:,} trials, {done:,} of them done; they are chosen as it goes, for example:")
    outlook = look_ahead(order, *known, dry=True)
    say_outlook(order, outlook)
    say_trials(outlook, asked.trials)
    say("nothing was done (dry_run=true)")
    if any(record.state == "refused" for record in outlook.records.values()):
        raise SystemExit(NOT_ALL)


def _question(asked: Asked, order: Order, outlook: Outlook) -> Question:
    """What is asked; task and headline of an earlier time where nothing had to be planned."""
    task, headline, lower = outlook.task, outlook.headline, outlook.lower_is_better
    if not task:
        try:
            before = read_question(order.path)
            task, headline, lower = before.task, before.headline, before.lower_is_better
        except UserError:
            task = str(asked.config.task.get("name"))
    swept = {dimension.key: dimension.typed for dimension in asked.typed.swept}
    if seeds := asked.way.get("seeds"):
        swept["seed"] = ",".join(map(str, seeds))
    return Question(
        name=order.name, command=("-m", "rag_lightning.train", *sys.argv[1:]), fixed=asked.typed.fixed, swept=swept,
        total=asked.total, task=task, headline=headline, lower_is_better=lower,
    )  # fmt: skip


def _search_order(order: Order, asked: Asked, outlook: Outlook) -> Order:
    """With what workers must know to ask for trials themselves."""
    _refuse_if_all_are(outlook, len(asked.trials))
    say(f"search   {order.name}: {order.total:,} trials\n  folder   {order.folder}")
    return replace(order, search={**(order.search or {}), "lower_is_better": outlook.lower_is_better})


def _refuse_if_all_are(outlook: Outlook, total: int) -> None:
    refused = [record for record in outlook.records.values() if record.state == "refused"]
    if refused and len(refused) == total:
        raise UserError(f"every trial is refused, such as this one: {refused[0].reason}")


def _send_until_done(order: Order, waiting: Sequence[Trial], workers: int, launch: Launch) -> bool:
    """Send workers, and others in place of those that died; whether the user stopped it."""
    in_vain = 0
    with SweepStop(order.path) as stop:
        while True:
            before = _left(order, waiting)
            if not before or stop.requested:
                break
            trouble: Exception | None = None
            try:
                if launch(max(1, min(workers, before))):
                    return True
            except Exception as error:  # one of a pool's workers was killed, a node went away …
                trouble = error
            if stop.requested:
                return True
            after = _left(order, waiting)
            in_vain = in_vain + 1 if after == before else 0
            if not after:
                break
            if in_vain > _IN_VAIN + order.tries:
                raise _cannot_go_on(order, trouble) from trouble
            if trouble is not None:
                left = f"{after:,} trials are left, others take them up"
                say(f"workers ended ({_brief(trouble)}); {left}", style="yellow")
    return stop.requested


def _left(order: Order, waiting: Sequence[Trial]) -> int:
    if order.search is not None:
        from rag_lightning.sweep.search import left_to_do

        return left_to_do(order)
    return sum(not is_settled(read_record(order.path, trial.key), order) for trial in waiting)


def _cannot_go_on(order: Order, trouble: Exception | None) -> UserError:
    return UserError(
        f"workers end without doing a trial ({_brief(trouble) if trouble else 'no reason is known'})",
        where=order.folder,
        remedy="Try hydra/launcher=basic, which works in this process and shows what is wrong.",
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}"


def _tell_end(order: Order, total: int, interrupted: bool) -> None:
    from rag_lightning.leaderboard.finish import finish_sweep

    finish_sweep(order.path)
    states = [record.state for record in read_records(order.path)]
    named = ("finished", "hopeless", "failed", "refused")
    counts = {name: states.count(name) for name in named if name in states}
    left = total - sum(counts.values())
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none begun"
    say(f"{total:,} trials: {told}" + (f", {left:,} left" if left > 0 else ""))
    if interrupted:
        raise Interrupted("the same command again goes on from there")
    if "failed" in states or "refused" in states:
        raise SystemExit(NOT_ALL)
