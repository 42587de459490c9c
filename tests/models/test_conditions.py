import cv2
import numpy as np
import pytest

from models.conditions import CONDITIONS, under


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 226, (3, 14, 14, 3), np.uint8)
    return np.stack([cv2.resize(c, (112, 112), interpolation=cv2.INTER_CUBIC) for c in coarse])


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_gives_crops_of_the_same_form_and_leaves_its_input(name, crops):
    before = crops.copy()
    changed = under(name, crops)
    assert changed.shape == crops.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(crops, before)
    assert np.array_equal(changed, under(name, crops))
    assert np.array_equal(changed, crops) == (name == "as it is")


@pytest.mark.parametrize(
    ("name", "covered", "seen"),
    [
        ("sunglasses", [(53, 38), (53, 74)], [(92, 56), (25, 56), (75, 56)]),
        ("a mask", [(92, 42), (92, 70), (75, 56)], [(51, 38), (51, 74), (25, 56)]),
        ("a cap", [(5, 56), (30, 56)], [(51, 38), (51, 74), (92, 56)]),
    ],
)
def test_what_covers_a_face_lies_where_the_template_has_it(name, covered, seen, crops):
    changed = under(name, crops)
    for row, column in covered:  # the same colour on every face
        assert len(np.unique(changed[:, row, column], axis=0)) == 1
    for row, column in seen:
        assert np.array_equal(changed[:, row, column], crops[:, row, column])


def test_few_pixels_have_less_detail(crops):
    names = ("as it is", "24 pixels wide", "16 pixels wide")
    detail = [cv2.Laplacian(under(name, crops)[0], cv2.CV_32F).std() for name in names]
    assert detail[0] > detail[1] > detail[2]
