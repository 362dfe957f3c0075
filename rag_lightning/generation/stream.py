"""A text piece by piece, while it is written."""

from collections.abc import Generator, Sequence
from queue import SimpleQueue
from threading import Event, Thread

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.generation.streamers import BaseStreamer

from rag_lightning.errors import UserError
from rag_lightning.generation.generate import Generated, Overlong, finish, fit, room_for_prompt
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.generation.steps import seeds_of
from rag_lightning.generation.writing import begin_id, end_ids, write

_UNFINISHED = "\ufffd"  # the first bytes of a character whose others are in the next token


def stream(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompt: Sequence[int],
    options: GenerationOptions,
    *,
    overlong: Overlong = "refuse",
    window: int | None = None,
) -> Generator[str, None, Generated]:
    """Pieces of the text that :func:`rag_lightning.generation.generate.generate` gives for this prompt alone.

    Joined they are its text: what may be the beginning of a stop text is held back until it is none. The network
    writes in a thread; closing the generator ends that. Nothing else may use the network meanwhile.

    Returns:
        The whole (as the generator's value: ``answer = yield from stream(...)``).

    Raises:
        UserError: as ``generate`` does; and with beams, which choose the text only at its end.
    """
    if options.num_beams > 1:
        raise UserError(
            "With beams the text is only known at its end and cannot be shown piece by piece",
            where="num_beams",
            remedy="Set num_beams=1.",
        )
    ends = end_ids(network, tokenizer)
    room = room_for_prompt(network.config, options, window)
    ids, cut = fit(prompt or [begin_id(network, tokenizer)], room, overlong, "prompt")
    tokens, cancelled = _Tokens(), Event()
    results: list[list[int] | BaseException] = []

    def work() -> None:
        try:
            seeds = seeds_of([ids], options.seed)
            results.extend(
                write(network, tokenizer, [ids], options, seeds, streamer=tokens, cancelled=cancelled.is_set)
            )
        except BaseException as error:  # raised where the pieces are read
            results.append(error)
        finally:
            tokens.queue.put(None)

    thread = Thread(target=work, daemon=True)
    thread.start()
    written: list[int] = []
    shown = ""
    try:
        while (token := tokens.queue.get()) is not None:
            written.append(token)
            text = _certain(finish(written, cut, tokenizer, ends, options).text, options.stop)
            if len(text) > len(shown):
                yield text[len(shown) :]
                shown = text
        if isinstance(results[0], BaseException):
            raise results[0]
        answer = finish(results[0], cut, tokenizer, ends, options)
        if len(answer.text) > len(shown):
            yield answer.text[len(shown) :]
        return answer
    finally:
        cancelled.set()
        thread.join()


class _Tokens(BaseStreamer):
    """A queue of the tokens; the first call brings what stood there before."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[int | None] = SimpleQueue()
        self._began = False

    def put(self, value: torch.Tensor) -> None:
        if self._began:
            self.queue.put(int(value))
        self._began = True

    def end(self) -> None:
        """The thread itself says when it is done."""


def _certain(text: str, stop: Sequence[str]) -> str:
    """The text without an end that the next token may change: half a character, or the beginning of a stop text."""
    text = text.rstrip(_UNFINISHED)
    held = (size for each in stop for size in range(len(each) - 1, 0, -1) if text.endswith(each[:size]))
    return text[: len(text) - max(held, default=0)]
