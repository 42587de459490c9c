"""The commands' work done by a running service, over HTTP."""

from collections.abc import Iterator
from pathlib import Path

from app.api.schemas import IdentifiedFace
from app.client import ClientError, FaceClient
from app.commands.target import SAME_PICTURE, Faces, Found, Picture, Refused
from app.entities import Identification, Match, Person
from app.errors import BadRequest, Busy, FaceError, Unavailable

# Codes that speak of one picture or name; of the others, the next picture would hear the same.
PICTURE_CODES = {
    *("bad_request", "image_too_large", "unsupported_image", "corrupt_image"),
    *("no_face", "several_faces", "low_quality"),
}


class RemoteTarget:
    def __init__(self, url: str, key: str | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadRequest(f"{url!r} is not the address of a service, e.g. http://127.0.0.1:8000")
        self.place = url.rstrip("/")
        self.journal: Path | None = None
        self._client = FaceClient(url, key)

    def enroll(self, person: str, picture: Picture, *, collection: str, faces: Faces) -> None:
        try:
            self._client.enroll(person, [picture.data], collection=collection, faces=faces)
        except ClientError as exc:
            raise _fault(exc) from exc

    def holds(self, person: str, picture: Picture, *, collection: str) -> bool:
        try:
            answer = self._client.verify_person(picture.data, person, collection=collection)
        except ClientError as exc:
            raise _fault(exc) from exc
        return answer.score > SAME_PICTURE

    def face_count(self, person: str, *, collection: str) -> int:
        try:
            return self._client.person(person, collection).faces
        except ClientError as exc:
            # An id that cannot be one is refused with its pictures, where the report can say so.
            if exc.code in ("not_found", "bad_request"):
                return 0
            raise _fault(exc) from exc

    def identify(
        self, picture: Picture, *, collection: str, top_k: int, threshold: float | None
    ) -> list[Found]:
        try:
            answer = self._client.identify(
                [picture.data], collection=collection, top_k=top_k, threshold=threshold
            )
        except ClientError as exc:
            raise _fault(exc) from exc
        (result,) = answer.results
        if result.error:
            raise Refused(result.error.code, result.error.detail)
        return [_found(face) for face in result.faces or ()]

    def people(self, *, collection: str, search: str | None) -> Iterator[Person]:
        try:
            for person in self._client.people(collection, search=search):
                yield Person(**person.model_dump())
        except ClientError as exc:
            raise Unavailable(exc.detail) from exc

    def close(self) -> None:
        self._client.close()


def _fault(exc: ClientError) -> Refused | FaceError:
    if exc.refused:
        return Refused(exc.refused[0].code, exc.refused[0].detail)
    if exc.code in ("busy", "rate_limited"):
        return Busy(exc.detail)
    if exc.code in PICTURE_CODES:
        return Refused(exc.code, exc.detail)
    return Unavailable(exc.detail)


def _found(face: IdentifiedFace) -> Found:
    matches = tuple(Match(m.person, m.name, m.face, m.score) for m in face.matches)
    return Found(
        box=face.box or (0.0, 0.0, 0.0, 0.0),
        score=face.score or 0.0,
        answer=Identification(face.decision, face.threshold, matches, face.margin),
    )
