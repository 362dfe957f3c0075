"""A head that starts from the labels' meanings."""

import torch

from rag_lightning.guidance.semantics import meaning, text_head, token_head


def test_a_text_goes_to_the_nearest_meaning() -> None:
    meanings = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    head = text_head(meanings)
    assert head(torch.tensor([[3.0, 1.0, 0.0], [0.1, 0.2, 0.0]])).argmax(-1).tolist() == [0, 1]
    torch.testing.assert_close(head(torch.tensor([[9.0, 0.0, 0.0]])), head(torch.tensor([[1.0, 0.0, 0.0]])))


def test_tokens_without_a_near_meaning_are_outside() -> None:
    labels = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    head = token_head(["LOC", "PER"], labels, torch.eye(3)[:2], threshold=0.5)
    scores = head(torch.tensor([[0.0, 0.1, 5.0], [4.0, 0.0, 1.0], [0.0, 1.0, 0.1]]))
    assert labels[int(scores[0].argmax())] == "O"
    assert labels[int(scores[1].argmax())][2:] == "LOC" and labels[int(scores[2].argmax())][2:] == "PER"


def test_a_label_without_meaning_gets_a_gradient_too() -> None:
    head = token_head(["LOC"], ("O", "B-LOC"), torch.ones(1, 4), threshold=0.5)
    torch.nn.functional.cross_entropy(head(torch.randn(6, 4)), torch.zeros(6).long()).backward()
    assert torch.isfinite(head.weight.grad).all() and torch.isfinite(head.bias.grad).all()
    assert float(head.bias.grad.abs().sum()) > 0


def test_meaning_in_words() -> None:
    told = meaning("place", "Countries and cities.", ("Rome", "Peru"))
    assert told == "place. Countries and cities. such as Rome, Peru"
    assert meaning("place", "", ()) == "place"
