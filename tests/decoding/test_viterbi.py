"""Viterbi and its constraints against all labellings, one by one."""

import pytest
import torch
from sequences import all_scores, random_case

from rag_lightning.decoding.constraints import allowed_labels, transitions_for
from rag_lightning.decoding.vetoes import entity_types, veto_masks
from rag_lightning.decoding.viterbi import penalties, viterbi
from rag_lightning.errors import UserError
from rag_lightning.rules.hits import Hit, hit_to_json
from rag_lightning.tasks.tag_schemes import repair_iob2

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.mark.parametrize("seed", range(10))
def test_finds_the_best_labelling(seed: int) -> None:
    emissions, mask, start, step = random_case(seed)
    paths = viterbi(emissions, mask, start, step)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        scores = all_scores(emissions[row, :length], start, step)
        assert tuple(paths[row, :length].tolist()) == max(scores, key=lambda path: float(scores[path]))
    assert (paths[~mask] == 0).all()


def test_a_start_of_each_row() -> None:
    emissions = torch.zeros(2, 1, 2)
    start = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert viterbi(emissions, torch.ones(2, 1, dtype=torch.bool), start, torch.zeros(2, 2)).tolist() == [[0], [1]]


def test_transitions() -> None:
    allowed = transitions_for(LABELS)
    assert [LABELS[i] for i in allowed.start.nonzero().flatten()] == ["O", "B-PER", "B-LOC"]
    before = {label: {LABELS[i] for i in allowed.step[:, j].nonzero().flatten()} for j, label in enumerate(LABELS)}
    assert before["I-PER"] == {"B-PER", "I-PER"}
    assert before["I-LOC"] == {"B-LOC", "I-LOC"}
    assert before["O"] == before["B-PER"] == before["B-LOC"] == set(LABELS)


@pytest.mark.parametrize("seed", range(5))
def test_constrained_sequences_are_valid_and_the_best_valid_ones(seed: int) -> None:
    emissions, mask, _, _ = random_case(seed, rows=6, words=4, labels=5)
    allowed = transitions_for(LABELS)
    paths = viterbi(emissions, mask, penalties(allowed.start), penalties(allowed.step))
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        tags = [LABELS[i] for i in paths[row, :length]]
        assert repair_iob2(tags)[1] == 0
        scores = all_scores(emissions[row, :length], torch.zeros(5), torch.zeros(5, 5))
        valid = {path: score for path, score in scores.items() if repair_iob2([LABELS[i] for i in path])[1] == 0}
        best = max(valid, key=lambda path: float(valid[path]))
        assert tuple(paths[row, :length].tolist()) == best


def test_types_with_hyphens_and_plain_labels() -> None:
    assert entity_types(("O", "B-creative-work", "I-creative-work", "B-PER")) == ("creative-work", "PER")
    assert entity_types(("NOUN", "VERB")) == ("NOUN", "VERB")
    assert transitions_for(("NOUN", "VERB")).step.all()


def test_vetoes_as_masks_and_back() -> None:
    hits = [
        Hit(0, 2, "LOC", "no", 0, True),
        Hit(2, 3, "PER", "no", 0, True),
        Hit(2, 3, "LOC", "also not", 0, True),
        Hit(0, 4, "PER", "a vote"),
        Hit(3, 4, "MISC", "unknown", 0, True),
    ]
    masks = veto_masks([hit_to_json(hit) for hit in hits], 4, LABELS)
    allowed = allowed_labels(LABELS, torch.tensor(masks))
    names = [{label for label, good in zip(LABELS, row, strict=True) if good} for row in allowed.tolist()]
    assert names == [{"O", "B-PER", "I-PER"}] * 2 + [{"O"}, set(LABELS)]


def test_as_many_types_as_bits() -> None:
    labels = ("O", *(f"B-T{i}" for i in range(62)))
    (mask,) = veto_masks([[0, 1, "T61", "r", 0, True]], 1, labels)
    assert allowed_labels(labels, torch.tensor([mask]))[0].tolist() == [True] * 62 + [False]
    with pytest.raises(UserError, match="62 entity types"):
        veto_masks([], 1, (*labels, "B-T62"))


def test_without_outside_a_word_keeps_some_label() -> None:
    everything = veto_masks([[0, 1, tag, "r", 0, True] for tag in ("NOUN", "VERB")], 1, ("NOUN", "VERB"))
    assert allowed_labels(("NOUN", "VERB"), torch.tensor(everything)).all()
