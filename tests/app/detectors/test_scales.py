import numpy as np

from app.detectors.scales import Found, find_at_two_scales
from app.entities import Image
from tests.doubles import picture


def found(*rows: tuple[float, float, float, float, float]) -> Found:
    """Each row x1, y1, x2, y2, score; the landmarks are all at the box's corner."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Found(table[:, :4], np.repeat(table[:, None, :2], 5, axis=1), table[:, 4])


def test_small_faces_come_from_the_first_pass_and_large_ones_from_the_second():
    sides: list[int] = []

    def find(image: Image, side: int) -> Found:
        sides.append(side)
        if side == 256:
            return found((2, 2, 402, 402, 0.7), (501, 1, 541, 41, 0.99))
        return found((0, 0, 400, 400, 0.9), (500, 0, 540, 40, 0.8), (600, 0, 900, 300, 0.6))

    faces = find_at_two_scales(find, picture(1000, 1000), 1000)
    assert sides == [1000, 256]
    # The large face of the first pass stays where the second has none.
    assert [face.box[:2].tolist() for face in faces] == [[500, 0], [2, 2], [600, 0]]


def test_a_small_picture_is_looked_at_once():
    sides: list[int] = []

    def find(image: Image, side: int) -> Found:
        sides.append(side)
        return found((0, 0, 200, 200, 0.9))

    assert len(find_at_two_scales(find, picture(200, 256), 1000)) == 1
    assert sides == [1000]


def test_nothing_found_is_an_empty_list():
    assert find_at_two_scales(lambda image, side: found(), picture(300, 300), 1000) == []


def test_a_larger_picture_is_shrunk_once_and_its_faces_are_in_its_own_pixels():
    shapes: list[tuple[int, ...]] = []

    def find(image: Image, side: int) -> Found:
        shapes.append(image.shape)
        return found((0, 0, 200, 200, 0.7)) if side == 256 else found((300, 0, 340, 40, 0.8))

    faces = find_at_two_scales(find, picture(1500, 3000), 1000)
    assert shapes == [(500, 1000, 3)] * 2
    assert [face.box.tolist() for face in faces] == [[900, 0, 1020, 120], [0, 0, 600, 600]]
    assert faces[0].landmarks[0].tolist() == [900, 0]
