"""How many pictures of a request are in memory at once."""

import numpy as np

from app.api.pictures import in_groups
from app.errors import CorruptImage, ImageError
from app.pipeline.decode import Photo


def photo(width: int, height: int, factor: int = 1) -> Photo:
    image = np.zeros((height // factor, width // factor, 3), np.uint8)
    return Photo(image, width, height, factor, lambda: np.zeros((height, width, 3), np.uint8))


def sizes(photos: list[Photo | ImageError], most: int) -> list[int]:
    return [len(group) for group in in_groups(photos, most)]


def test_a_group_ends_when_it_holds_as_many_pixels_as_a_picture_may_have():
    assert sizes([photo(10, 10)] * 5, 200) == [2, 2, 1]
    assert sizes([photo(20, 20), photo(10, 10), photo(10, 10)], 200) == [1, 2]
    assert sizes([], 200) == []


def test_of_reduced_pictures_the_pixels_held_count_and_one_whole_picture():
    # Each holds 25 pixels, and one of them may have to be decoded to its 100.
    assert sizes([photo(10, 10, 2)] * 9, 200) == [4, 4, 1]
    assert sizes([photo(20, 20, 2), photo(10, 10)], 200) == [1, 1]


def test_a_picture_that_could_not_be_read_keeps_its_place_and_holds_nothing():
    error = CorruptImage("cut")
    photos = [photo(10, 10), error, photo(10, 10), error]
    (first, second) = in_groups(photos, 200)
    assert [*first, *second] == photos
    assert (len(first), len(second)) == (3, 1)
