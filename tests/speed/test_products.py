"""Products of a working copy equal those of the weight, whatever way they are computed."""

import pytest
import torch

from rag_lightning.speed.clipping import total_norm
from rag_lightning.speed.products import Matrix


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [32, 40, 96, 1056])
@pytest.mark.parametrize(("columns_out", "columns_in"), [(48, 96), (96, 48), (64, 64)])
def test_both_directions(rows: int, columns_out: int, columns_in: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        matrix = Matrix(columns_out, columns_in, torch.float32)
    finally:
        torch.set_num_threads(before)
    weight, bias = torch.randn(columns_out, columns_in), torch.randn(columns_out)
    matrix.refresh([weight])
    entry, grad = torch.randn(rows, columns_in), torch.randn(rows, columns_out)
    torch.testing.assert_close(matrix.apply(entry, bias), entry @ weight.t() + bias, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(matrix.pull_back(grad), grad @ weight, rtol=1e-4, atol=1e-4)


def test_parts_lie_one_below_the_other_and_a_refresh_replaces_all() -> None:
    matrix = Matrix(96, 32, torch.float32)
    matrix.refresh([torch.zeros(96, 32)])
    parts = [torch.randn(32, 32) for _ in range(3)]
    matrix.refresh(parts)
    grad = torch.randn(64, 96)
    torch.testing.assert_close(matrix.pull_back(grad), grad @ torch.cat(parts), rtol=1e-4, atol=1e-4)


def test_norm_of_vectors_matrices_and_scalars_is_that_of_all_numbers() -> None:
    grads = [torch.randn(7), torch.randn(5, 3), torch.randn(2, 3, 4), torch.randn(())]
    expected = torch.cat([grad.reshape(-1) for grad in grads]).norm()
    torch.testing.assert_close(total_norm(grads), expected)
    assert float(total_norm([])) == 0.0
