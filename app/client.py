"""A typed client of the HTTP API; the command line uses it for a service elsewhere.

It retries nothing: an answer is returned as its schema, a fault raised as ClientError.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import IO, Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from app.api.access_schemas import (
    AuditLineOut,
    AuditPage,
    AuditVerdict,
    KeyList,
    KeyOut,
    NewKeyOut,
)
from app.api.schemas import (
    AlignedFace,
    CollectionList,
    CollectionOut,
    EmbedAnswer,
    EnrolAnswer,
    FaceOut,
    FsckAnswer,
    Health,
    IdentifyAnswer,
    ModelList,
    PeoplePage,
    PersonOut,
    PicturesAnswer,
    Problem,
    ReembedOut,
    Refusal,
    StoredFaceList,
    StoredFaceOut,
    VerifyAnswer,
)
from app.entities import DEFAULT_COLLECTION, Role

Picture = Path | str | bytes  # a file, or its content
Form = Mapping[str, str]
PAGE = 200  # people, or lines, that are asked for at once
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class ClientError(Exception):
    """What the service answered instead; `status` is 0 when it did not answer at all."""

    def __init__(
        self, code: str, detail: str, status: int, refused: Sequence[Refusal] = ()
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.refused = tuple(refused)


class FaceClient:
    """One connection pool; safe to share between threads; close it, or use it in a `with`."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 60.0) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # Pictures

    def detect(
        self,
        pictures: Sequence[Picture],
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
    ) -> PicturesAnswer[FaceOut]:
        options = _form(min_score=min_score, max_faces=max_faces)
        return self._pictures("/detect", PicturesAnswer[FaceOut], pictures, options)

    def align(self, pictures: Sequence[Picture]) -> PicturesAnswer[AlignedFace]:
        return self._pictures("/align", PicturesAnswer[AlignedFace], pictures, {})

    def embed(
        self,
        pictures: Sequence[Picture],
        *,
        faces: Literal["all", "largest"] = "all",
        aligned: bool = False,
        encoding: Literal["float", "base64"] = "float",
    ) -> EmbedAnswer:
        options = _form(faces=faces, aligned=aligned, encoding=encoding)
        return self._pictures("/embed", EmbedAnswer, pictures, options)

    def identify(
        self,
        pictures: Sequence[Picture],
        *,
        collection: str = DEFAULT_COLLECTION,
        top_k: int | None = None,
        threshold: float | None = None,
        faces: Literal["all", "largest"] = "all",
    ) -> IdentifyAnswer:
        options = _form(collection=collection, top_k=top_k, threshold=threshold, faces=faces)
        return self._pictures("/identify", IdentifyAnswer, pictures, options)

    def identify_embeddings(
        self,
        embeddings: Sequence[Sequence[float]],
        *,
        collection: str = DEFAULT_COLLECTION,
        top_k: int | None = None,
        threshold: float | None = None,
    ) -> IdentifyAnswer:
        body = {
            "embeddings": [list(embedding) for embedding in embeddings],
            **_form(collection=collection, top_k=top_k, threshold=threshold),
        }
        return _parse(IdentifyAnswer, self._send("POST", "/identify", json=body))

    def verify(
        self, first: Picture, second: Picture, *, threshold: float | None = None
    ) -> VerifyAnswer:
        options = _form(threshold=threshold)
        return self._pictures("/verify", VerifyAnswer, [first, second], options)

    def verify_person(
        self,
        picture: Picture,
        person: str,
        *,
        collection: str = DEFAULT_COLLECTION,
        threshold: float | None = None,
    ) -> VerifyAnswer:
        options = _form(person=person, collection=collection, threshold=threshold)
        return self._pictures("/verify", VerifyAnswer, [picture], options)

    def enroll(
        self,
        person: str,
        pictures: Sequence[Picture],
        *,
        name: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        faces: Literal["one", "largest"] = "one",
    ) -> EnrolAnswer:
        """Raises ClientError with `refused` when no picture was accepted."""
        options = _form(person=person, name=name, collection=collection, faces=faces)
        return self._pictures("/enroll", EnrolAnswer, pictures, options)

    # Collections

    def collections(self) -> list[CollectionOut]:
        return _parse(CollectionList, self._send("GET", "/collections")).items

    def collection(self, name: str) -> CollectionOut:
        return _parse(CollectionOut, self._send("GET", _path("collections", name)))

    def create_collection(
        self,
        name: str,
        *,
        threshold: float | None = None,
        keep_crops: bool = False,
        description: str = "",
    ) -> CollectionOut:
        body = {
            "name": name,
            "threshold": threshold,
            "keep_crops": keep_crops,
            "description": description,
        }
        return _parse(CollectionOut, self._send("POST", "/collections", json=body))

    def update_collection(
        self,
        name: str,
        *,
        threshold: float | EllipsisType | None = ...,
        keep_crops: bool | EllipsisType = ...,
        description: str | EllipsisType = ...,
    ) -> CollectionOut:
        """What is not given stays; a threshold of None goes back to the model card's."""
        given = {"threshold": threshold, "keep_crops": keep_crops, "description": description}
        body = {key: value for key, value in given.items() if value is not ...}
        return _parse(CollectionOut, self._send("PATCH", _path("collections", name), json=body))

    def delete_collection(self, name: str) -> None:
        self._send("DELETE", _path("collections", name))

    def reembedding(self, collection: str) -> ReembedOut:
        return _parse(ReembedOut, self._send("GET", _path("collections", collection, "reembed")))

    def reembed(
        self, collection: str, *, back: bool = False, threshold: float | None = None
    ) -> ReembedOut:
        """Starts it, or lets it go on; `reembedding` says how far it is."""
        body, path = {"back": back, "threshold": threshold}, _path("collections", collection)
        return _parse(ReembedOut, self._send("POST", f"{path}/reembed", json=body))

    def forget_reembedding(self, collection: str) -> ReembedOut:
        return _parse(ReembedOut, self._send("DELETE", _path("collections", collection, "reembed")))

    # People and their faces

    def people(
        self, collection: str = DEFAULT_COLLECTION, *, search: str | None = None
    ) -> Iterator[PersonOut]:
        """Every person, a page at a time."""
        path, cursor = _path("collections", collection, "people"), None
        while True:
            asked = _form(search=search, cursor=cursor, limit=PAGE)
            page = _parse(PeoplePage, self._send("GET", path, params=asked))
            yield from page.items
            if (cursor := page.next_cursor) is None:
                return

    def create_person(
        self, person: str, *, name: str | None = None, collection: str = DEFAULT_COLLECTION
    ) -> PersonOut:
        """A person without a face yet."""
        body = _form(id=person, name=name)
        answer = self._send("POST", _path("collections", collection, "people"), json=body)
        return _parse(EnrolAnswer, answer).person

    def person(self, person: str, collection: str = DEFAULT_COLLECTION) -> PersonOut:
        return _parse(PersonOut, self._send("GET", _person(collection, person)))

    def rename_person(
        self, person: str, name: str, collection: str = DEFAULT_COLLECTION
    ) -> PersonOut:
        answer = self._send("PATCH", _person(collection, person), json={"name": name})
        return _parse(PersonOut, answer)

    def delete_person(self, person: str, collection: str = DEFAULT_COLLECTION) -> None:
        self._send("DELETE", _person(collection, person))

    def faces(self, person: str, collection: str = DEFAULT_COLLECTION) -> list[StoredFaceOut]:
        answer = self._send("GET", f"{_person(collection, person)}/faces")
        return _parse(StoredFaceList, answer).items

    def delete_face(self, person: str, face: int, collection: str = DEFAULT_COLLECTION) -> None:
        self._send("DELETE", f"{_person(collection, person)}/faces/{face}")

    def crop(self, person: str, face: int, collection: str = DEFAULT_COLLECTION) -> bytes:
        """The stored crop as PNG."""
        return self._send("GET", f"{_person(collection, person)}/faces/{face}/image").content

    # Keys and the audit log

    def create_key(self, name: str, role: Role, *, rate: str | None = None) -> NewKeyOut:
        body = {"name": name, "role": role, "rate": rate}
        return _parse(NewKeyOut, self._send("POST", "/keys", json=body))

    def keys(self) -> list[KeyOut]:
        return _parse(KeyList, self._send("GET", "/keys")).items

    def revoke_key(self, id: str) -> None:
        self._send("DELETE", _path("keys", id))

    def audit(self, after: int = 0) -> Iterator[AuditLineOut]:
        """The lines behind number `after`, a page at a time."""
        while True:
            page = self._send("GET", "/audit", params=_form(after=after, limit=PAGE))
            lines = _parse(AuditPage, page).items
            yield from lines
            if len(lines) < PAGE:
                return
            after = lines[-1].seq

    def verify_audit(self, noted: str | None = None) -> AuditVerdict:
        params = _form(noted=noted)
        return _parse(AuditVerdict, self._send("GET", "/audit/verify", params=params, timeout=None))

    # The service

    def health(self) -> Health:
        """Raises ClientError `unavailable` while the service is not ready."""
        return _parse(Health, self._send("GET", "/health/ready"))

    def models(self) -> ModelList:
        return _parse(ModelList, self._send("GET", "/models"))

    def fsck(self, *, repair: bool = False) -> FsckAnswer:
        params = _form(repair=repair)
        return _parse(FsckAnswer, self._send("POST", "/fsck", params=params, timeout=None))

    def backup(self, file: IO[bytes]) -> None:
        """Write a backup of the whole service to `file`. What is there may be cut when this raises.

        However long it takes: a large gallery is copied before the first byte is sent.
        """
        try:
            with self._http.stream("POST", "/backup", timeout=None) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _fault(answer)
                for piece in answer.iter_bytes():
                    file.write(piece)
        except httpx.HTTPError as exc:
            raise ClientError("unreachable", f"{self.url} does not answer: {exc}", 0) from exc

    # How it is sent

    def _pictures(
        self, path: str, answer: type[AnswerT], pictures: Sequence[Picture], options: Form
    ) -> AnswerT:
        files = [("image", _file(picture)) for picture in pictures]
        return _parse(answer, self._send("POST", path, data=options, files=files))

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Form | None = None,
        data: Form | None = None,
        files: list[tuple[str, tuple[str, bytes]]] | None = None,
        timeout: float | EllipsisType | None = ...,
    ) -> httpx.Response:
        patience = httpx.USE_CLIENT_DEFAULT if timeout is ... else timeout
        try:
            answer = self._http.request(
                method, path, json=json, params=params, data=data, files=files, timeout=patience
            )
        except httpx.HTTPError as exc:
            raise ClientError("unreachable", f"{self.url} does not answer: {exc}", 0) from exc
        if not answer.is_success:
            raise _fault(answer)
        return answer


def _fault(answer: httpx.Response) -> ClientError:
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        return ClientError(
            "unknown", f"{answer.url} answers {answer.status_code}", answer.status_code
        )
    return ClientError(problem.code, problem.detail, problem.status, problem.refused or ())


def _parse(answer: type[AnswerT], response: httpx.Response) -> AnswerT:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as exc:
        raise ClientError(
            "unknown", f"{response.url} is not an answer of this service", response.status_code
        ) from exc


def _file(picture: Picture) -> tuple[str, bytes]:
    if isinstance(picture, bytes):
        return "image", picture
    path = Path(picture)
    return path.name, path.read_bytes()


def _form(**fields: Any) -> dict[str, str]:
    """The given fields as text, without those that are None."""
    return {key: _text(value) for key, value in fields.items() if value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _person(collection: str, person: str) -> str:
    return _path("collections", collection, "people", person)
