import pytest
import torch

from scsc.attention import WindowAttention, relative_positions, window_mask


def test_the_same_displacement_reads_the_same_bias():
    table = relative_positions(3)
    assert table[0, 1] == table[3, 4] == table[7, 8]  # one to the right
    assert table[0, 3] == table[5, 8]  # one below
    assert len(table.unique()) == 25
    assert table[4, 4] == 12  # the middle: no displacement


def literal(module: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """Attention of each pixel over its own window, one window and one head at a time."""
    side, heads = module.window, module.heads
    out = torch.empty_like(x)
    for top in range(0, x.shape[2], side):
        for left in range(0, x.shape[3], side):
            at = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
            tokens = x[at].flatten(2).transpose(1, 2)  # (N, T, C)
            parts = module.qkv(tokens).chunk(3, -1)
            mixed = []
            for head, (q, k, v) in enumerate(
                zip(*(p.chunk(heads, -1) for p in parts), strict=True)
            ):
                logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
                logits = logits + module.bias[module.relative][:, :, head]
                mixed.append(logits.softmax(-1) @ v)
            out[at] = module.project(torch.cat(mixed, -1)).transpose(1, 2).reshape(x[at].shape)
    return out


def test_windows_attend_to_themselves():
    torch.manual_seed(0)
    module = WindowAttention(8, 2, window=3)
    torch.nn.init.normal_(module.bias)
    x = torch.randn(2, 8, 6, 9)
    torch.testing.assert_close(module(x), literal(module, x), atol=1e-5, rtol=1e-5)


def reach(module: WindowAttention, row: int, col: int) -> torch.Tensor:
    """Which pixels of an 8x8 map the output at (row, col) depends on."""
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    module(x)[0, :, row, col].sum().backward()
    return x.grad.abs().sum((0, 1)) > 1e-9


def test_a_moved_window_joins_neighbours_and_not_opposite_edges():
    module = WindowAttention(4, 1, window=4, shift=True)
    middle = torch.zeros(8, 8, dtype=torch.bool)
    middle[2:6, 2:6] = True
    assert torch.equal(reach(module, 3, 4), middle)
    corner = torch.zeros(8, 8, dtype=torch.bool)
    corner[:2, 6:] = True  # its moved window holds four corners; they are no neighbours
    assert torch.equal(reach(module, 0, 7), corner)


def test_one_window_is_never_moved():
    x = torch.randn(1, 4, 4, 4)
    moved = WindowAttention(4, 1, window=4, shift=True)
    still = WindowAttention(4, 1, window=4)
    still.load_state_dict(moved.state_dict())
    assert torch.equal(moved(x), still(x))


@pytest.mark.parametrize("size", [(5, 7), (8, 3), (1, 1)])
def test_any_size_is_kept(size: tuple[int, int]):
    x = torch.randn(1, 4, *size)
    assert WindowAttention(4, 2, window=4, shift=True)(x).shape == x.shape


def test_the_mask_of_unmoved_windows_is_zero():
    assert not window_mask(2, 3, 2, [0, 0]).any()


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="10 channels do not split into 3 heads"):
        WindowAttention(10, 3)
