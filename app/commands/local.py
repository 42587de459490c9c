"""The commands' work done here, in a data folder that no service is using."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.commands.target import SAME_PICTURE, Faces, Found, Picture, Refused
from app.entities import Face, Identification, NewFace, Person
from app.errors import BadRequest, ImageError, NotFound
from app.pipeline.decode import ImageLimits, Photo, decode_photo
from app.settings import Settings
from app.wiring import build_analyzer, build_gallery

PAGE = 500  # people read at once


class LocalTarget:
    place: str = "local"

    def __init__(self, settings: Settings) -> None:
        self.journal: Path | None = settings.data_dir / "enroll.journal"
        self._limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
        self._analyzer = build_analyzer(settings)
        try:
            self._gallery = build_gallery(settings, self._analyzer)
        except BaseException:
            self._analyzer.close()
            raise

    def enroll(self, person: str, picture: Picture, *, collection: str, faces: Faces) -> None:
        try:
            contract = self._gallery.contract_of(collection)
            face = self._analyzer.for_enrolment(
                self._decoded(picture), faces=faces, contract=contract
            )
            self._gallery.enrol(collection, person, [_new(face)], made_by=contract)
        except (ImageError, BadRequest) as exc:
            raise Refused(exc.code, str(exc)) from exc

    def holds(self, person: str, picture: Picture, *, collection: str) -> bool:
        contract = self._gallery.contract_of(collection)
        try:
            (found,) = self._analyzer.analyze(
                [self._decoded(picture)], faces="largest", contract=contract
            )
        except ImageError as exc:
            raise Refused(exc.code, str(exc)) from exc
        embeddings = [face.embedding for face in found if face.embedding is not None]
        return any(
            self._gallery.verify(collection, person, embedding, made_by=contract).score
            > SAME_PICTURE
            for embedding in embeddings
        )

    def face_count(self, person: str, *, collection: str) -> int:
        try:
            return self._gallery.person(collection, person).faces
        except (NotFound, BadRequest):
            # An id that cannot be one is refused with its pictures, where the report can say so.
            return 0

    def identify(
        self, picture: Picture, *, collection: str, top_k: int, threshold: float | None
    ) -> list[Found]:
        contract = self._gallery.contract_of(collection)
        try:
            (faces,) = self._analyzer.analyze([self._decoded(picture)], contract=contract)
        except ImageError as exc:
            raise Refused(exc.code, str(exc)) from exc
        embeddings = np.zeros((len(faces), contract.dim), np.float32)
        for row, face in zip(embeddings, faces, strict=True):
            row[:] = face.embedding
        answers = self._gallery.identify(
            collection, embeddings, top_k=top_k, threshold=threshold, made_by=contract
        )
        return [_found(face, answer) for face, answer in zip(faces, answers, strict=True)]

    def people(self, *, collection: str, search: str | None) -> Iterator[Person]:
        cursor: str | None = None
        while True:
            page = self._gallery.people(collection, cursor=cursor, limit=PAGE, search=search)
            yield from page.items
            if (cursor := page.next_cursor) is None:
                return

    def close(self) -> None:
        self._gallery.close()
        self._analyzer.close()

    def _decoded(self, picture: Picture) -> Photo:
        return decode_photo(picture.data, self._limits, self._analyzer.side)


def _new(face: Face) -> NewFace:
    assert face.embedding is not None  # for_enrolment gives one
    quality = face.quality.score if face.quality else None
    return NewFace(face.embedding, quality, face.crop)


def _found(face: Face, answer: Identification) -> Found:
    x1, y1, x2, y2 = (float(edge) for edge in face.box)
    return Found((x1, y1, x2, y2), face.score, answer)
