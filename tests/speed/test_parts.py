"""Masks, dropout modules, allocator and the choice of precision."""

import pydantic
import pytest
import torch
from torch import nn

from rag_lightning.speed.accelerate import accelerate
from rag_lightning.speed.dropout import FastDropout, MaskSource, replace_dropout
from rag_lightning.speed.memory import set_threads, tune_allocator
from rag_lightning.speed.options import SpeedConfig
from rag_lightning.speed.precision import choose_precision, fast_bf16_available, layer_dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 0.99999])
def test_masks_are_zero_or_one_at_the_rate(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    mask = MaskSource().keep((601, 499), rate, dtype).float()
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert float(mask.mean()) == pytest.approx(1 - rate, abs=0.004)
    # Neighbours within a 64-bit word are independent.
    centred = mask - mask.mean()
    assert abs(float((centred[:, 1:] * centred[:, :-1]).mean())) < 0.002


def test_seed_decides_the_mask() -> None:
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return MaskSource().keep((64, 64), 0.3, torch.float32)

    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


def test_dropout_module_keeps_the_mean_and_its_gradient() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Dropout(0.2))
    assert replace_dropout(network) == 1 and type(network[0]) is FastDropout
    ones = torch.ones(500, 400, requires_grad=True)
    output = network(ones)
    assert float(output.detach().mean()) == pytest.approx(1.0, abs=0.01)
    output.sum().backward()
    assert torch.equal(ones.grad, output.detach())
    assert torch.equal(network.eval()(ones), ones)


def test_allocator_and_threads() -> None:
    assert tune_allocator() == tune_allocator()
    before = torch.get_num_threads()
    assert set_threads("auto") == before and set_threads(1) == 1
    torch.set_num_threads(before)


def test_precision_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = fast_bf16_available()
    assert choose_precision("auto", "cpu") == ("bf16-mixed" if fast else "32-true")
    assert choose_precision("auto", "cpu", layers_are_fused=True) == "32-true"
    assert choose_precision("16-mixed", "cuda") == "16-mixed"
    assert choose_precision("bf16-mixed", "cpu", layers_are_fused=True) == "32-true"
    assert layer_dtype("32-true") == torch.float32
    assert layer_dtype("bf16-mixed") == torch.bfloat16
    assert layer_dtype("64-true") is None
    assert layer_dtype("16-mixed") is None


def test_options_refuse_what_they_do_not_know() -> None:
    with pytest.raises(pydantic.ValidationError):
        SpeedConfig(alocator=True)  # type: ignore[call-arg]


def test_on_a_gpu_only_products_and_rows_change() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        applied = accelerate(torch.nn.Linear(2, 2), SpeedConfig(), accelerator="cuda")
        assert torch.get_float32_matmul_precision() == "high"
        assert applied.fused_layers == 0 and applied.embedding is None
        assert "TF32" in str(applied)
    finally:
        torch.set_float32_matmul_precision(before)
