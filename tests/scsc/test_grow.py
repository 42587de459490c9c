from dataclasses import replace

import pytest
import torch

from scsc import SCSC, FaceResNet, FaceResNetConfig
from scsc.grow import candidates, grow, place, widen
from tests.scsc.networks import FACE, trained

WIDTHS = (16, 14, 20, 6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("kernel_sizes", "width", "wider"),
    [
        ((3, 5), 24, 32),
        ((3, 5), 8, 24),
        ((3, 5), 8, 8),
        ((3, 5, 7), 32, 56),
        ((3, 5, 7), 16, 56),
        ((3,), 8, 12),
    ],
)
def test_a_wider_module_begins_as_the_narrow_one(kernel_sizes, width, wider, training):
    old = trained(SCSC(12, 20, kernel_sizes, stride=2, width=width)).train(training)
    new = SCSC(12, 20, kernel_sizes, stride=2, width=wider).train(training)
    widen(old, new)
    x = torch.randn(2, 12, 10, 10)
    with torch.no_grad():
        torch.testing.assert_close(new(x), old(x), rtol=1e-4, atol=1e-4)


def test_what_a_wider_module_has_to_spare_learns_from_the_first_step_on():
    old, new = SCSC(12, 20, (3, 5), width=8), SCSC(12, 20, (3, 5), width=16)
    widen(old, new)
    expand = new.expand.conv.weight
    spare = (expand == 0).all((0, 2, 3))
    assert spare.sum() == 8
    new(torch.randn(2, 12, 6, 6)).square().mean().backward()
    assert (expand.grad[:, spare].abs().amax((0, 2, 3)) > 0).all()


def test_an_old_output_finds_copies_of_its_candidates():
    places = place(32, 112, 3, 4)
    assert sorted(places) == list(range(32))
    assert len(set(places.values())) == 32
    copy_of: dict[int, int] = {}
    for q, r in places.items():
        assert q // 8 == r // 28  # the routing group
        for (branch, channel), (wider, copy) in zip(
            candidates(q, 3, 32), candidates(r, 3, 112), strict=True
        ):
            assert branch <= wider
            assert copy_of.setdefault(copy, channel) == channel


@pytest.fixture
def narrow() -> FaceResNet:
    network = FaceResNet(FaceResNetConfig(groups=2, branch_widths=(12, 8, 8, 4), **FACE))
    return trained(network)


@pytest.mark.parametrize("widths", [WIDTHS, (12, 8, 8, 6)], ids=["every stage", "the last"])
def test_a_wider_network_begins_as_the_narrow_one(narrow, widths):
    wider = grow(narrow, replace(narrow.config, branch_widths=widths))
    assert [stage[0].body.width for stage in wider.stages] == list(widths)
    assert not wider.training
    crops = torch.rand(3, 3, 112, 112) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(wider(crops), narrow(crops), rtol=1e-4, atol=1e-4)


def test_only_the_branches_grow(narrow):
    with pytest.raises(ValueError, match="only branch_widths can grow"):
        grow(narrow, replace(narrow.config, dim=32))


@pytest.mark.parametrize("wider", [64, 16])
def test_a_width_that_does_not_fit_is_said(wider):
    with pytest.raises(ValueError, match=f"32 channels per branch cannot grow to {wider}"):
        place(32, wider, 3, 4, tries=20)
