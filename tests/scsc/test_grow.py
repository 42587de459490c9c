from dataclasses import replace

import pytest
import torch

from scsc import SCSC, FaceResNet, FaceResNetConfig
from scsc.grow import candidates, grow, meet_inputs, place, widen
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


DEEPER = (1, 3, 2, 1)  # FACE has 1, 2, 1, 1


def test_a_deeper_network_begins_as_the_shallow_one(narrow):
    deeper = grow(narrow, replace(narrow.config, depths=DEEPER))
    assert tuple(map(len, deeper.stages)) == DEEPER
    crops = torch.rand(3, 3, 112, 112) * 2 - 1
    with torch.no_grad():
        before = narrow(crops)
        torch.testing.assert_close(deeper(crops), before)
        meet_inputs(deeper, crops)
        torch.testing.assert_close(deeper(crops), before)


def test_a_block_more_learns_from_the_first_step_on(narrow):
    deeper = grow(narrow, replace(narrow.config, depths=DEEPER))
    deeper(torch.rand(3, 3, 112, 112)).square().mean().backward()
    for block in (deeper.stages[1][2], deeper.stages[2][1]):
        weight = block.body.expand.conv.weight
        assert not weight.any()
        assert (weight.grad.abs().amax((1, 2, 3)) > 0).all()


def test_norms_of_a_block_more_begin_with_the_statistics_of_what_they_see(narrow):
    deeper = grow(narrow, replace(narrow.config, depths=DEEPER))
    before = {name: buffer.clone() for name, buffer in deeper.named_buffers()}
    crops = torch.rand(70, 3, 112, 112) * 2 - 1  # two batches of up to 64
    meet_inputs(deeper, crops)
    changed = {n.rpartition(".")[0] for n, b in deeper.named_buffers() if not b.equal(before[n])}
    norms = ("reduce.bn", "branch_norm")
    assert changed == {f"stages.{block}.body.{norm}" for block in ("1.2", "2.1") for norm in norms}

    seen = []
    deeper.stages[1][2].body.reduce.bn.register_forward_hook(lambda *io: seen.append(io[1][0]))
    with torch.no_grad():
        deeper(crops[:64])
        deeper(crops[64:])
    mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(deeper.stages[1][2].body.reduce.bn.running_mean, mean)
    assert not any(module.training for module in deeper.modules())


def test_only_branches_and_depths_grow(narrow):
    with pytest.raises(ValueError, match="only branch_widths and depths can grow"):
        grow(narrow, replace(narrow.config, dim=32))


def test_a_plain_network_does_not_grow():
    plain = FaceResNet(FaceResNetConfig("plain", **FACE))
    with pytest.raises(ValueError, match="only networks of SCSC modules can grow, not of plain"):
        grow(plain, replace(plain.config, depths=DEEPER))


def test_no_stage_loses_blocks(narrow):
    with pytest.raises(ValueError, match="depths can only grow"):
        grow(narrow, replace(narrow.config, depths=(1, 1, 2, 1)))


@pytest.mark.parametrize("wider", [64, 16])
def test_a_width_that_does_not_fit_is_said(wider):
    with pytest.raises(ValueError, match=f"32 channels per branch cannot grow to {wider}"):
        place(32, wider, 3, 4, tries=20)
