"""Pictures or embeddings on their way in: what is accepted, and why the rest is not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.api.deps import Services
from app.api.embeddings import vectors
from app.api.handlers import refusal
from app.api.pictures import decode, located
from app.api.requests import Picture
from app.api.schemas import AcceptedFace, EnrolAnswer, PersonOut, Refusal, StoredFaceOut
from app.entities import Contract, Face, NewFace, Person, StoredFace
from app.errors import ImageError, NothingAccepted


@dataclass
class Enrolment:
    """`faces` go into the store; `sources` says which picture (index, filename) each came from."""

    faces: list[NewFace] = field(default_factory=list)
    sources: list[tuple[int, str | None]] = field(default_factory=list)
    refusals: list[ImageError] = field(default_factory=list)


def accept(
    services: Services,
    pictures: Sequence[Picture],
    faces: Literal["one", "largest"],
    contract: Contract,
) -> Enrolment:
    """Raises NothingAccepted when there are pictures and all were refused."""
    enrolment = Enrolment()
    for picture in pictures:
        try:
            face = _face(services, picture, faces, contract)
        except ImageError as error:
            enrolment.refusals.append(error)
            continue
        enrolment.faces.append(_new(face))
        enrolment.sources.append((picture.index, picture.filename))
    if enrolment.refusals and not enrolment.faces:
        raise NothingAccepted(enrolment.refusals)
    return enrolment


def accept_embeddings(given: Sequence[Sequence[float] | str], contract: Contract) -> Enrolment:
    probes = vectors(given, contract.dim)
    return Enrolment(
        faces=[NewFace(embedding) for embedding in probes],
        sources=[(index, None) for index in range(len(probes))],
    )


def answer(
    person: Person, stored: Sequence[StoredFace], enrolment: Enrolment, *, created: bool
) -> EnrolAnswer:
    accepted = [
        AcceptedFace(index=index, filename=filename, face=StoredFaceOut.from_entity(face))
        for (index, filename), face in zip(enrolment.sources, stored, strict=True)
    ]
    return EnrolAnswer(
        person=PersonOut.from_entity(person),
        created=created,
        accepted=accepted,
        refused=_refused(enrolment.refusals),
    )


def _face(
    services: Services, picture: Picture, faces: Literal["one", "largest"], contract: Contract
) -> Face:
    photo = decode(services, picture)
    try:
        return services.analyzer.for_enrolment(photo, faces=faces, contract=contract)
    except ImageError as error:
        raise located(error, picture) from None


def _new(face: Face) -> NewFace:
    assert face.embedding is not None
    quality = face.quality.score if face.quality is not None else None
    return NewFace(face.embedding, quality, face.crop)


def _refused(errors: Sequence[ImageError]) -> list[Refusal]:
    return [refusal(error, error.index or 0, error.filename) for error in errors]
