"""What takes part in each step of writing: penalties, drawing, and when to stop."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedTokenizerFast,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from rag_lightning.generation.options import GenerationOptions


class OfWhatIsWritten(LogitsProcessor):
    """A processor that sees what was written and not the prompt, nor the padding before it.

    Else a penalty would count the padding, and a text would depend on the batch that it is written in.
    """

    def __init__(self, processor: LogitsProcessor, start: int) -> None:
        self.processor, self.start = processor, start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.processor(input_ids[:, self.start :], scores)
        return changed


class SeededDraw(LogitsProcessor):
    """Noise that makes the likeliest token a draw from the distribution (the Gumbel-max trick).

    Each row has a generator of its own, so that what it draws does not depend on the other rows of its batch.

    Args:
        seeds: one for each row.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        size = scores.shape[-1]
        waits = torch.stack([torch.empty(size).exponential_(generator=each) for each in self.generators])
        return scores - waits.log().to(scores.device)


class StopAt(StoppingCriteria):
    """Ends the rows whose written text holds one of the stop texts, or all rows when asked to.

    Args:
        tokenizer: what the text is read with.
        stop: the stop texts.
        start: how many tokens of each row were there before anything was written.
        cancelled: asked at each step; true ends everything.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        stop: Sequence[str],
        start: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.tokenizer, self.stop, self.start, self.cancelled = tokenizer, stop, start, cancelled
        # A token is at least a byte of text: the end of so many tokens holds any stop text that was completed now.
        self.tail = max((len(text.encode()) for text in stop), default=0) + 8

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        ended = torch.full((len(input_ids),), self.cancelled(), dtype=torch.bool, device=input_ids.device)
        if not self.stop:
            return ended
        tails = input_ids[:, max(self.start, input_ids.shape[1] - self.tail) :].tolist()
        held = [find_stop(read(self.tokenizer, tail), self.stop) is not None for tail in tails]
        return ended | torch.tensor(held, device=input_ids.device)


def processors(options: GenerationOptions, start: int, seeds: Sequence[int]) -> LogitsProcessorList:
    """What changes the scores of each step, in order.

    Args:
        options: how to write.
        start: tokens in front of what is written.
        seeds: of drawing, one for each row.
    """
    steps = LogitsProcessorList()
    if options.repetition_penalty != 1:
        steps.append(OfWhatIsWritten(RepetitionPenaltyLogitsProcessor(options.repetition_penalty), start))
    if options.no_repeat_ngram_size:
        steps.append(OfWhatIsWritten(NoRepeatNGramLogitsProcessor(options.no_repeat_ngram_size), start))
    if not options.do_sample:
        return steps
    if options.temperature != 1:
        steps.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        steps.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        steps.append(TopPLogitsWarper(options.top_p))
    steps.append(SeededDraw(seeds))
    return steps


def seeds_of(prompts: Sequence[Sequence[int]], seed: int) -> list[int]:
    """A seed for each prompt: of the prompt, the given seed, and how many equal prompts came before it.

    So neither the order of the prompts nor the others among them change what is drawn for one.
    """
    before: Counter[tuple[int, ...]] = Counter()
    seeds = []
    for prompt in map(tuple, prompts):
        digest = hashlib.sha256(repr((seed, before[prompt], prompt)).encode()).digest()
        seeds.append(int.from_bytes(digest[:8], "little") >> 1)
        before[prompt] += 1
    return seeds


def find_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the stop texts begins, or None."""
    return min((place for each in stop if (place := text.find(each)) >= 0), default=None)


def read(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    """The text of token ids, spaces as they are, special tokens left out."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
