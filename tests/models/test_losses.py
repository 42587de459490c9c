import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import distillation, neighbourhood


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=1)


def test_distillation_is_nothing_when_the_student_is_the_teacher():
    teacher = unit(8, 16)
    cosine, total = distillation(teacher * 3, teacher, relation=10.0)
    assert float(cosine) == pytest.approx(0, abs=1e-6)
    assert float(total) == pytest.approx(0, abs=1e-5)
    _, worse = distillation(teacher.roll(1, 0), teacher, relation=10.0)
    assert float(worse) > 0.5


def test_neighbourhood_is_the_divergence_of_two_softmaxes():
    teacher, bank, student = unit(3, 8), unit(5, 8, seed=1), unit(3, 8, seed=2)
    expected = 0.0
    for mine, theirs in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = (
            [
                math.exp(4 * sum(a * b for a, b in zip(row, key, strict=True)))
                for key in bank.tolist()
            ]
            for row in (theirs, mine)
        )
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        expected += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 3
    # The cosines are bf16, three digits.
    loss = neighbourhood(student * 7, teacher, bank, scale=4)
    assert loss.item() == pytest.approx(expected, rel=0.02)


def test_neighbourhood_is_nothing_when_the_student_is_the_teacher():
    teacher, bank = unit(4, 16), unit(50, 16, seed=1)
    assert neighbourhood(teacher * 2, teacher, bank).item() == pytest.approx(0, abs=1e-5)


def test_neighbourhood_sends_a_student_away_from_the_stranger_that_it_is_near():
    teacher, stranger, far = torch.eye(8)[:3, None]
    student = F.normalize(teacher + stranger, dim=1).requires_grad_()
    neighbourhood(student, teacher, torch.cat([teacher, stranger, far])).backward()
    step = -student.grad[0]
    assert step[0] > 0  # towards the teacher's point
    assert step[1] < 0  # away from the stranger
    assert abs(step[2]) < abs(step[1]) / 100  # who is far away hardly counts
