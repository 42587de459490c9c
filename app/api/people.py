"""Routes of the people of a collection and of their faces."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.api.deps import Services, ServicesDep, asks
from app.api.embeddings import require_of
from app.api.enrolment import Enrolment, accept, accept_embeddings, answer
from app.api.once import Once, OnceDep
from app.api.openapi import TINY_PNG, body
from app.api.options import FacesOptions, PersonOptions
from app.api.pictures import require
from app.api.requests import Ask
from app.api.roles import GuardedRoute
from app.api.schemas import (
    EnrolAnswer,
    PeoplePage,
    PersonOut,
    PersonPatch,
    StoredFaceList,
    StoredFaceOut,
)
from app.entities import Contract
from app.errors import BadRequest
from app.gallery import UNCHANGED

router = APIRouter(
    prefix="/collections/{collection}/people", tags=["people"], route_class=GuardedRoute
)
MAX_PAGE = 500
FaceId = Annotated[int, Path(ge=1, le=2**63 - 1)]  # as far as the store's ids go


@router.post(
    "",
    status_code=201,
    response_model=EnrolAnswer,
    openapi_extra=body(PersonOptions, {"id": "ada", "name": "Ada", "images": [TINY_PNG]}),
)
async def create_person(
    request: Request,
    collection: str,
    services: ServicesDep,
    once: OnceDep,
    ask: Annotated[Ask[PersonOptions], Depends(asks(PersonOptions))],
) -> Response:
    """A new person, with pictures or, for now, without; 409 when the id exists."""
    return await services.door.work(request, _create_person, services, once, collection, ask)


@router.get("")
def list_people(
    collection: str,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    search: Annotated[str | None, Query(description="part of an id or a name")] = None,
) -> PeoplePage:
    page = services.gallery.people(collection, cursor=cursor, limit=limit, search=search)
    people = [PersonOut.from_entity(person) for person in page.items]
    return PeoplePage(items=people, next_cursor=page.next_cursor)


@router.get("/{person}")
def get_person(collection: str, person: str, services: ServicesDep) -> PersonOut:
    return PersonOut.from_entity(services.gallery.person(collection, person))


@router.patch("/{person}", response_model=PersonOut)
def update_person(
    collection: str, person: str, patch: PersonPatch, services: ServicesDep, once: OnceDep
) -> Response:
    """What is not given stays; `metadata` is replaced as a whole."""
    change = once.change(patch, collection=collection, person=person)

    def update() -> PersonOut:
        changed = services.gallery.update_person(
            collection,
            person,
            name=UNCHANGED if patch.name is None else patch.name,
            metadata=UNCHANGED if patch.metadata is None else patch.metadata,
        )
        return PersonOut.from_entity(changed)

    return change.answered or change.make(update, 200)


@router.delete("/{person}", status_code=204)
def delete_person(collection: str, person: str, services: ServicesDep, once: OnceDep) -> Response:
    """With every face, vector and crop."""
    change = once.change(collection=collection, person=person)
    delete = partial(services.gallery.delete_person, collection, person)
    return change.answered or change.make(delete, 204)


@router.post(
    "/{person}/faces",
    status_code=201,
    response_model=EnrolAnswer,
    openapi_extra=body(FacesOptions, {"images": [TINY_PNG], "faces": "largest"}),
)
async def add_faces(
    request: Request,
    collection: str,
    person: str,
    services: ServicesDep,
    once: OnceDep,
    ask: Annotated[Ask[FacesOptions], Depends(asks(FacesOptions))],
) -> Response:
    """More faces of a person, from pictures or embeddings; 404 when there is no such person."""
    return await services.door.work(request, _add_faces, services, once, collection, person, ask)


@router.get("/{person}/faces")
def list_faces(collection: str, person: str, services: ServicesDep) -> StoredFaceList:
    faces = services.gallery.faces(collection, person)
    return StoredFaceList(items=[StoredFaceOut.from_entity(face) for face in faces])


@router.delete("/{person}/faces/{face}", status_code=204)
def delete_face(
    collection: str, person: str, face: FaceId, services: ServicesDep, once: OnceDep
) -> Response:
    change = once.change(collection=collection, person=person)
    delete = partial(services.gallery.delete_face, collection, person, face)
    return change.answered or change.make(delete, 204)


@router.get(
    "/{person}/faces/{face}/image",
    response_class=Response,
    responses={200: {"content": {"image/png": {"schema": {"type": "string"}}}}},
)
def get_crop(collection: str, person: str, face: FaceId, services: ServicesDep) -> Response:
    """The stored crop, a PNG; 404 unless the collection kept crops when it was enrolled."""
    crop = services.gallery.crop(collection, person, face)
    return Response(crop, media_type="image/png", headers={"cache-control": "no-store"})


def _create_person(
    services: Services, once: Once, collection: str, ask: Ask[PersonOptions]
) -> Response:
    options = ask.options
    change = once.change(options, ask.pictures, collection=collection, person=options.id)
    if change.answered:
        return change.answered

    def by_model(contract: Contract) -> Response:
        enrolment = accept(services, ask.pictures, options.faces, contract)

        def create() -> EnrolAnswer:
            person, stored = services.gallery.create_person(
                collection,
                options.id,
                options.name,
                enrolment.faces,
                metadata=options.metadata,
                made_by=contract,
            )
            return answer(person, stored, enrolment, created=True)

        return change.make(create, 201)

    return services.gallery.by_model(collection, by_model)


def _add_faces(
    services: Services, once: Once, collection: str, person: str, ask: Ask[FacesOptions]
) -> Response:
    change = once.change(ask.options, ask.pictures, collection=collection, person=person)
    if change.answered:
        return change.answered
    services.gallery.person(collection, person)  # before the heavy work

    def by_model(contract: Contract) -> Response:
        enrolment = _accepted(services, ask, contract)

        def add() -> EnrolAnswer:
            changed, stored = services.gallery.add_faces(
                collection, person, enrolment.faces, contract
            )
            return answer(changed, stored, enrolment, created=False)

        return change.make(add, 201)

    return services.gallery.by_model(collection, by_model)


def _accepted(services: Services, ask: Ask[FacesOptions], contract: Contract) -> Enrolment:
    if ask.options.embeddings is None:
        require(ask.pictures)
        return accept(services, ask.pictures, ask.options.faces, contract)
    if ask.pictures:
        raise BadRequest("embeddings: given beside pictures; send one or the other")
    require_of(contract, ask.options.contract, services.analyzer.contract)
    return accept_embeddings(ask.options.embeddings, contract)
