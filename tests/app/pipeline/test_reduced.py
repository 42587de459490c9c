"""Large JPEGs are decoded at a fraction of their size, and nobody who asks notices."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image as Pil

from app.detectors.centerface import CenterFaceDetector
from app.entities import Face, Image
from app.errors import CorruptImage, ImageTooLarge
from app.pipeline.align import CROP_SIZE
from app.pipeline.analyze import Analyzer
from app.pipeline.decode import ImageLimits, Photo, decode_image, decode_photo
from app.pipeline.embed import Embedder
from app.runtime.ort import OrtRuntime
from models import catalog, weights
from tests.doubles import ListedDetector, embedder, face
from tests.photographs import astronaut, group

LIMITS = ImageLimits()
SIDE = 256


def enlarged(image: Image, side: int) -> Image:
    """With its longer side that long."""
    scale = side / max(image.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=way), np.uint8)


def jpeg(image: Image | Pil.Image, **options: object) -> bytes:
    file = BytesIO()
    picture = image if isinstance(image, Pil.Image) else Pil.fromarray(np.ascontiguousarray(image))
    picture.save(file, "JPEG", quality=92, **options)
    return file.getvalue()


def turned(image: Image, orientation: int) -> bytes:
    """The JPEG of a camera of that orientation which shows this upright picture."""
    stored = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, 1),
        7: image[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(image, -1),
    }[orientation]
    exif = Pil.Exif()
    exif[0x0112] = orientation
    return jpeg(stored, exif=exif)


@pytest.mark.parametrize(
    ("size", "factor", "shape"),
    [
        ((511, 300), 1, (300, 511)),
        ((512, 300), 2, (150, 256)),
        ((513, 301), 2, (151, 257)),
        ((300, 1023), 2, (512, 150)),
        ((1024, 1024), 4, (256, 256)),
        ((5000, 90), 8, (12, 625)),
        ((5000, 7), 4, (2, 1250)),  # a strip keeps a pixel
        ((5000, 1), 1, (1, 5000)),
    ],
)
def test_the_longer_side_stays_what_was_asked_for_or_more(size, factor, shape):
    photo = decode_photo(jpeg(Pil.new("RGB", size)), LIMITS, SIDE)
    assert (photo.width, photo.height) == size
    assert photo.factor == factor
    assert photo.image.shape == (*shape, 3)
    assert photo.whole().shape == (size[1], size[0], 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_fraction_shows_the_same_picture(mode, progressive):
    image = Pil.fromarray(enlarged(astronaut(), 1024)).convert(mode)
    photo = decode_photo(jpeg(image, progressive=progressive), LIMITS, SIDE)
    assert photo.factor == 4
    whole = photo.whole()
    means = cv2.resize(whole, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(photo.image.astype(int) - means).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1000, 600), (1001, 603)])
def test_a_pixel_keeps_its_place_through_every_turn(orientation, size):
    width, height = size
    upright = np.zeros((height, width, 3), np.uint8)
    upright[200:208, 720:728] = 255
    photo = decode_photo(turned(upright, orientation), LIMITS, SIDE)
    # What does not divide is reduced only where it is not turned.
    assert photo.factor == (2 if width == 1000 or orientation == 1 else 1)
    assert (photo.width, photo.height) == size
    rows, columns = np.nonzero(photo.image[:, :, 1] > 128)
    assert (columns.mean() + 0.5) * photo.factor == pytest.approx(724, abs=0.6)
    assert (rows.mean() + 0.5) * photo.factor == pytest.approx(204, abs=0.6)
    assert np.array_equal(photo.whole(), decode_image(turned(upright, orientation), LIMITS))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_kinds_are_decoded_in_full(kind):
    file = BytesIO()
    Pil.new("RGB", (1024, 1024)).save(file, kind)
    photo = decode_photo(file.getvalue(), LIMITS, SIDE)
    assert (photo.factor, photo.image.shape) == (1, (1024, 1024, 3))


def test_the_limits_count_the_full_size_and_a_cut_file_is_refused():
    data = jpeg(enlarged(astronaut(), 1024))
    with pytest.raises(ImageTooLarge, match="1024 x 1024"):
        decode_photo(data, ImageLimits(max_pixels=1024 * 1024 - 1), SIDE)
    with pytest.raises(CorruptImage):
        decode_photo(data[: len(data) // 2], LIMITS, SIDE)


def test_a_fraction_takes_a_fraction_of_the_memory():
    data = jpeg(Pil.new("RGB", (4000, 3000)))
    tracemalloc.start()
    try:
        photo = decode_photo(data, LIMITS, 1000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert photo.image.nbytes == 1000 * 750 * 3
    assert most < 4 * photo.image.nbytes


def counted(photo: Photo) -> tuple[Photo, list[int]]:
    """The photo, and a list that grows when the whole is asked for."""
    asked: list[int] = []

    def whole() -> Image:
        asked.append(1)
        return photo.whole()

    return replace(photo, whole=whole), asked


def test_faces_are_told_in_pixels_of_the_whole_and_inside_it():
    photo = decode_photo(jpeg(Pil.new("RGB", (801, 601))), LIMITS, SIDE)
    assert photo.image.shape == (301, 401, 3)
    analyzer = Analyzer(ListedDetector(face(289, 50, 112)), embedder())
    ((found,),) = analyzer.detect([photo])
    assert found.box.tolist() == [578, 100, 801, 324]
    assert np.allclose(found.landmarks, face(289, 50, 112).landmarks * 2)
    assert found.quality is not None
    assert found.quality.size == pytest.approx(223)
    analyzer.close()


@pytest.mark.parametrize(("side", "wholes"), [(111.5, 1), (112.5, 0), (300, 0)])
def test_a_face_of_too_few_pixels_is_cut_from_the_whole(side, wholes):
    data = jpeg(enlarged(astronaut(), 1600))
    photo, asked = counted(decode_photo(data, LIMITS, 800))
    assert photo.factor == 2
    analyzer = Analyzer(ListedDetector(face(350, 60, side), face(300, 50, 250)), embedder())
    (found,) = analyzer.align([photo])
    assert len(asked) == wholes
    both_larger = ListedDetector(face(700, 120, 2 * side), face(600, 100, 500))
    reference = Analyzer(both_larger, embedder())
    (expected,) = reference.align([decode_image(data, LIMITS)])
    for one, other in zip(found, expected, strict=True):
        assert one.crop is not None
        assert other.crop is not None
        apart = np.abs(one.crop.astype(int) - other.crop)
        assert (apart.max() == 0) if wholes else (apart.mean() < 2)
    analyzer.close()
    reference.close()


@pytest.mark.parametrize(("size", "wholes"), [((1600, 1600), 0), ((1600, 160), 1)])
def test_an_aligned_picture_is_taken_whole_only_where_it_is_narrow(size, wholes):
    width, height = size
    data = jpeg(cv2.resize(astronaut(), size, interpolation=cv2.INTER_CUBIC))
    photo, asked = counted(decode_photo(data, LIMITS, 800))
    analyzer = Analyzer(ListedDetector(), embedder())
    ((found,),) = analyzer.analyze([photo], aligned=True)
    ((expected,),) = analyzer.analyze([decode_image(data, LIMITS)], aligned=True)
    assert len(asked) == wholes
    assert found.box.tolist() == [0, 0, width, height]
    assert found.crop is not None
    assert found.crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert np.abs(found.crop.astype(int) - expected.crop).mean() < 2
    analyzer.close()


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    """The service's own networks."""
    card = catalog.card("scsc_faceresnet")
    file = weights.find(card)
    network = Embedder(OrtRuntime(file, threads=1), card, weights.sha256_of(file))
    made = Analyzer(CenterFaceDetector(threads=1), network)
    yield made
    made.close()


@pytest.mark.parametrize("side", [2048, 2600, 4000, 4500])
@pytest.mark.parametrize("people", ["one", "six"])
def test_faces_of_large_photographs_are_those_of_the_whole(analyzer, side, people):
    image = enlarged(astronaut() if people == "one" else group(), side)
    photo = decode_photo(jpeg(image), LIMITS, analyzer.side)
    assert photo.factor > 1
    ((*found,), (*expected,)) = analyzer.analyze([photo, photo.whole()])
    assert len(found) == len(expected) == (1 if people == "one" else 6)
    for one, other in zip(by_place(found), by_place(expected), strict=True):
        # Pixels of the reduced picture.
        assert np.abs(one.landmarks - other.landmarks).max() / photo.factor < 1
        assert np.abs(one.box - other.box).max() / photo.factor < 2
        assert one.embedding @ other.embedding > 0.99
        assert one.quality.score > 0.85 * other.quality.score


def by_place(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda each: float(each.box[0]))
