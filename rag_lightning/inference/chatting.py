"""A finished run of dialogues in conversation, by standard input and output."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import torch
from omegaconf import DictConfig

from rag_lightning.config.schema import ChatConfig
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.stream import stream
from rag_lightning.inference.conversation import Conversation, converse
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.training.folder import RunFolder

TASK = "dialogue"
_YOU = "you> "


def chat_with_run(raw: DictConfig) -> int:
    """Talk until the end of the input, or /quit.

    Returns:
        The number of turns answered.

    Raises:
        UserError: if the run is none of dialogues, or its texts cannot be shown piece by piece.
    """
    config = parse(ChatConfig, to_plain(raw))
    _check_task(config.run)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if interactive:
        _tell(f"loading {config.run} …")
    predictor = Predictor(load_run(config.run), device=config.device)
    options = config.generation or without_beams(predictor.run.config.generation, _tell)
    if options.num_beams > 1:
        raise UserError(
            "with beams a text is known at its end only, and a conversation is written while you watch",
            where="generation.num_beams",
            remedy="Choose generation=greedy or generation=sampling.",
        )
    if interactive:
        _tell(f"{predictor.run.config.model.name}, {predictor.run.folder.path}. /help lists the commands.")
    read = _from_terminal if interactive else _from_pipe
    talked = conversation_with(predictor, options)
    return converse(talked, read, sys.stdout, _tell, interactive=interactive, show_context=config.context)


def conversation_with(predictor: Predictor, options: GenerationOptions) -> Conversation:
    """A conversation with a loaded run of dialogues.

    Args:
        predictor: the run, on its device.
        options: how to write; no beams.
    """
    run = predictor.run

    def write(record: Record) -> Iterator[str]:
        prompt = prompt_of(predictor, record)
        network, tokenizer = run.network, run.words.tokenizer
        return stream(network, tokenizer, prompt, options, overlong="cut_start", window=run.words.max_length)

    def looked_up(record: Record) -> str | None:
        recipe = getattr(predictor.context.render, "recipe", None)
        if recipe is None or not (recipe.terms or recipe.entries):
            return None
        segments = predictor.context.render(run.guide.annotate([record])[0])
        return " ".join(" ".join(segment.words) for segment in segments if segment.field == "context")

    return Conversation(write, looked_up, run.options.most_turns, run.options.system)


def prompt_of(predictor: Predictor, record: Record) -> list[int]:
    """The ids that the network goes on from, as in training and prediction."""
    output = predictor.run.task.output
    with torch.inference_mode():
        columns = output.encode(predictor.run.guide.annotate([record]), 0, predictor.context)
    ids: list[int] = columns["input_ids"][0][: columns["prompt"][0]]
    return ids


def without_beams(options: GenerationOptions, tell: Callable[[str], None]) -> GenerationOptions:
    """How a run writes, greedily where it looks for the likeliest text with beams."""
    if options.num_beams == 1:
        return options
    tell("this run writes with beams; here it writes greedily (generation=sampling draws)")
    return options.model_copy(update={"num_beams": 1, "length_penalty": 1.0, "early_stopping": False})


def _check_task(path: str) -> None:
    """Refuse a run of another task before its model is loaded."""
    plain, _ = RunFolder(Path(path).expanduser()).read_config()
    name = plain["task"]["name"]
    if name != TASK:
        raise UserError(
            f"this is a run of task={name}, and only runs of task={TASK} hold a conversation",
            where=f"run={path}",
            remedy=f"Use python -m rag_lightning.predict run={path}, or train one with task={TASK}.",
        )


def _from_terminal() -> str | None:
    """A line typed at the prompt; Ctrl-C clears it, Ctrl-D is the end."""
    with suppress(ImportError):  # arrow keys and history, where the system has it
        import readline  # noqa: F401
    try:
        return input(_YOU)
    except EOFError:
        print()
        return None
    except KeyboardInterrupt:
        print("\n(Ctrl-D or /quit ends the conversation)", file=sys.stderr)
        return ""


def _from_pipe() -> str | None:
    """The next line of a file or a pipe."""
    return sys.stdin.readline() or None


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
