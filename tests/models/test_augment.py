import cv2
import numpy as np
import pytest
import torch

from models import augment, data, low_light
from models.data import view_indices
from models.views import device_views, host_views
from tests.models.packs import write_pack

CPU = torch.device("cpu")


def picture(seed: int = 0) -> np.ndarray:
    """(112, 112, 3) of soft colours."""
    coarse = np.random.default_rng(seed).integers(40, 216, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC)


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("size", [64, 112])
def test_views_vary_are_whole_numbers_and_come_again_from_the_same_seed(size):
    crops = torch.from_numpy(np.repeat(picture()[None], 200, 0))
    before = crops.clone()
    views = augment.augment(crops, size, np.random.default_rng(1))
    assert views.shape == (200, 3, size, size)
    assert views.dtype == torch.float32
    assert torch.equal(views, views.round())
    assert 0 <= float(views.min()) <= float(views.max()) <= 255
    assert len({view.numpy().tobytes() for view in views}) == 200
    assert torch.equal(crops, before)
    again = augment.augment(crops, size, np.random.default_rng(1))
    assert torch.equal(again, views)


def test_views_are_as_far_from_the_crop_as_those_that_opencv_makes():
    """Two makers of the same kinds of change: the mean distance to the crop is alike."""
    crop = picture()
    count = 400
    crops = torch.from_numpy(np.repeat(crop[None], count, 0))
    mine = augment.augment(crops, 112, np.random.default_rng(0)).permute(0, 2, 3, 1).numpy()
    theirs = np.stack([data.augment(crop, 112, np.random.default_rng(i)) for i in range(count)])
    distances = [np.abs(v.astype(float) - crop).mean((1, 2, 3)) for v in (mine, theirs)]
    assert distances[0].mean() == pytest.approx(distances[1].mean(), rel=0.1)
    assert distances[0].std() == pytest.approx(distances[1].std(), rel=0.25)
    # Shade and darkness, which coverings and blur hardly touch: how bright the views are.
    bright = [v.mean((1, 2, 3)) for v in (mine, theirs)]
    assert bright[0].mean() == pytest.approx(bright[1].mean(), rel=0.05)
    assert np.quantile(bright[0], 0.1) == pytest.approx(np.quantile(bright[1], 0.1), rel=0.2)


def test_the_dark_is_grainy_and_a_shade_falls_to_one_side():
    grey = torch.full((64, 3, 112, 112), 120.0)
    dark = augment._darken(grey, np.random.default_rng(0))
    assert float(dark.mean()) < 0.75 * 120
    assert (dark.std((1, 2, 3)) > 0.9).all()
    assert torch.equal(dark, augment._darken(grey, np.random.default_rng(0)))
    shade = augment._shade(grey, np.random.default_rng(0))
    corners = torch.stack([shade[:, 0, y, x] for y in (0, -1) for x in (0, -1)], 1)
    assert (corners.min(1).values < 0.95 * corners.max(1).values).all()
    assert float(shade.max()) <= 120


def test_a_view_that_is_not_hard_keeps_its_colours():
    crops = torch.full((50, 112, 112, 3), 90, dtype=torch.uint8)
    views = augment.augment(crops, 64, np.random.default_rng(0), hard_share=0.0)
    assert (views == 90).all()


@pytest.mark.parametrize("quality", [15, 40, 69])
def test_jpeg_leaves_what_the_codec_leaves(quality):
    rng = np.random.default_rng(quality)
    image = np.clip(picture() + rng.normal(0, 8, (112, 112, 3)), 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    codec = planes(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[:, :, ::-1].copy())
    ours = augment.jpeg(planes(image), np.array([quality]))
    lost = float((codec - planes(image)).abs().mean())
    assert lost > 2
    assert float((ours - codec).abs().mean()) < 0.25 * lost


def test_views_on_a_device_are_of_the_crops_that_the_host_would_show(tmp_path):
    pack = data.read_packs([write_pack(tmp_path / "train-0.npz")])
    batches = [(0, 64), (16, 64), (32, 112)]
    host = list(host_views(pack, iter(batches), 16, 5, 1.0, threads=2))
    device = list(device_views(pack, iter(batches), 16, 5, 1.0, CPU))
    for (first, size), mine, other in zip(batches, device, host, strict=True):
        assert mine.pixels.shape == other.pixels.shape == (16, 3, size, size)
        assert mine.pixels.is_contiguous(memory_format=torch.channels_last)
        assert -1 <= float(mine.pixels.min()) <= float(mine.pixels.max()) <= 1
        assert torch.equal(mine.teacher, other.teacher)
        assert torch.equal(mine.label, other.label)
        rows = view_indices(len(pack.crops), first, 16, 5)
        assert mine.label.tolist() == pack.label[rows].tolist()


def test_dark_and_noisy_pictures_are_enhanced_as_the_service_does():
    rng = np.random.default_rng(3)
    crops = []
    for light, noise in ((1, 0), (0.3, 0), (0.05, 0), (1, 12), (0.3, 4), (0.15, 6)):
        grain = rng.normal(0, noise, (112, 112, 3))
        crops.append(np.clip(picture() * light + grain, 0, 255).round().astype(np.uint8))
    theirs = low_light.enhanced(np.stack(crops))
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    mine = augment.enhance(x).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(mine[0], crops[0])
    assert all(not np.array_equal(a, b) for a, b in zip(theirs[1:], crops[1:], strict=True))
    assert np.abs(mine - theirs).max() <= 1  # of 255: they round at other places
    assert np.abs(mine - theirs).mean() < 0.05
    black = torch.zeros(1, 3, 64, 64)
    assert torch.equal(augment.enhance(black), black)
