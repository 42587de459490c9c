"""The contract that every detector keeps, on photographs."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import pytest

from app.detectors.base import Detector
from app.detectors.centerface import CenterFaceDetector
from app.detectors.scrfd import ScrfdDetector
from app.detectors.yunet import YuNetDetector
from app.entities import Face, Image
from tests.doubles import picture
from tests.photographs import astronaut, group, shared_model


@cache
def opened(name: str) -> Detector:
    match name:
        case "scrfd":
            return ScrfdDetector(shared_model("scrfd_2.5g_bnkps.onnx"), threads=1)
        case "yunet":
            return YuNetDetector(shared_model("yunet.onnx"))
        case _:
            return CenterFaceDetector(threads=1)


every_detector = pytest.mark.parametrize(
    "name",
    [
        "centerface",
        pytest.param("yunet", marks=pytest.mark.shared),
        pytest.param("scrfd", marks=pytest.mark.shared),
    ],
)


def sure(name: str, image: Image) -> list[Face]:
    return [face for face in opened(name).detect([image])[0] if face.score >= 0.5]


@every_detector
def test_each_picture_has_its_own_faces(name):
    counts = [
        len([face for face in faces if face.score >= 0.5])
        for faces in opened(name).detect([astronaut(), picture(300, 200), group()])
    ]
    assert counts == [1, 0, 6]


@every_detector
def test_faces_are_sorted_inside_the_picture_and_of_the_right_shape(name):
    image = group()
    faces = opened(name).detect([image])[0]
    assert [face.score for face in faces] == sorted((f.score for f in faces), reverse=True)
    for face in faces:
        assert face.box.shape == (4,)
        assert face.landmarks.shape == (5, 2)
        assert face.box.dtype == face.landmarks.dtype == np.float32
        assert 0 <= face.box[0] < face.box[2] <= image.shape[1]
        assert 0 <= face.box[1] < face.box[3] <= image.shape[0]
        assert 0 <= face.score <= 1
        assert face.crop is None
        assert face.quality is None


@every_detector
def test_landmarks_are_in_the_order_that_the_viewer_sees(name):
    for face in sure(name, group()) + sure(name, astronaut()):
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < max(left_mouth[1], right_mouth[1])


@pytest.mark.shared
@pytest.mark.parametrize("other", ["yunet", "scrfd"])
def test_detectors_agree_on_where_the_landmarks_are(other):
    for image in (group(), astronaut()):
        ours, theirs = (
            sorted(sure(name, image), key=lambda face: float(face.box[0]))
            for name in ("centerface", other)
        )
        for one, two in zip(ours, theirs, strict=True):
            size = float(one.box[3] - one.box[1])
            apart = np.linalg.norm(one.landmarks - two.landmarks, axis=1) / size
            assert apart.mean() < 0.06
            assert apart.max() < 0.12


@every_detector
@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_the_same_face_is_found_at_another_size(name, factor):
    image = astronaut()
    (before,) = sure(name, image)
    resized = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    (after,) = sure(name, np.asarray(resized, np.uint8))
    apart = np.linalg.norm(after.landmarks / factor - before.landmarks, axis=1)
    assert apart.max() < 0.1 * (before.box[3] - before.box[1])


@every_detector
def test_a_face_that_fills_a_large_picture_is_found(name):
    close = astronaut()[30:230, 130:330]
    large = np.asarray(cv2.resize(close, (2400, 2400), interpolation=cv2.INTER_CUBIC), np.uint8)
    (face,) = sure(name, large)
    (reference,) = sure(name, astronaut())
    apart = np.linalg.norm(face.landmarks / 12 + [130, 30] - reference.landmarks, axis=1)
    assert apart.max() < 0.1 * (reference.box[3] - reference.box[1])


@every_detector
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 5000), (5000, 1), (31, 33)])
def test_tiny_pictures_and_thin_strips_have_no_face(name, shape):
    assert sure(name, picture(*shape)) == []


@every_detector
def test_threads_get_the_faces_of_their_own_picture(name):
    images = [astronaut()[:, : 300 + 20 * number] for number in range(6)]
    detector = opened(name)
    alone = [detector.detect([image])[0] for image in images]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda image: detector.detect([image])[0], images))
    for one, two in zip(alone, together, strict=True):
        assert len(one) == len(two)
        for first, second in zip(one, two, strict=True):
            assert np.allclose(first.landmarks, second.landmarks, atol=0.5)
