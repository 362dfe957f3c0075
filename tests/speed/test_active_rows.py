"""Active embedding rows: the same training as with the whole table."""

import pytest
import torch
from torch import nn

from rag_lightning.speed.accelerate import AppliedSpeed, optimizer_hook
from rag_lightning.speed.active_rows import ActiveRowsEmbedding, keep_active_rows, restore_all_rows


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(40, 8, padding_idx=0)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.words(ids).tanh())


IDS = torch.tensor([[0, 3, 5], [7, 5, 11], [3, 20, 0]])


def train(active: bool, weight_decay: float) -> tuple[Tiny, list[float]]:
    model = Tiny()
    applied = AppliedSpeed()
    if active:
        applied.embedding = keep_active_rows(model.words, IDS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=weight_decay)
    optimizer_hook(applied, optimizer)
    norms = []
    for step in range(8):
        row = IDS[step % 3 : step % 3 + 1]  # rows seen before but not now must keep moving by momentum
        loss = nn.functional.cross_entropy(model(row).flatten(0, 1), torch.tensor([0, 1, 2]))
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.1)))
        optimizer.step()
    return model, norms


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_training_equals_dense_adamw(weight_decay: float) -> None:
    dense, norms = train(active=False, weight_decay=weight_decay)
    active, active_norms = train(active=True, weight_decay=weight_decay)
    assert active_norms == pytest.approx(norms, rel=1e-6)
    for name, value in dense.state_dict().items():
        torch.testing.assert_close(active.state_dict()[name], value, atol=1e-7, rtol=1e-6)


def test_state_dict_round_trip_speaks_of_the_full_table() -> None:
    trained, _ = train(active=True, weight_decay=0.0)
    state = trained.state_dict()
    assert list(state) == ["words.weight", "head.weight", "head.bias"] and state["words.weight"].shape == (
        40,
        8,
    )
    plain, again = Tiny(), Tiny()
    plain.load_state_dict(state)
    keep_active_rows(again.words, IDS)
    again.load_state_dict(state)
    everything = torch.arange(40).view(1, -1)
    with torch.no_grad():
        assert torch.equal(plain(everything), again.eval()(everything))
        assert torch.equal(plain(everything), trained.eval()(everything))
    assert restore_all_rows(trained) == 1
    assert type(trained.words) is nn.Embedding and torch.equal(trained.words.weight, state["words.weight"])


def test_unannounced_ids_are_refused_in_training_only() -> None:
    model = Tiny()
    assert isinstance(keep_active_rows(model.words, IDS), ActiveRowsEmbedding)
    with pytest.raises(RuntimeError, match="id 9 was not announced"):
        model.train()(torch.tensor([[9, 3]]))
    model.eval()(torch.tensor([[9, 3]]))
