from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from scsc import SCSC, from_reference
from scsc.layers import channel_shuffle
from scsc.module import RoutedSum
from tests.scsc.networks import trained

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["scsc_block_96_k3-9-13", "scsc_block_64_k3-5"])
def test_gives_the_outputs_of_the_official_block(name: str):
    path = GOLDEN / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    arrays = np.load(path)
    with torch.no_grad():
        output = from_reference(arrays)(torch.from_numpy(arrays["input_nchw"]))
    assert np.abs(output.numpy() - arrays["output_nchw"]).max() < 1e-4


@pytest.mark.parametrize("kernel_sizes", [(3,), (3, 5), (3, 5, 7), (3, 9, 13), (5, 5, 5, 3)])
@pytest.mark.parametrize(("stride", "out"), [(1, (9, 6)), (2, (5, 3))])
def test_shapes(kernel_sizes: tuple[int, ...], stride: int, out: tuple[int, int]):
    module = SCSC(12 * len(kernel_sizes), 20, kernel_sizes, groups=3, stride=stride)
    assert module(torch.randn(2, 12 * len(kernel_sizes), 9, 6)).shape == (2, 20, *out)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_groups_and_width_may_be_chosen(groups: int):
    module = SCSC(10, 14, (3, 5), groups, width=8)
    assert module.routing.weight.shape == (2 * groups, 8, 1, 1)
    assert module(torch.randn(2, 10, 5, 5)).shape == (2, 14, 5, 5)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kernel_sizes": (3, 4)}, "odd"),
        ({"kernel_sizes": ()}, "at least one"),
        ({"kernel_sizes": (3, 5, 7)}, "32 channels do not split into 3"),
        ({"kernel_sizes": (3, 5), "groups": 5}, "16 channels per branch .* 5 groups"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict, says: str):
    with pytest.raises(ValueError, match=says):
        SCSC(32, 32, **settings)


def literal(module: SCSC, x: torch.Tensor) -> torch.Tensor:
    """The eight steps as they are described, shuffle and all, pixel mix by pixel mix."""
    m, width, groups = len(module.kernel_sizes), module.width, module.groups
    reduced = torch.nn.functional.gelu(module.reduce.bn(module.reduce.conv(x)))  # 1
    u = torch.cat([branch(reduced) for branch in module.branches], 1)  # 2, 3
    v = torch.stack([u[:, q * m + j] for j in range(m) for q in range(width)], 1)  # 4
    norm = nn.BatchNorm2d(m * width).eval()  # over the shuffled channels
    for part in ("weight", "bias", "running_mean", "running_var"):
        values = getattr(module.branch_norm, part).detach()
        shuffled = torch.stack([values[q * m + j] for j in range(m) for q in range(width)])
        getattr(norm, part).data = shuffled
    a = torch.nn.functional.gelu(norm(v))
    weights = torch.sigmoid(module.routing(reduced))  # 5
    mixed = torch.zeros_like(a[:, :width])
    for q in range(width):  # 6
        group = q // (width // groups)
        for j in range(m):
            mixed[:, q] += weights[:, j * groups + group] * a[:, j * width + q]
    z = torch.nn.functional.gelu(module.expand.bn(module.expand.conv(mixed)))  # 7
    squeezed = z.mean((2, 3))  # 8
    hidden = torch.relu(squeezed @ module.gate.fc1.weight.flatten(1).t())
    return z * torch.sigmoid(hidden @ module.gate.fc2.weight.flatten(1).t())[:, :, None, None]


@pytest.mark.parametrize(("kernel_sizes", "stride"), [((3, 5), 1), ((3, 5, 7), 2)])
def test_the_absent_shuffle_gives_what_the_steps_give(kernel_sizes: tuple[int, ...], stride: int):
    torch.manual_seed(0)
    module = trained(SCSC(24, 16, kernel_sizes, 2, stride))
    x = torch.randn(2, 24, 7, 7)
    with torch.no_grad():
        torch.testing.assert_close(module(x), literal(module, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_the_routed_sum_is_the_shuffle_then_the_weighted_blocks(training: bool):
    a, weights = torch.randn(2, 12, 3, 3), torch.rand(2, 6, 3, 3)
    blocks = channel_shuffle(a, 3).chunk(3, 1)
    spread = weights.repeat_interleave(2, 1).chunk(3, 1)  # each group's weight for two channels
    expected = sum(w * block for w, block in zip(spread, blocks, strict=True))
    torch.testing.assert_close(RoutedSum(4, 3, 2).train(training)(a, weights), expected)


def test_every_parameter_learns():
    module = SCSC(24, 16, (3, 5, 7), 4)
    module(torch.randn(2, 24, 8, 8)).square().sum().backward()
    missing = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_a_reference_without_an_array_is_refused():
    with pytest.raises(KeyError):
        from_reference({"kernel_sizes": np.array([3, 5]), "groups": np.array(4)})
