"""Rule hits as input: nothing changes before they have learnt, and afterwards only what stands among marked words."""

import pytest
import torch
from tiny_families import VOCABULARY, tiny_config
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from rag_lightning.guidance.features import RuleFeatures, attach, guided_logits
from rag_lightning.model.interface import supports
from rag_lightning.rules.marks import COLUMN_BITS

LABELS = 5
ENCODERS = ["bert", "roberta", "distilbert", "deberta-v2", "electra", "albert", "mpnet", "modernbert", "gpt2"]


def network(kind: str = "bert", texts: bool = False, frozen: int = 0, size: int = 70) -> torch.nn.Module:
    torch.manual_seed(0)
    head = AutoModelForSequenceClassification if texts else AutoModelForTokenClassification
    model = head.from_config(tiny_config(kind, num_labels=LABELS)).eval()
    attach(model, RuleFeatures(size, 32, LABELS), frozen)
    return model


def batch(marked: bool = True) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (3, 7), generator=generator)
    first, second = torch.zeros(3, 7, dtype=torch.int64), torch.zeros(3, 7, dtype=torch.int64)
    if marked:
        first[0, 2] = 0b101
        second[1, 4] = 1  # the mark of number COLUMN_BITS
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "marks_0": first, "marks_1": second}


def random_features(model: torch.nn.Module) -> RuleFeatures:
    features = model.rule_features
    with torch.no_grad():
        features.hidden.normal_()
        features.scores.normal_()
    return features


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if supports(kind, "token_labels")])
def test_new_features_change_nothing_and_learnt_ones_what_is_marked(kind: str) -> None:
    model = network(kind)
    plain = model(input_ids=batch()["input_ids"], attention_mask=batch()["attention_mask"]).logits
    torch.testing.assert_close(guided_logits(model, batch()), plain)
    random_features(model)
    changed = guided_logits(model, batch())
    assert not torch.allclose(changed[0], plain[0]) and not torch.allclose(changed[1], plain[1])
    torch.testing.assert_close(changed[2], plain[2])  # a row without hits
    torch.testing.assert_close(guided_logits(model, batch(marked=False)), plain)


def test_marks_are_unpacked_from_several_columns() -> None:
    features = RuleFeatures(70, 4, 2)
    marks = features.marks(batch())
    assert marks is not None and marks.shape == (3, 7, 70)
    assert marks[0, 2].nonzero().flatten().tolist() == [0, 2]
    assert marks[1, 4].nonzero().flatten().tolist() == [COLUMN_BITS]
    assert int(marks.sum()) == 3


def test_both_parts_learn_from_the_first_step_on() -> None:
    model = network()
    loss = torch.nn.functional.cross_entropy(guided_logits(model, batch()).flatten(0, 1), torch.ones(21).long())
    loss.backward()
    used = [0, 2, COLUMN_BITS]
    for grad in (model.rule_features.hidden.grad, model.rule_features.scores.grad):
        assert grad.abs().sum(1).nonzero().flatten().tolist() == used


def test_a_mark_anywhere_counts_once_for_a_text() -> None:
    model = network(texts=True)
    features = random_features(model)
    with torch.no_grad():
        features.hidden.zero_()
    once, twice = batch(), batch()
    twice["marks_0"][0, 5] = 0b101
    torch.testing.assert_close(guided_logits(model, once), guided_logits(model, twice))
    plain = guided_logits(model, batch(marked=False))
    expected = plain[0] + features.scores[0] + features.scores[2]
    torch.testing.assert_close(guided_logits(model, once)[0], expected)


def test_they_enter_at_the_first_trained_layer() -> None:
    model = network(frozen=2)
    features = random_features(model)
    seen: list[torch.Tensor] = []
    layers = model.bert.encoder.layer
    for layer in layers[:2]:
        layer.register_forward_hook(lambda *call: seen.append(call[2]))
    with_marks = guided_logits(model, batch())
    marked, seen[:] = list(seen), []
    guided_logits(model, batch(marked=False))
    for one, other in zip(marked, seen, strict=True):  # the frozen layers' outputs stay the pretrained ones
        torch.testing.assert_close(one, other)
    assert float(features.hidden.detach().abs().sum()) > 0 and with_marks.shape == (3, 7, LABELS)


def test_dropout_hides_all_marks_of_some_rows_in_training_alone() -> None:
    features = RuleFeatures(4, 8, 2, dropout=0.5)
    many = {"marks_0": torch.full((400, 3), 0b11)}
    torch.manual_seed(0)
    rows = features.train().marks(many).sum((1, 2))  # type: ignore[union-attr]
    assert set(rows.tolist()) == {0.0, 6.0}
    assert 140 < int((rows == 0).sum()) < 260
    assert float(features.eval().marks(many).sum()) == 400 * 6  # type: ignore[union-attr]


def test_saved_weights_hold_them() -> None:
    names = network().state_dict()
    assert {"rule_features.hidden", "rule_features.scores"} <= set(names)
