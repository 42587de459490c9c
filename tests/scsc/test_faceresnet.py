from dataclasses import replace

import pytest
import torch

from models.cost import count
from models.embedder import CONFIGS
from scsc import SCSC, FaceResNet, FaceResNetConfig
from scsc.faceresnet import GlobalDepthwise
from tests.scsc.networks import FACE, HOSTS


@pytest.mark.parametrize("block", ["plain", "scsc"])
@pytest.mark.parametrize("side", [112, 64])
def test_gives_an_embedding_per_crop(block: str, side: int):
    network = FaceResNet(FaceResNetConfig(block, groups=2, **FACE)).eval()
    with torch.no_grad():
        embeddings = network(torch.rand(2, 3, side, side) * 2 - 1)
    assert embeddings.shape == (2, 16)
    assert embeddings.isfinite().all()


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_stem_and_stages_leave_7x7_of_a_crop(stem_stride: int):
    network = FaceResNet(FaceResNetConfig(groups=2, stem_stride=stem_stride, **FACE)).eval()
    x = torch.zeros(1, 3, 112, 112)
    with torch.no_grad():
        x = network.stem(x)
        for stage in network.stages:
            x = stage(x)
    assert x.shape[2:] == (7, 7)


SCSC_FORMS = ["scsc_faceresnet", "scsc_narrow_faceresnet", "scsc_wide_faceresnet"]


@pytest.mark.parametrize("form", SCSC_FORMS)
def test_the_twins_differ_in_the_block_alone(form: str):
    assert replace(CONFIGS[form], block="plain", branch_widths=()) == CONFIGS["faceresnet"]
    scsc, plain = (FaceResNet(CONFIGS[name]) for name in (form, "faceresnet"))

    def outside(network: FaceResNet) -> dict[str, torch.Size]:
        state = network.state_dict().items()
        return {name: values.shape for name, values in state if ".body." not in name}

    assert outside(scsc) == outside(plain)


@pytest.mark.parametrize("form", SCSC_FORMS)
def test_a_form_takes_a_fifth_of_the_parameters_and_a_third_of_the_flops(form: str):
    x = torch.zeros(1, 3, 112, 112)
    scsc, plain = (count(FaceResNet(CONFIGS[n]), x) for n in (form, "faceresnet"))
    assert scsc[0] <= 0.21 * plain[0]
    assert scsc[1] <= 0.32 * plain[1]


def test_branches_are_as_wide_as_a_config_says():
    config = FaceResNetConfig(groups=2, branch_widths=(6, 8, 4, 2), **FACE)
    bodies = [stage[0].body for stage in FaceResNet(config).stages]
    assert [body.width for body in bodies] == [6, 8, 4, 2]


@pytest.mark.parametrize("name", ["faceresnet", "scsc_faceresnet"])
def test_every_parameter_learns(name: str):
    network = HOSTS[name][0]()
    network(torch.randn(4, 3, 112, 112)).square().sum().backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_a_block_of_scsc_has_no_activation_at_its_end():
    network = FaceResNet(FaceResNetConfig(groups=2, **FACE))
    modules = [module for module in network.modules() if isinstance(module, SCSC)]
    assert len(modules) == sum(FACE["depths"])
    assert all(isinstance(module.expand.act, torch.nn.Identity) for module in modules)


def test_the_head_keeps_its_sum_on_another_size():
    pool = GlobalDepthwise(6)
    full, small = (pool(torch.ones(1, 6, side, side)) for side in (7, 4))
    torch.testing.assert_close(small, full, atol=0.1, rtol=0.1)


def test_an_unknown_block_is_named():
    with pytest.raises(ValueError, match="unknown block 'swin'"):
        FaceResNet(FaceResNetConfig("swin", **FACE))
