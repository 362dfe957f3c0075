"""Decoding for token labels: the same answer as the plain one, but valid, and never what is vetoed."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rag_lightning.decoding.crf import LinearChainCRF
from rag_lightning.decoding.token_decoder import left_aligned, make_crf_loss, make_decode
from rag_lightning.decoding.vetoes import veto_masks
from rag_lightning.tasks.outputs import token_labels
from rag_lightning.tasks.tag_schemes import repair_iob2

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
Batch = dict[str, Tensor]


def random_batch(seed: int = 0, rows: int = 6, tokens: int = 12) -> tuple[Tensor, Batch]:
    """Rows as encoding makes them: words in order, read at some sub-tokens only; a row of a later window; padding."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, tokens, len(LABELS), generator=generator)
    read = torch.rand(rows, tokens, generator=generator) < 0.6
    read[:, 0] = False
    read[2, 5:] = False
    words = torch.where(read, read.cumsum(dim=1) - 1, -1)
    words[4] = torch.where(read[4], words[4] + 7, -1)
    labels = torch.where(read, torch.randint(0, 5, (rows, tokens), generator=generator), token_labels.IGNORED)
    return logits, {"words": words, "example": torch.tensor([3, 1, 2, 5, 4, 0]), "labels": labels}


def assert_same(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-6)
        assert got[name].dtype == expected[name].dtype


def tags_by_example(answer: dict[str, Any]) -> dict[int, list[str]]:
    tags: dict[int, list[str]] = {}
    for example, label in zip(answer["example"], answer["label"], strict=True):
        tags.setdefault(int(example), []).append(LABELS[label])
    return tags


@pytest.mark.parametrize("path", ["plain", "no vetoes", "new crf"])
def test_without_constraints_the_answer_is_the_plain_one(path: str) -> None:
    logits, batch = random_batch()
    expected = token_labels.decode(logits, batch)
    crf = LinearChainCRF(5) if path == "new crf" else None
    if path == "no vetoes":
        batch["forbidden"] = torch.zeros_like(batch["words"])
    assert_same(make_decode(LABELS, False, crf)(logits, batch), expected)


@pytest.mark.parametrize("seed", range(5))
def test_constrained_tags_are_valid(seed: int) -> None:
    logits, batch = random_batch(seed)
    logits[..., 2] += 2  # many I-PER
    answer = make_decode(LABELS, True)(logits, batch)
    invalid = tags_by_example(token_labels.decode(logits, batch))
    assert sum(repair_iob2(tags)[1] for tags in invalid.values()) > 0
    for example, tags in tags_by_example(answer).items():
        if example == 4:  # begins within its text: its first word may go on with an entity
            tags = [tags[0].replace("I-", "B-"), *tags[1:]]
        assert repair_iob2(tags)[1] == 0
    probabilities = torch.softmax(logits[batch["words"] != -1], dim=-1).numpy()
    np.testing.assert_allclose(
        answer["confidence"], probabilities[np.arange(len(probabilities)), answer["label"]], rtol=1e-5
    )


def test_valid_tags_are_not_touched() -> None:
    logits, batch = random_batch(1)
    logits[..., 2] = logits[..., 4] = -50.0  # no I- at all
    assert_same(make_decode(LABELS, True)(logits, batch), token_labels.decode(logits, batch))


def test_a_window_within_a_text_may_go_on_with_an_entity() -> None:
    logits = torch.zeros(2, 1, 5)
    logits[:, 0, 2] = 9.0
    batch = {"words": torch.tensor([[0], [8]]), "example": torch.tensor([0, 1])}
    assert tags_by_example(make_decode(LABELS, True)(logits, batch)) == {0: ["O"], 1: ["I-PER"]}


@pytest.mark.parametrize("constrain", [False, True])
@pytest.mark.parametrize("with_crf", [False, True])
def test_vetoed_labels_are_never_chosen(constrain: bool, with_crf: bool) -> None:
    logits, batch = random_batch(2)
    logits[..., 1:3] += 4  # PER almost everywhere
    mask = veto_masks([[0, 1, "PER", "r", 0, True]], 1, LABELS)[0]
    vetoed = torch.arange(logits.shape[1]) % 2 == 0
    # Beside the words the column may hold anything.
    batch["forbidden"] = torch.where(batch["words"] == -1, -1, torch.where(vetoed, mask, 0))
    answer = make_decode(LABELS, constrain, LinearChainCRF(5) if with_crf else None)(logits, batch)
    at_veto = vetoed.expand_as(batch["words"])[batch["words"] != -1].numpy()
    assert not np.isin(answer["label"], [1, 2])[at_veto].any()
    assert np.isin(answer["label"], [1, 2])[~at_veto].mean() > 0.5


def test_a_crf_decides_with_the_neighbours() -> None:
    crf = LinearChainCRF(5)
    with torch.no_grad():
        crf.step[1, 2] = 8.0
    logits = torch.zeros(1, 2, 5)
    logits[0, 0, 1], logits[0, 1, 0] = 4.0, 4.0
    batch = {"words": torch.tensor([[0, 1]]), "example": torch.tensor([0])}
    answer = make_decode(LABELS, True, crf)(logits, batch)
    assert answer["label"].tolist() == [1, 2]
    assert (answer["confidence"] > 0.9).all()  # the softmax alone gives the second word's label 0.02


def test_batches_without_words() -> None:
    logits = torch.randn(2, 3, 5)
    batch = {"words": torch.full((2, 3), -1), "example": torch.tensor([0, 1])}
    answer = make_decode(LABELS, True, LinearChainCRF(5))(logits, batch)
    assert all(len(values) == 0 for values in answer.values())
    batch["labels"] = torch.full((2, 3), token_labels.IGNORED)
    assert make_crf_loss(LinearChainCRF(5))(logits, batch) == 0


def test_half_precision_logits() -> None:
    logits, batch = random_batch(3)
    assert make_decode(LABELS, True)(logits.bfloat16(), batch)["confidence"].dtype == np.float32


def test_left_aligned() -> None:
    read = torch.tensor([[False, True, False, True], [False, False, False, True]])
    order, mask = left_aligned(read)
    assert mask.tolist() == [[True, True], [True, False]]
    assert order[mask].tolist() == [1, 3, 3]


def test_the_loss_of_a_new_crf_is_the_cross_entropy_of_the_words() -> None:
    logits, batch = random_batch(4)
    row, token = (batch["words"] != -1).nonzero()[4]
    batch["labels"][row, token] = token_labels.IGNORED  # a word whose label is unknown
    torch.testing.assert_close(make_crf_loss(LinearChainCRF(5))(logits, batch), token_labels.loss(logits, batch))
    # Later sub-tokens of a word are labelled but not read: no words of the sequence.
    batch["labels"] = torch.where(batch["words"] == -1, 1, batch["labels"])
    of_words = {**batch, "labels": torch.where(batch["words"] == -1, token_labels.IGNORED, batch["labels"])}
    torch.testing.assert_close(make_crf_loss(LinearChainCRF(5))(logits, batch), token_labels.loss(logits, of_words))


def test_a_row_counts_its_weight_in_the_loss_of_a_crf() -> None:
    loss, logits = make_crf_loss(LinearChainCRF(3)), torch.randn(2, 3, 3)
    batch = {"words": torch.tensor([[0, 1, 2]] * 2), "labels": torch.tensor([[0, 1, 2], [2, 2, 0]])}
    each = [loss(logits[i : i + 1], {name: column[i : i + 1] for name, column in batch.items()}) for i in range(2)]
    weighted = loss(logits, {**batch, "weight": torch.tensor([1.0, 0.25])})
    torch.testing.assert_close(weighted, each[0] + 0.25 * each[1])
