"""``dry_run=true`` of a single run: what it would be, and how far it is."""

from omegaconf import DictConfig

from rag_lightning.console import say
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.plan import make_plan
from rag_lightning.training.resume import newest_whole


def say_what_would_run(raw: DictConfig) -> None:
    """Check a configuration and say what would be done, without doing it.

    Raises:
        UserError: if it is refused.
    """
    plan = make_plan(raw)
    folder = RunFolder(plan.folder)
    point = newest_whole(folder.checkpoints, clean=False)
    if folder.finished() and not plan.config.force:
        told = "is finished"
    else:
        told = f"would go on from {point.name}" if point is not None and not plan.config.force else "would run"
    say(f"{plan.task.name}: {plan.name}")
    say(f"  folder   {folder.path}")
    say(f"  {told}; nothing was done (dry_run=true)")
