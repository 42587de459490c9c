from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from models.data import augment, make_batch, read_packs, view_indices
from tests.models.packs import write_pack


def test_a_pack_is_read_as_rgb_crops_with_unit_targets(tmp_path):
    pack = read_packs([write_pack(tmp_path / "train-0.npz", people=3, each=2)])
    assert pack.crops.shape == (6, 112, 112, 3)
    assert pack.crops.dtype == np.uint8
    assert np.allclose(np.linalg.norm(pack.teacher, axis=1), 1, atol=0.02)
    assert pack.label.tolist() == [0, 0, 1, 1, 2, 2]
    with np.load(tmp_path / "train-0.npz") as arrays:
        first = cv2.imdecode(arrays["webp"][: arrays["offsets"][1]], cv2.IMREAD_COLOR)
    assert np.array_equal(pack.crops[0], first[:, :, ::-1])


def test_packs_are_joined_in_order_and_a_limit_takes_the_first_of_each(tmp_path):
    paths = [write_pack(tmp_path / f"train-{i}.npz", people=2, each=3, seed=i) for i in (0, 1)]
    whole, part = read_packs(paths), read_packs(paths, limit=2)
    assert len(whole.crops) == 12
    assert np.array_equal(part.crops, whole.crops[[0, 1, 6, 7]])


def test_no_packs_is_said_so():
    with pytest.raises(FileNotFoundError, match=r"train-\*\.npz"):
        read_packs([])


def test_a_crop_that_does_not_decode_is_named(tmp_path):
    path = write_pack(tmp_path / "train-0.npz", people=1, each=3)
    with np.load(path) as arrays:
        content = dict(arrays)
    content["webp"][content["offsets"][1] : content["offsets"][2]] = 0
    np.savez(path, **content)
    with pytest.raises(ValueError, match=r"train-0\.npz: crop 1"):
        read_packs([path])


def test_every_pass_shows_each_crop_once_in_an_order_of_its_own():
    first, second = view_indices(10, 0, 10, seed=1), view_indices(10, 10, 10, seed=1)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() != second.tolist()
    across = view_indices(10, 7, 6, seed=1)
    assert across.tolist() == [*first[7:], *second[:3]]


def test_a_view_depends_on_its_number_alone(tmp_path):
    pack = read_packs([write_pack(tmp_path / "train-0.npz")])
    with ThreadPoolExecutor(2) as pool:
        whole = make_batch(pack, 0, 12, 64, seed=3, pool=pool)
        tail = make_batch(pack, 8, 4, 64, seed=3, pool=pool)
        other = make_batch(pack, 8, 4, 64, seed=4, pool=pool)
    assert np.array_equal(whole.crops[8:], tail.crops)
    assert np.array_equal(whole.label[8:], tail.label)
    assert not np.array_equal(tail.crops, other.crops)


@pytest.mark.parametrize("size", [64, 112])
def test_views_vary_and_keep_their_size(size):
    crop = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (112, 112))
    before = crop.copy()
    views = [augment(crop, size, np.random.default_rng(i)) for i in range(200)]
    assert {view.shape for view in views} == {(size, size, 3)}
    assert {view.dtype for view in views} == {np.dtype(np.uint8)}
    assert len({view.tobytes() for view in views}) == 200
    assert np.array_equal(crop, before)


def test_a_view_that_is_not_hard_keeps_its_colours():
    grey = np.full((112, 112, 3), 90, np.uint8)
    for i in range(50):
        view = augment(grey, 64, np.random.default_rng(i), hard_share=0.0)
        assert (view == 90).all()
    views = [augment(grey, 64, np.random.default_rng(i), hard_share=0.5) for i in range(100)]
    assert 25 <= sum((view == 90).all() for view in views) <= 75
