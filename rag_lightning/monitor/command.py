"""What ``python -m rag_lightning.monitor`` does with its configuration."""

import time
from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.cli import Interrupted
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.errors import UserError
from rag_lightning.monitor.options import MonitorConfig
from rag_lightning.monitor.page import PAGE, write_page
from rag_lightning.monitor.state import STATE, State, opened
from rag_lightning.rules.command import rules_origin
from rag_lightning.rules.load import load_rules
from rag_lightning.rules.ruleset import RuleSet


def run_monitor(raw: DictConfig) -> int:
    """Watch the source, or write the page; the messages that were new.

    Raises:
        UserError: for a mistake in the settings.
        Interrupted: on Ctrl-C; everything that was read has been written.
    """
    config = parse(MonitorConfig, to_plain(raw))
    folder = Path(config.folder).expanduser()
    if config.report:
        return _report(config, folder)
    ruleset = RuleSet(fingerprint="") if config.topics is not None else load_rules(config.rules, rules_origin(raw))
    from rag_lightning.monitor.judge import load_judge
    from rag_lightning.monitor.watching import watch

    with opened(folder) as state:
        judge = load_judge(config, ruleset)
        try:
            new = watch(config, judge, state)
        except KeyboardInterrupt:
            raise Interrupted(f"{_told(state)}. The same command goes on where it was.") from None
        say(f"{new:,} new {'message' if new == 1 else 'messages'}; {_told(state)}. Page: {folder / PAGE}")
    return new


def _report(config: MonitorConfig, folder: Path) -> int:
    if not (folder / STATE).is_file():
        raise UserError(
            "no monitor has been at work in this folder", where=str(folder), remedy="Set folder=… to that of a monitor."
        )
    with opened(folder, writing=False) as state:
        write_page(state, config, time.time())
        say(f"{_told(state)}. Page: {folder / PAGE}")
    return 0


def _told(state: State) -> str:
    repeated = state.counted("repeated")
    more = f", {repeated:,} repeated" if repeated else ""
    return (
        f"{state.count('messages'):,} messages, {state.count('refused'):,} refused lines{more}, "
        f"{state.count('alerts'):,} alerts"
    )
