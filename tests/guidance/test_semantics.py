"""A head that starts from the labels' meanings."""

from types import SimpleNamespace

import torch

from rag_lightning.guidance.semantics import encoded_texts, mean_vectors, meanings_of, text_head, token_head


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


def test_what_is_encoded_of_a_label() -> None:
    told = ["place. Countries and cities", "Rome", "Peru"]
    assert meanings_of("place", "Countries and cities.", ("Rome", "Peru")) == told
    assert meanings_of("place", "", ()) == ["place"]


class _Looking(torch.nn.Module):
    """A backbone that gives a token the vector of its number."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=torch.eye(4)[input_ids] * 7.0)


def test_a_labels_vector_is_the_mean_direction_of_its_texts() -> None:
    mask = torch.ones(3, 2, dtype=torch.long)
    mask[2, 1] = 0
    batch = {
        "input_ids": torch.tensor([[0, 0], [1, 1], [2, 3]]), "attention_mask": mask, "labels": torch.tensor([0, 0, 1]),
    }  # fmt: skip
    other = {"input_ids": torch.tensor([[3]]), "attention_mask": torch.ones(1, 1), "labels": torch.tensor([-100])}
    vectors = mean_vectors([batch, other], _Looking(), 2)
    half = 0.5**0.5
    torch.testing.assert_close(vectors, torch.tensor([[half, half, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]))


def test_texts_of_labels_come_in_batches() -> None:
    batches = list(
        encoded_texts(lambda texts: {"input_ids": torch.tensor([len(t) for t in texts])}, [["a"] * 70, ["bc"]])
    )
    assert [len(batch["labels"]) for batch in batches] == [64, 7]
    assert batches[1]["labels"].tolist() == [0] * 6 + [1] and batches[1]["input_ids"][-1] == 2
