"""The order of the work, once: picture -> faces -> crops -> quality -> embeddings.

Of a photo decoded at a fraction of its size, boxes and landmarks are mapped to the whole before
anybody sees them, and a face is cut from the whole where the fraction has too few pixels of it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import BoundedSemaphore
from typing import Literal

import cv2
import numpy as np

from app.batching import MicroBatcher
from app.detectors.base import Detector
from app.entities import Contract, Face, Floats, Image
from app.errors import NoFace, SeveralFaces
from app.metrics import BATCH_SECONDS, stage
from app.pipeline.align import CROP_SIZE, TEMPLATE, align_face, enlargement
from app.pipeline.decode import Photo
from app.pipeline.embed import Embedder
from app.pipeline.quality import QualityRules, measure
from models.catalog import ModelCard

Source = Image | Photo


class Analyzer:
    """Thread-safe. Crops of all callers meet in one micro-batcher, each submitted alone."""

    card: ModelCard
    contract: Contract

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        *,
        rules: QualityRules | None = None,
        min_score: float = 0.5,
        max_batch: int = 32,
        max_queue: int = 256,
        max_detections: int = 2,
        observe: Callable[[int, int], None] | None = None,
        previous: Embedder | None = None,
    ) -> None:
        """`observe(batch_size, crops_left_waiting)` is told of each batch, for the metrics.

        `previous` embeds for collections that have not moved to `embedder` yet.

        `max_detections` pictures are in the detector at once and the rest wait: each holds some
        150 MB there, and two already keep all cores busy.
        """
        self.card = embedder.card
        self.contract = embedder.contract
        self._detector = detector
        self._detecting = BoundedSemaphore(max_detections)
        self.previous = previous
        self._embedders = [each for each in (embedder, previous) if each is not None]
        self._rules = rules or QualityRules()
        self._min_score = min_score
        # One caller never has more crops waiting than a batch takes nor than the queue holds.
        self._at_once = min(max_batch, max_queue)
        self._batchers: dict[str, MicroBatcher[Image, Floats]] = {
            each.contract.id: MicroBatcher(
                partial(_run_batch, each),
                max_batch=max_batch,
                max_queue=max_queue,
                name="embedder",
                observe=observe,
            )
            for each in self._embedders
        }

    @property
    def side(self) -> int:
        """The longer side that a picture needs for its faces to be found."""
        return self._detector.side

    @property
    def queue_depth(self) -> int:
        """Crops that wait for a network now."""
        return sum(batcher.depth for batcher in self._batchers.values())

    def detect(
        self,
        images: Sequence[Source],
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
    ) -> list[list[Face]]:
        """Per picture its faces with quality, best score first."""
        found = self.align(images, min_score=min_score, max_faces=max_faces)
        return [[replace(face, crop=None) for face in faces] for faces in found]

    def align(
        self,
        images: Sequence[Source],
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
    ) -> list[list[Face]]:
        """Likewise, with the crop (112, 112, 3) too."""
        photos = [_photo(image) for image in images]
        found = [faces[:max_faces] for faces in self._found(photos, min_score)]
        return _measured(photos, found)

    def analyze(
        self,
        images: Sequence[Source],
        *,
        faces: Literal["all", "largest"] = "all",
        aligned: bool = False,
        contract: Contract | None = None,
    ) -> list[list[Face]]:
        """Likewise, with the embedding too. `aligned`: each picture is a crop already. `contract`
        is of the model to embed with, here and below; else the main one's."""
        photos = [_photo(image) for image in images]
        if aligned:
            return self._embedded([[_as_crop(photo)] for photo in photos], contract)
        found = self._found(photos, None)
        if faces == "largest":
            found = [[_largest(group)] if group else [] for group in found]
        return self._embedded(_measured(photos, found), contract)

    def for_enrolment(
        self,
        image: Source,
        *,
        faces: Literal["one", "largest"] = "one",
        aligned: bool = False,
        contract: Contract | None = None,
    ) -> Face:
        """The one face to enrol, embedded. Raises NoFace, SeveralFaces or LowQuality."""
        photo = _photo(image)
        if aligned:
            face = _as_crop(photo)
        else:
            (found,) = self._found([photo], None)
            if not found:
                raise NoFace("no face was found in the picture")
            if faces == "one" and len(found) > 1:
                raise SeveralFaces(f"the picture shows {len(found)} faces, one is wanted")
            ((face,),) = _measured([photo], [[_largest(found)]])
        self._rules.check(face)
        return self._embedded([[face]], contract)[0][0]

    def embed(self, crops: Sequence[Image], contract: Contract) -> Floats:
        """Crops (112, 112, 3) each -> (N, D)."""
        return np.stack(self._vectors(crops, contract))

    def close(self) -> None:
        """Finishes what waits, then closes the networks."""
        for batcher in self._batchers.values():
            batcher.close()
        for embedder in self._embedders:
            embedder.close()
        self._detector.close()

    def _found(self, photos: Sequence[Photo], min_score: float | None) -> list[list[Face]]:
        least = self._min_score if min_score is None else min_score
        return [[face for face in self._faces_of(photo) if face.score >= least] for photo in photos]

    def _faces_of(self, photo: Photo) -> list[Face]:
        """One picture at a time, so that a large request lets the others in between."""
        with stage("detect"), self._detecting:
            (faces,) = self._detector.detect([photo.image])
        return faces if photo.factor == 1 else [_mapped(face, photo) for face in faces]

    def _embedded(self, groups: list[list[Face]], contract: Contract | None) -> list[list[Face]]:
        crops = [face.crop for group in groups for face in group]
        vectors = iter(self._vectors(crops, contract or self.contract))
        return [[replace(face, embedding=next(vectors)) for face in group] for group in groups]

    def _vectors(self, crops: Sequence[Image | None], contract: Contract) -> list[Floats]:
        """Crops -> embeddings (D,) each. Many go in portions, so that others get their turn."""
        ready = [crop for crop in crops if crop is not None]
        vectors: list[Floats] = []
        for start in range(0, len(ready), self._at_once):
            portion = ready[start : start + self._at_once]
            with stage("embed"):
                vectors += _results(self._batchers[contract.id].submit_all(portion))
        return vectors


def _run_batch(embedder: Embedder, crops: list[Image]) -> list[Floats]:
    with BATCH_SECONDS.time():
        return list(embedder.embed(np.stack(crops)))


def _results(futures: Sequence[Future[Floats]]) -> list[Floats]:
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:  # of a caller who leaves early, the rest need not run
            future.cancel()


def _photo(source: Source) -> Photo:
    if isinstance(source, Photo):
        return source
    height, width = source.shape[:2]
    return Photo(source, width, height, 1, lambda: source)


def _mapped(face: Face, photo: Photo) -> Face:
    """From pixels of `photo.image` to those of the whole, the box clipped to it."""
    edges = np.array([photo.width, photo.height] * 2, np.float32)
    return replace(
        face,
        box=np.minimum(face.box * photo.factor, edges),
        landmarks=face.landmarks * photo.factor,
    )


def _measured(photos: Sequence[Photo], groups: Sequence[Sequence[Face]]) -> list[list[Face]]:
    """The faces of each picture, with crop and quality."""
    return [_cut(photo, group) for photo, group in zip(photos, groups, strict=True)]


def _cut(photo: Photo, faces: Sequence[Face]) -> list[Face]:
    """From the whole where the photo has less than a pixel for each of some face's crop."""
    image, factor = photo.image, photo.factor
    if factor > 1 and any(enlargement(face.landmarks) * factor > 1 for face in faces):
        with stage("decode"):
            image, factor = photo.whole(), 1
    with stage("align"):
        return [_with_crop(image, face, factor) for face in faces]


def _with_crop(image: Image, face: Face, factor: int) -> Face:
    """A pixel of `image` stands for `factor` x `factor` of the picture that the face is in."""
    landmarks = face.landmarks
    if factor > 1:  # whole numbers are the centres of pixels
        landmarks = ((landmarks + 0.5) / factor - 0.5).astype(np.float32)
    crop = align_face(image, landmarks)
    return replace(face, crop=crop, quality=measure(face.box, face.landmarks, crop))


def _largest(faces: Sequence[Face]) -> Face:
    return max(faces, key=lambda face: float(np.prod(face.box[2:] - face.box[:2])))


def _as_crop(photo: Photo) -> Face:
    """A picture that is an aligned crop already, taken as one sure face."""
    image = photo.image if min(photo.image.shape[:2]) >= CROP_SIZE else photo.whole()
    crop = image
    if image.shape[:2] != (CROP_SIZE, CROP_SIZE):
        resized = cv2.resize(image, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
        crop = np.asarray(resized, np.uint8)
    box = np.array([0, 0, photo.width, photo.height], np.float32)
    landmarks = (TEMPLATE * (box[2:] / CROP_SIZE)).astype(np.float32)
    return Face(box, landmarks, 1.0, crop=crop, quality=measure(box, landmarks, crop))
