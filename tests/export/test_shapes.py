"""Answers in numpy are those of torch, whatever the network gives."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lightning.decoding.crf import LinearChainCRF
from rag_lightning.decoding.token_decoder import make_decode
from rag_lightning.decoding.vetoes import FORBIDDEN_COLUMN
from rag_lightning.export.shapes import spans, words
from rag_lightning.export.shapes.shape import Head
from rag_lightning.tasks.outputs import span

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-5, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans())
def test_words(seed: int, transitions: bool, learnt: bool, vetoed: bool) -> None:
    rng = np.random.default_rng(seed)
    rows, tokens = int(rng.integers(1, 5)), int(rng.integers(1, 12))
    places = np.full((rows, tokens), -1)
    for row in places:
        chosen = np.sort(rng.choice(tokens, int(rng.integers(0, tokens + 1)), replace=False))
        row[chosen] = np.arange(len(chosen)) + int(rng.integers(0, 2)) * 7
    batch = {"words": places, "example": np.arange(rows)}
    if vetoed:
        batch[FORBIDDEN_COLUMN] = rng.integers(0, 4, (rows, tokens))
    logits = rng.normal(0, 3, (rows, tokens, len(LABELS))).astype(np.float32)
    arrays, crf = {}, None
    if learnt:
        crf = LinearChainCRF(len(LABELS))
        for name, weights in crf.named_parameters():
            torch.nn.init.normal_(weights, generator=torch.Generator().manual_seed(seed))
            arrays[f"{words.CRF}.{name}"] = weights.detach().numpy()
    head = Head(LABELS, None, arrays=arrays, transitions=transitions)
    ours = words.TAGS.decode([logits], batch, head)
    decode = make_decode(LABELS, transitions, crf)
    same(ours, decode(torch.from_numpy(logits), {name: torch.from_numpy(each) for name, each in batch.items()}))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_spans(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, tokens = int(rng.integers(1, 4)), int(rng.integers(4, 30))
    starts = rng.integers(1, tokens - 1, rows)
    ends = np.array([int(rng.integers(start, tokens)) for start in starts])
    width = max(1, int((ends - starts).max()))
    batch = {
        "input_ids": np.ones((rows, tokens), dtype=np.int64), "text_start": starts, "text_end": ends,
        "begins": np.tile(np.arange(width) * 3, (rows, 1)), "ends": np.tile(np.arange(width) * 3 + 2, (rows, 1)),
        "example": np.arange(rows), "window": np.zeros(rows, dtype=np.int64), "windows": np.ones(rows, dtype=np.int64),
    }  # fmt: skip
    logits = rng.normal(0, 3, (rows, tokens, 2)).astype(np.float32)
    options = SimpleNamespace(n_best=5, max_answer_tokens=int(rng.integers(1, 9)))
    ours = spans.SPAN.decode([logits], batch, Head((), options))
    theirs = span.decode(
        torch.from_numpy(logits), {name: torch.from_numpy(each) for name, each in batch.items()}, n_best=5,
        longest=options.max_answer_tokens,
    )  # fmt: skip
    real = np.isfinite(theirs["score"])
    assert (np.isfinite(ours["score"]) == real).all()
    for name in ("score", "begin", "end"):
        np.testing.assert_allclose(ours[name][real], theirs[name][real], atol=1e-5)
    np.testing.assert_allclose(ours["no_answer"], theirs["no_answer"], atol=1e-5)


def test_a_name_that_is_no_shape() -> None:
    from rag_lightning.export.shapes.shape import shape_of

    with pytest.raises((ModuleNotFoundError, AttributeError)):
        shape_of("words.NOTHING")
