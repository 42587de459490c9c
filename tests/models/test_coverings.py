import numpy as np

from models import coverings


def test_a_covering_leaves_what_it_does_not_cover():
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    for seed in range(50):
        mask, _ = coverings.draw(np.random.default_rng(seed))
        covered = coverings.cover(crop, np.random.default_rng(seed))
        assert covered.shape == crop.shape
        assert covered.dtype == np.uint8
        assert np.array_equal(covered[mask == 0], crop[mask == 0])
        assert not np.array_equal(covered[mask == 255], crop[mask == 255])


def test_coverings_reach_every_part_of_a_face_and_leave_most_of_it():
    masks = np.stack([coverings.draw(np.random.default_rng(seed))[0] for seed in range(400)])
    share = (masks > 127).mean((1, 2))
    assert share.min() > 0.005
    assert share.max() < 0.65
    assert 0.1 < share.mean() < 0.3
    often = (masks > 127).mean(0)  # how often each pixel is covered
    assert often.min() > 0
    for row, column in ((51, 38), (51, 74), (92, 56), (20, 56)):  # eyes, mouth, forehead
        assert 0.15 < often[row, column] < 0.5


def test_a_covering_comes_again_from_the_same_seed_and_fills_vary():
    one, other = (coverings.draw(np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    fills = np.stack([coverings.draw(np.random.default_rng(seed))[1] for seed in range(200)])
    assert fills.min() >= 0
    assert fills.max() <= 255
    brightness = fills.mean((1, 2, 3))
    assert (brightness < 60).any()
    assert (brightness > 150).any()
