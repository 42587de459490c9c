"""The whole row on photographs of people: bytes, faces, crops, embeddings."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image as Pil

from app.detectors.centerface import CenterFaceDetector
from app.entities import Floats, Image
from app.pipeline.analyze import Analyzer
from app.pipeline.decode import ImageLimits, decode_image
from app.pipeline.embed import Embedder
from app.runtime.ort import OrtRuntime
from models import catalog, weights
from models.catalog import ModelCard
from models.weights import sha256_of
from tests.doubles import embedder
from tests.photographs import astronaut, group, shared_model

MOBILEFACENET = ModelCard(
    name="mobilefacenet",
    task="embedder",
    file="mobilefacenet.onnx",
    sha256="",
    licence="not stated, for tests only",
    origin="KennethWang1221/Face-Detection-and-Recognition-System",
    input_size=112,
    colour="RGB",
    mean=127.5,
    std=127.5,
    dim=128,
    threshold=0.4,
)


@pytest.fixture(scope="module")
def analyzer():
    path = shared_model("mobilefacenet.onnx")
    runtime = OrtRuntime(path, threads=1)
    network = Embedder(runtime, MOBILEFACENET, sha256_of(path))
    analyzer = Analyzer(CenterFaceDetector(threads=1), network)
    yield analyzer
    analyzer.close()


@pytest.fixture(scope="module")
def own():
    """The service as it comes: our own weights."""
    card = catalog.card("scsc_faceresnet")
    path = weights.find(card)
    analyzer = Analyzer(
        CenterFaceDetector(threads=1), Embedder(OrtRuntime(path, threads=1), card, card.sha256)
    )
    yield analyzer
    analyzer.close()


def embedding(analyzer: Analyzer, image: Image) -> Floats:
    vector = analyzer.for_enrolment(image).embedding
    assert vector is not None
    return vector


def as_jpeg(image: Image, quality: int, orientation: int) -> bytes:
    exif = Pil.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Pil.fromarray(image).save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


@pytest.mark.shared
def test_one_person_stays_close_through_sizes_light_turns_and_compression(analyzer):
    image = astronaut()
    reference = embedding(analyzer, image)
    lying = as_jpeg(np.ascontiguousarray(np.rot90(image)), 60, 6)
    altered = [
        decode_image(lying, ImageLimits()),
        cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
        cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        cv2.convertScaleAbs(image, alpha=0.6),
        np.ascontiguousarray(image[:, ::-1]),
    ]
    for other in altered:
        assert reference @ embedding(analyzer, np.asarray(other, np.uint8)) > 0.75


@pytest.mark.parametrize(("light", "noise"), [(0.12, 6), (0.06, 0), (1, 30)])
def test_a_person_is_known_in_the_dark_and_through_noise(own, monkeypatch, light, noise):
    image = astronaut()
    grain = np.random.default_rng(0).normal(0, noise, image.shape)
    poor = np.clip(image * light + grain, 0, 255).round().astype(np.uint8)

    def searched(picture: Image) -> Floats:
        (face,) = own.analyze([picture])[0]
        assert face.embedding is not None
        return face.embedding

    reference, enhanced = searched(image), searched(poor)
    monkeypatch.setattr("app.pipeline.embed.enhanced", lambda crops: crops)
    assert np.array_equal(searched(image), reference), "a good picture is as it was"
    assert reference @ enhanced > reference @ searched(poor) + 0.05
    assert reference @ enhanced > own.card.threshold + 0.2


@pytest.mark.shared
def test_different_people_are_far_apart(analyzer):
    faces = [*analyzer.analyze([group()])[0], *analyzer.analyze([astronaut()])[0]]
    vectors = np.stack([face.embedding for face in faces])
    assert len(vectors) == 7
    between = (vectors @ vectors.T)[np.triu_indices(7, 1)]
    assert between.max() < MOBILEFACENET.threshold


@pytest.mark.shared
def test_numbers_of_a_fixed_picture_stay_what_they_were(analyzer):
    # A swapped colour order or another template moves these by tenths.
    expected = [-0.0599, 0.1969, -0.1125, 0.1108, 0.0755, 0.038]
    assert np.allclose(embedding(analyzer, astronaut())[:6], expected, atol=0.01)


def test_faces_of_a_group_are_good_enough_to_enrol():
    analyzer = Analyzer(CenterFaceDetector(threads=1), embedder())
    (faces,) = analyzer.align([group()])
    assert len(faces) == 6
    for face in faces:
        assert face.quality is not None
        assert face.quality.size > 80
        assert face.quality.sharpness > 50
        assert 80 < face.quality.brightness < 200
    # One of the six looks far to the side, and no other does.
    assert sorted(face.quality.frontal < 0.5 for face in faces if face.quality) == [False] * 5 + [
        True
    ]
    analyzer.close()
