"""The views of models/data.py made by PyTorch, a batch at a time, where the crops already are.

OpenCV on a few host cores makes some thousand views a second; one GPU trains faster than that.
Same kinds and shares of change as `models.data.augment`, other random numbers.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from models import coverings, low_light
from models.data import small_side

Draws = npt.NDArray[np.floating]

BLUR_RADIUS = 9  # pixels: three times the widest blur
LOW_RESOLUTIONS = 4  # different ones within a batch


def augment(
    crops: torch.Tensor, size: int, rng: np.random.Generator, hard_share: float = 1.0
) -> torch.Tensor:
    """Crops (B, 112, 112, 3) uint8 -> views (B, 3, size, size) float32 of whole numbers 0..255.

    `size` is a multiple of 16. All randomness is drawn on the host, or from a seed that is, so
    nothing waits for the GPU.
    """
    count = len(crops)
    hard = rng.random(count) < hard_share
    views = crops.permute(0, 3, 1, 2).float()

    def change_some(share: float, change: Callable[..., torch.Tensor]) -> None:
        rows = np.flatnonzero(hard & (rng.random(count) < share))
        if len(rows):
            index = torch.from_numpy(rows).to(views.device, non_blocking=True)
            views[index] = change(views[index], rng)

    change_some(0.30, _cover)
    views = _warp(views, rng)
    change_some(0.20, _low_resolution)
    change_some(0.15, _blur)
    if size != views.shape[-1]:
        views = F.interpolate(views, (size, size), mode="area")
    change_some(0.80, _light)
    change_some(0.15, _shade)
    change_some(0.15, _darken)
    change_some(0.10, _grey)
    change_some(0.15, _jpeg)
    return views.round_().clamp_(0, 255)


def _warp(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mirror, rotate, scale and shift about the centre, border replicated: (B, 3, S, S) -> same."""
    count, side = len(x), x.shape[-1]
    angle = np.radians(np.clip(rng.normal(0, 5, count), -15, 15))
    scale = np.exp(np.clip(rng.normal(0, 0.05, count), -0.15, 0.15))
    shift = np.clip(rng.normal(0, 2.0, (count, 2)), -6, 6) * 2 / side  # in halves of the side
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    theta = np.empty((count, 2, 3))  # from a place in the view to one in the crop
    theta[:, 0] = np.stack([cos * mirror, -sin * mirror, shift[:, 0]], 1)
    theta[:, 1] = np.stack([sin, cos, shift[:, 1]], 1)
    grid = F.affine_grid(_on(x, theta), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _low_resolution(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A small face, enlarged."""
    parts = []
    for part in x.chunk(LOW_RESOLUTIONS):
        small = small_side(rng)
        shrunk = F.interpolate(part, (small, small), mode="area")
        parts.append(F.interpolate(shrunk, x.shape[-2:], mode="bilinear"))
    return torch.cat(parts)


def _blur(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gaussian of 0.5 to 3 pixels, one for each picture."""
    return _gaussian(x, _on(x, rng.uniform(0.5, 3.0, len(x))))


def _gaussian(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """(n, chs, H, W) -> the same, smoothed by sigma (n,) pixels; borders as OpenCV has them."""
    n, chs, height, width = x.shape
    place = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=x.device)
    taps = torch.exp(-(place**2) / (2 * sigma[:, None] ** 2))
    taps = taps / taps.sum(1, keepdim=True)
    kernel = taps.repeat_interleave(chs, 0)[:, None]  # (n * chs, 1, taps)
    planes = F.pad(x, (BLUR_RADIUS,) * 4, mode="reflect").reshape(1, n * chs, *_grown(x))
    planes = F.conv2d(planes, kernel[:, :, :, None], groups=n * chs)
    planes = F.conv2d(planes, kernel[:, :, None, :], groups=n * chs)
    return planes.view(n, chs, height, width)


def _grown(x: torch.Tensor) -> tuple[int, int]:
    return x.shape[-2] + 2 * BLUR_RADIUS, x.shape[-1] + 2 * BLUR_RADIUS


def _light(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gamma, contrast and a slight tint."""
    n = len(x)
    gamma = _planes(x, np.exp(rng.normal(0, 0.2, (n, 1))))
    gain = _planes(x, np.exp(rng.normal(0, 0.15, (n, 1))) * np.exp(rng.normal(0, 0.05, (n, 3))))
    offset = _planes(x, rng.normal(0, 0.06, (n, 1)) + 0.5)
    curved = (x.clamp(0, 255) / 255).pow(gamma)
    return (((curved - 0.5) * gain + offset) * 255).clamp_(0, 255)


def _grey(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    luma = x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (x * luma).sum(1, keepdim=True).expand_as(x)


def _cover(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One covering on each crop, its shape and fill drawn on the host."""
    drawn = [coverings.draw(rng) for _ in range(len(x))]
    share = _on(x, np.stack([mask for mask, _ in drawn])[:, None]) / 255
    fills = _on(x, np.stack([fill for _, fill in drawn])).permute(0, 3, 1, 2)
    fill = F.interpolate(fills, x.shape[-2:], mode="bilinear")
    return x * (1 - share) + fill * share


def _shade(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Light from one side, along any direction."""
    n, side = len(x), x.shape[-1]
    turned, least = rng.uniform(0, 2 * np.pi, n), _planes(x, rng.uniform(0.1, 0.9, (n, 1)))
    place = torch.linspace(-1, 1, side, device=x.device)
    across, down = (_planes(x, f(turned)[:, None]) for f in (np.cos, np.sin))
    along = across * place[None, None, None, :] + down * place[None, None, :, None]
    return x * ((1 + least) / 2 + (1 - least) / 2 * along).clamp_(0, 1)


def _darken(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Little light, and the noise of a sensor, which is drawn where the crops are."""
    n = len(x)
    generator = torch.Generator(x.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.randn(x.shape, device=x.device, generator=generator)
    light = _planes(x, rng.uniform(0.15, 0.7, (n, 1)))
    return (x * light + noise * _planes(x, rng.uniform(1, 8, (n, 1)))).clamp_(0, 255)


def enhance(x: torch.Tensor) -> torch.Tensor:
    """What `models.low_light.enhanced` makes of pictures (n, 3, S, S) of whole numbers 0..255."""
    green, side = x[:, 1:2], x.shape[-1]
    taps = x.new_tensor([1, -2, 1])
    kernel = torch.outer(taps, taps)[None, None]
    difference = F.conv2d(F.pad(green, (1,) * 4, mode="reflect"), kernel)
    median = difference.abs().clamp_(max=255).flatten(1).median(1).values
    spread = green.flatten(1).std(1, correction=0)
    noise = torch.where(spread > 0, median / low_light.OF_UNIT_NOISE / spread, 0)
    top, bottom, left, right = (int(share * side) for share in low_light.FACE)
    light = x[:, :, top:bottom, left:right].mean((1, 2, 3))
    sigma = (low_light.LEAST_BLUR + low_light.BLUR_PER_NOISE * noise).clamp(max=low_light.MOST_BLUR)
    noisy = (noise > low_light.NOISY)[:, None, None, None]
    gain = (low_light.DARK / light.clamp(min=1)).clamp(min=1).pow(low_light.CURVE)
    gain = gain.clamp(max=low_light.MOST_GAIN)
    brighter = torch.where(noisy, _gaussian(x, sigma), x) * gain[:, None, None, None]
    return brighter.clamp_(0, 255).round_()


# ------------------------------------------------------------------------------------------ JPEG

# The tables of ITU-T T.81, annex K, for quality 50.
_LUMA = [
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
]
_CHROMA = [
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *([99] * 32),
]
_TO_YCC = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]


def _jpeg(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return jpeg(x, rng.integers(15, 70, len(x)))


def jpeg(x: torch.Tensor, quality: npt.NDArray[np.integer]) -> torch.Tensor:
    """What JPEG at these qualities (n,) leaves of (n, 3, S, S), S a multiple of 16.

    Colour at half resolution, quantised 8x8 cosine transform (ITU-T T.81; quality as libjpeg has
    it). The lossless stages are left out: they change nothing.
    """
    scale = np.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None]
    to_ycc = x.new_tensor(_TO_YCC)
    ycc = torch.einsum("dc,nchw->ndhw", to_ycc, x)
    luma = _quantized(ycc[:, :1] - 128, _table(x, _LUMA, scale)) + 128
    chroma = _quantized(F.avg_pool2d(ycc[:, 1:], 2), _table(x, _CHROMA, scale))
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear")
    rgb = torch.einsum("dc,nchw->ndhw", torch.linalg.inv(to_ycc), torch.cat([luma, chroma], 1))
    return rgb.clamp_(0, 255)


def _table(x: torch.Tensor, base: list[int], scale: Draws) -> torch.Tensor:
    """(n, 1, 1, 1, 8, 8): one table for each picture."""
    table = np.clip(np.floor((np.array(base) * scale + 50) / 100), 1, 255)
    return _on(x, table).view(-1, 1, 1, 1, 8, 8)


def _quantized(planes: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """(n, c, H, W) of mean 0 -> the same after the cosine transform lost its fine steps."""
    n, chs, height, width = planes.shape
    blocks = planes.view(n, chs, height // 8, 8, width // 8, 8).transpose(3, 4)
    place = torch.arange(8, device=planes.device, dtype=torch.float32)
    cosine = 0.5 * torch.cos((2 * place[None] + 1) * place[:, None] * math.pi / 16)
    cosine[0] *= math.sqrt(0.5)  # rows are frequencies; an orthonormal matrix
    levels = (cosine @ blocks @ cosine.T / table).round_()
    blocks = cosine.T @ (levels * table) @ cosine
    return blocks.transpose(3, 4).reshape(n, chs, height, width)


def _planes(x: torch.Tensor, draws: npt.NDArray[np.generic]) -> torch.Tensor:
    """One number for each picture (and channel), (n, 1 or 3), to go with (n, 3, H, W)."""
    return _on(x, draws)[:, :, None, None]


def _on(x: torch.Tensor, draws: npt.NDArray[np.generic]) -> torch.Tensor:
    """Host numbers as float32 beside x."""
    return torch.from_numpy(np.asarray(draws, np.float32)).to(x.device, non_blocking=True)
