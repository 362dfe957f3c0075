"""Clipping within the fused optimizer against clipping before it."""

import pytest
import torch
from torch import nn

from rag_lightning.speed.clipping import clip_in_optimizer


@pytest.mark.parametrize("limit", [0.05, 100.0])
@pytest.mark.parametrize("fused", [True, False])
def test_equals_clipping_before_the_step(limit: float, fused: bool) -> None:
    def train(inside: bool) -> tuple[torch.Tensor, list[float]]:
        torch.manual_seed(0)
        layer, norms = nn.Linear(6, 4), []
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=fused)
        for _ in range(5):
            optimizer.zero_grad()
            layer(torch.randn(3, 6)).square().sum().backward()
            if inside:
                norms.append(float(clip_in_optimizer(optimizer, layer.parameters(), limit)))
            else:
                norms.append(float(nn.utils.clip_grad_norm_(layer.parameters(), limit)))
            optimizer.step()
        return layer.weight.detach(), norms

    (weight, norms), (expected, expected_norms) = train(inside=True), train(inside=False)
    torch.testing.assert_close(weight, expected)
    assert norms == pytest.approx(expected_norms, rel=1e-5)
