import numpy as np
import pytest

from models import low_light
from models.low_light import enhanced, light_of, noise_of
from tests.models.evaluate.drawn import pattern


def bright(seed: int = 0) -> np.ndarray:
    """A drawn crop, (112, 112, 3) uint8, neither dark nor noisy."""
    crop = pattern(np.random.default_rng(seed))
    return (crop * 0.5 + 100).astype(np.uint8)


def darkened(crop: np.ndarray, light: float, noise: float) -> np.ndarray:
    grain = np.random.default_rng(7).normal(0, noise, crop.shape)
    return np.clip(crop * light + grain, 0, 255).round().astype(np.uint8)


def test_other_crops_are_not_even_copied():
    crops = np.stack([bright(seed) for seed in range(3)])
    assert enhanced(crops) is crops


def test_only_the_bad_crops_of_a_batch_change_and_the_batch_itself_does_not():
    good = bright()
    crops = np.stack([good, darkened(good, 0.2, 0), darkened(good, 1, 20)])
    before = crops.copy()
    after = enhanced(crops)
    assert np.array_equal(crops, before)
    assert [not np.array_equal(a, b) for a, b in zip(after, crops, strict=True)] == [0, 1, 1]


@pytest.mark.parametrize("noise", [10, 20])
def test_noise_is_told_in_contrasts(noise: int):
    crop = darkened(bright(), 1, noise)
    assert noise_of(crop) == pytest.approx(noise / crop[:, :, 1].std(), rel=0.1)


def test_a_sharp_edge_is_not_noise():
    crop = np.full((112, 112, 3), 60, np.uint8)
    crop[40:80, 30:90] = 220
    assert noise_of(crop) == 0


@pytest.mark.parametrize("light", [0.3, 0.2, 0.12])
def test_a_dark_face_is_brightened_until_it_is_no_longer_dark(light: float):
    dark = darkened(bright(), light, 0)
    assert light_of(dark) < low_light.DARK
    better = enhanced(dark[None])[0]
    assert low_light.DARK <= light_of(better) < 2 * low_light.DARK
    assert np.corrcoef(better.ravel(), dark.ravel())[0, 1] > 0.999


def test_there_is_an_end_to_brightening():
    dark = darkened(bright(), 0.03, 0)
    assert np.array_equal(enhanced(dark[None])[0], dark * int(low_light.MOST_GAIN))


@pytest.mark.parametrize(("light", "noise"), [(1.0, 15), (0.4, 6), (0.2, 6)])
def test_a_noisy_face_comes_nearer_to_what_was_photographed(light: float, noise: float):
    good = bright()
    noisy = darkened(good, light, noise)
    better = enhanced(noisy[None])[0]

    def likeness(crop: np.ndarray) -> float:
        return float(np.corrcoef(crop.ravel(), good.ravel())[0, 1])

    assert 1 - likeness(better) < (1 - likeness(noisy)) / 4


def test_the_order_of_channels_does_not_count():
    noisy = darkened(bright(), 0.3, 5)[None]
    assert np.array_equal(enhanced(noisy[..., ::-1])[..., ::-1], enhanced(noisy))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_crop_of_one_colour_is_no_trouble(value: int):
    crop = np.full((1, 112, 112, 3), value, np.uint8)
    assert np.array_equal(enhanced(crop), crop)
