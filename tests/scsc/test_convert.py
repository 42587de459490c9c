"""Conversion of networks that are not ours: written here in the manner of others, and timm's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scsc import SCSC, convert, cost, fuse, swin_t
from tests.scsc.networks import host, trained

PICTURE = torch.zeros(1, 3, 64, 64)


class Basic(nn.Module):
    """A residual block of two 3x3 convolutions."""

    def __init__(self, in_chs: int, chs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chs, chs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(chs)
        self.conv2 = nn.Conv2d(chs, chs, 3, 1, 1, bias=True)
        self.bn2 = nn.BatchNorm2d(chs)
        self.down = nn.Conv2d(in_chs, chs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.down(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 7, 4, 3)
        self.layer1 = Basic(16, 16, 1)
        self.layer2 = Basic(16, 32, 2)
        self.depthwise = nn.Conv2d(32, 32, 5, padding=2, groups=32)
        self.even = nn.Conv2d(32, 32, 2, 2)
        self.unused = nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.even(self.depthwise(self.layer2(self.layer1(self.stem(x)))))
        return self.head(x.mean((2, 3)))


def test_convolutions_of_a_residual_network_become_scsc():
    torch.manual_seed(0)
    model = Residual()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    conversion = convert(model, PICTURE, groups=2)
    assert [(c.name, c.chs, c.size, c.kernel_sizes) for c in conversion.changes] == [
        ("layer1.conv1", 16, (16, 16), (3, 9, 13)),
        ("layer1.conv2", 16, (16, 16), (3, 9, 13)),
        ("layer2.conv1", 16, (16, 16), (3, 9, 13)),
        ("layer2.conv2", 32, (8, 8), (3, 7, 11)),
    ]
    assert {c.name: c.reason for c in conversion.left} == {
        "stem": "fewer than 6 input channels",
        "depthwise": "grouped",
        "even": "not an odd square kernel that keeps the map's size",
        "unused": "the example does not pass through it",
    }
    network = conversion.network
    assert isinstance(network.layer2.conv1, SCSC)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert torch.equal(network.head.weight, model.head.weight)
    for side in (64, 96):
        assert network(torch.randn(2, 3, side, side)).shape == (2, 5)
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in network.layer2.conv1.parameters())


def test_the_account_is_what_a_count_of_the_networks_gives():
    torch.manual_seed(0)
    model = Residual()
    conversion = convert(model, PICTURE)
    assert conversion.params == tuple(cost.parameters(n) for n in (model, conversion.network))
    assert conversion.flops == tuple(cost.flops(n, PICTURE) for n in (model, conversion.network))
    text = str(conversion)
    assert "| layer2.conv2 | 3x3 convolution | 32 | 8x8 | 3-7-11 |" in text
    saved = 1 - conversion.params[1] / conversion.params[0]
    assert f"{saved:.1%} saved" in text
    assert "left: depthwise, 5x5 convolution: grouped" in text


def test_only_narrows_the_choice():
    conversion = convert(Residual(), PICTURE, only=lambda name, module: name.startswith("layer1"))
    assert [c.name for c in conversion.changes] == ["layer1.conv1", "layer1.conv2"]
    assert conversion.left == []


def test_nothing_to_replace_is_an_error():
    with pytest.raises(ValueError, match="no spatial convolution or attention"):
        convert(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), PICTURE)
    once = convert(Residual(), PICTURE).network
    with pytest.raises(ValueError, match="no spatial convolution or attention"):
        convert(once, PICTURE)


class WindowAttention(nn.Module):
    """Plain attention among the tokens it is given: (B, T, C) -> (B, T, C)."""

    def __init__(self, chs: int) -> None:
        super().__init__()
        self.places = nn.Linear(2, 8)  # as Swin v2 has it: the first map does not take channels
        self.qkv = nn.Linear(chs, 3 * chs)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        query, key, value = self.qkv(x).chunk(3, -1)
        return F.scaled_dot_product_attention(query, key, value, mask)


class Block(nn.Module):
    """A Swin block that cuts the windows itself, as the authors' code does.

    `tokens`: takes (N, H * W, C) and not (N, H, W, C). `move_first`: moves, then fills.
    """

    def __init__(self, chs: int, window: int, shift: int, tokens: bool, move_first: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(chs)
        self.attn = WindowAttention(chs)
        self.window, self.shift = window, shift
        self.tokens, self.move_first = tokens, move_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = x.shape
        y = self.norm1(x)
        if self.tokens:
            side = int(shape[1] ** 0.5)
            y = y.view(shape[0], side, side, -1)
        n, height, width, chs = y.shape
        w = self.window
        fill = (0, 0, 0, -width % w, 0, -height % w)
        if self.move_first:
            y = F.pad(self.moved(y, -self.shift), fill)
        else:
            y = self.moved(F.pad(y, fill), -self.shift)
        rows, cols = y.shape[1] // w, y.shape[2] // w
        y = y.view(n, rows, w, cols, w, chs).transpose(2, 3).reshape(-1, w * w, chs)
        y = self.attn(y, mask=None).view(n, rows, cols, w, w, chs).transpose(2, 3)
        y = y.reshape(n, rows * w, cols * w, chs)
        if self.move_first:
            y = self.moved(y[:, :height, :width], self.shift)
        else:
            y = self.moved(y, self.shift)[:, :height, :width]
        return x + y.reshape(shape)

    def moved(self, x: torch.Tensor, shift: int) -> torch.Tensor:
        return torch.roll(x, shifts=(shift, shift), dims=(1, 2)) if shift else x


class Swinlike(nn.Module):
    def __init__(self, tokens: bool, move_first: bool) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 24, 4, 4)
        self.blocks = nn.ModuleList(Block(24, 4, shift, tokens, move_first) for shift in (0, 2))
        self.tokens = tokens

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        x = x.flatten(1, 2) if self.tokens else x
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("tokens", [False, True], ids=["maps", "tokens"])
@pytest.mark.parametrize("move_first", [False, True], ids=["fill-first", "move-first"])
@pytest.mark.parametrize("side", [64, 40], ids=["whole windows", "filled windows"])
def test_windowed_attention_becomes_scsc_on_the_whole_map(
    tokens: bool, move_first: bool, side: int
):
    torch.manual_seed(0)
    model = Swinlike(tokens, move_first)
    conversion = convert(model, torch.zeros(1, 3, side, side))
    cells = side // 4
    assert [(c.name, c.size) for c in conversion.changes] == [
        ("blocks.0.attn", (cells, cells)),
        ("blocks.1.attn", (cells, cells)),
    ]
    network = trained(conversion.network)
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        given = network(x)
        expected = network.embed(x)
        for block in network.blocks:
            normed = block.norm1(expected.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            expected = expected + block.attn.module(normed)
        expected = expected.permute(0, 2, 3, 1)
        torch.testing.assert_close(given.view(expected.shape), expected, atol=1e-5, rtol=1e-5)


def test_a_converted_swin_takes_other_sizes_and_shapes():
    network = convert(Swinlike(tokens=False, move_first=False), PICTURE).network
    with torch.no_grad():
        assert trained(network)(torch.randn(2, 3, 44, 72)).shape == (2, 11, 18, 24)


class Global(nn.Module):
    """Attention over all tokens, as PVT's or a ViT's without class token."""

    def __init__(self, extra: int = 0) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 24, 8, 8)
        self.attn = WindowAttention(24)
        self.extra = extra

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.pad(self.embed(x).flatten(2), (self.extra, 0)).transpose(1, 2)
        return x + self.attn(x)


def test_attention_over_all_tokens_becomes_scsc():
    torch.manual_seed(0)
    conversion = convert(Global(), PICTURE)
    assert [(c.size, c.kernel_sizes) for c in conversion.changes] == [((8, 8), (3, 7, 11))]
    network, x = trained(conversion.network), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        tokens = network.embed(x)
        expected = (tokens + network.attn.module(tokens)).flatten(2).transpose(1, 2)
        torch.testing.assert_close(network(x), expected)
        with pytest.raises(ValueError, match="not those of a square map"):
            network(torch.randn(1, 3, 64, 72))


def test_tokens_that_are_no_map_are_left_alone():
    with pytest.raises(ValueError, match="no spatial convolution or attention"):
        convert(Global(extra=1), PICTURE)


def test_our_own_plain_hosts_convert_and_fuse():
    for name, attention in (("swin", True), ("resnet", False)):
        network, x = host(name)
        conversion = convert(network, x[:1], kernel_sizes=((3, 5),), groups=2)
        kinds = {c.kind for c in conversion.changes}
        assert kinds == ({"WindowAttention"} if attention else {"3x3 convolution"})
        converted = trained(conversion.network)
        with torch.no_grad():
            y = converted(x)
            torch.testing.assert_close(fuse(converted)(x), y, atol=1e-4, rtol=1e-4)


def test_a_converted_swin_t_is_smaller():
    with torch.device("meta"):
        model, x = swin_t(), torch.zeros(1, 3, 224, 224)
        conversion = convert(model, x)
    assert len(conversion.changes) == 12
    assert conversion.params[1] < 0.8 * conversion.params[0]
    assert conversion.flops[1] < 0.8 * conversion.flops[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the library's own
@pytest.mark.parametrize(
    ("name", "count", "kind"),
    [
        ("resnet50", 16, "3x3 convolution"),
        ("swin_tiny_patch4_window7_224", 12, "WindowAttention"),
    ],
)
def test_networks_of_timm_convert(name: str, count: int, kind: str):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5)
    conversion = convert(model, torch.zeros(1, 3, 224, 224))
    assert [c.kind for c in conversion.changes] == [kind] * count
    assert conversion.params[1] < conversion.params[0]
    assert conversion.flops[1] < conversion.flops[0]
    with torch.no_grad():
        assert trained(conversion.network)(torch.randn(2, 3, 224, 224)).shape == (2, 5)
