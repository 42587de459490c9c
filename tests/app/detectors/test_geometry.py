import numpy as np
import pytest

from app.detectors.geometry import fit, nms, shrunk, to_faces
from tests.doubles import picture


def test_a_small_picture_is_only_padded():
    image = picture(30, 50)
    fitted, step_x, step_y = fit(image, 1024, 32)
    assert fitted.shape == (32, 64, 3)
    assert (step_x, step_y) == (1, 1)
    assert np.array_equal(fitted[:30, :50], image)
    assert not fitted[30:].any()
    assert not fitted[:, 50:].any()


def test_a_large_picture_is_shrunk_to_the_longest_side():
    fitted, step_x, step_y = fit(picture(600, 1000), 320, 32)
    assert fitted.shape == (192, 320, 3)
    assert step_x == pytest.approx(1000 / 320)
    assert step_y == pytest.approx(600 / 192)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9000), (9000, 1)])
def test_a_strip_keeps_a_pixel(shape):
    fitted, step_x, step_y = fit(picture(*shape), 256, 32)
    assert min(fitted.shape[:2]) == 32
    assert max(fitted.shape[:2]) <= 256
    assert step_x >= 1
    assert step_y >= 1


def test_of_overlapping_boxes_the_best_is_kept():
    boxes = np.array(
        [[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [0, 0, 10, 11], [9, 9, 19, 19]],
        np.float32,
    )
    scores = np.array([0.5, 0.9, 0.6, 0.7, 0.4], np.float32)
    assert nms(boxes, scores, 0.3).tolist() == [1, 2, 4]
    assert nms(boxes, scores, 1.1).tolist() == [1, 3, 2, 0, 4]
    assert nms(boxes[:0], scores[:0], 0.3).tolist() == []


def test_faces_are_clipped_sorted_and_those_outside_left_out():
    boxes = np.array([[-5, -5, 5, 5], [10, 10, 500, 90], [200, 0, 220, 20]], np.float32)
    landmarks = np.zeros((3, 5, 2), np.float32)
    faces = to_faces(boxes, landmarks, np.array([0.5, 1.2, 0.9], np.float32), picture(80, 100))
    assert [face.box.tolist() for face in faces] == [[10, 10, 100, 80], [0, 0, 5, 5]]
    assert [face.score for face in faces] == [1.0, 0.5]


def test_sharp_shrinking_keeps_more_of_a_fine_pattern():
    waves = 127 * (1 + np.sin(np.arange(1250) * (2 * np.pi / 4.6)))
    image = np.broadcast_to(waves[None, :, None], (500, 1250, 3)).astype(np.uint8)
    sharp, step_x, step_y = shrunk(image, 1000, sharp=True)
    means, *_ = shrunk(image, 1000)
    assert sharp.shape == means.shape == (400, 1000, 3)
    assert step_x == step_y == 1.25
    assert sharp.std() > 1.05 * means.std()
    # From two times smaller on the means are sharp enough.
    assert np.array_equal(shrunk(image, 600, sharp=True)[0], shrunk(image, 600)[0])


def test_what_is_small_enough_is_not_copied():
    image = picture(30, 50)
    same, step_x, step_y = shrunk(image, 50, sharp=True)
    assert same is image
    assert (step_x, step_y) == (1, 1)
