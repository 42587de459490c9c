import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.align import TEMPLATE, align_face, align_faces, similarity
from tests.doubles import picture


def moved(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """The template as a face of that size, roll and place would show it."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (scale * TEMPLATE @ turn.T + [x, y]).astype(np.float32)


@settings(deadline=None)  # the machine may be busy
@given(st.floats(0.2, 20), st.floats(-180, 180), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_a_moved_template_is_brought_back(scale, degrees, x, y):
    landmarks = moved(scale, degrees, x, y)
    matrix = similarity(landmarks)
    back = landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(back, TEMPLATE, atol=0.05)


def test_it_is_the_least_squares_similarity():
    landmarks = TEMPLATE * 2 + np.random.default_rng(0).normal(0, 5, (5, 2)).astype(np.float32)

    def error(matrix: np.ndarray) -> float:
        return float(((landmarks @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE) ** 2).sum())

    best = similarity(landmarks)
    a, b = best[0, 0], best[1, 0]
    assert best[1, 1] == pytest.approx(a)
    assert best[0, 1] == pytest.approx(-b)
    for da, db, dx, dy in np.eye(4) * 0.01:
        for sign in (1, -1):
            step = sign * np.array([[da, -db, dx], [db, da, dy]])
            assert error(best + step) > error(best)


def test_a_mirrored_face_is_not_mirrored_back():
    matrix = similarity((TEMPLATE * [-1, 1]).astype(np.float32))
    assert np.linalg.det(matrix[:, :2]) >= 0


def test_coinciding_landmarks_give_a_crop_and_no_nan():
    landmarks = np.full((5, 2), 20, np.float32)
    assert np.isfinite(similarity(landmarks)).all()
    assert align_face(picture(40, 40), landmarks).shape == (112, 112, 3)


def test_a_face_in_place_is_cut_out_unchanged():
    image = picture(200, 200)
    crop = align_face(image, TEMPLATE + np.float32(30))
    assert np.array_equal(crop, image[30:142, 30:142])


def test_beyond_the_edge_the_edge_pixel_is_repeated():
    image = picture(112, 112)
    crop = align_face(image, TEMPLATE - np.array([50, 0], np.float32))
    assert np.array_equal(crop[:, 50:], image[:, :62])
    assert np.array_equal(crop[:, 20], image[:, 0])


@pytest.mark.parametrize("factor", [2, 3, 5, 8])
def test_a_large_face_is_averaged_and_stays_in_place(factor):
    small = np.asarray(cv2.GaussianBlur(picture(150, 160), (0, 0), 3), np.uint8)
    large = np.repeat(np.repeat(small, factor, 0), factor, 1)
    # Pixel i of the small picture is factor * i .. factor * i + factor - 1 of the large one.
    landmarks = ((TEMPLATE + 20) * factor + (factor - 1) / 2).astype(np.float32)
    expected = small[20:132, 20:132].astype(float)
    assert np.abs(align_face(large, landmarks) - expected).mean() < 0.5
    noise = np.random.default_rng(1).normal(0, 20, large.shape)
    noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
    assert np.abs(align_face(noisy, landmarks) - expected).mean() < 20 / factor


@pytest.mark.parametrize("corner", [(-5000, -5000), (5000, 5000), (-900, 20)])
def test_landmarks_outside_of_the_picture_still_give_a_crop(corner):
    landmarks = (TEMPLATE * 9 + corner).astype(np.float32)
    assert align_face(picture(50, 60), landmarks).shape == (112, 112, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1)])
def test_strips_and_single_pixels_give_a_crop(shape):
    for scale in (0.01, 1, 30):
        assert align_face(picture(*shape), TEMPLATE * np.float32(scale)).shape == (112, 112, 3)


def test_many_faces_at_once_are_those_one_by_one():
    image = picture()
    landmarks = np.stack([TEMPLATE, TEMPLATE * 2, TEMPLATE + 40]).astype(np.float32)
    crops = align_faces(image, landmarks)
    assert crops.shape == (3, 112, 112, 3)
    for crop, points in zip(crops, landmarks, strict=True):
        assert np.array_equal(crop, align_face(image, points))
    assert align_faces(image, np.zeros((0, 5, 2), np.float32)).shape == (0, 112, 112, 3)
