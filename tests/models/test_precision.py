import pytest
import torch

from models import losses, precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has", "dtype"),
    [
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_it_has_it(monkeypatch, has, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert precision.fast_dtype(CPU) == dtype
    with precision.autocast(CPU):
        assert torch.nn.Linear(4, 4)(torch.randn(2, 4)).dtype == dtype


def test_a_gpu_always_computes_in_bfloat16():
    assert precision.fast_dtype(torch.device("cuda")) == torch.bfloat16


def test_the_neighbourhood_is_computed_in_the_banks_numbers():
    torch.manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(60, 16), dim=1)
    student, teacher, bank = torch.randn(4, 16), unit[:4], unit[4:]
    whole = losses.neighbourhood(student, teacher, bank)
    halved = losses.neighbourhood(student, teacher, bank.bfloat16())
    assert whole.dtype == halved.dtype == torch.float32
    assert whole != halved
    assert halved.item() == pytest.approx(whole.item(), rel=0.05)
