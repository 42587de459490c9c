"""Routes of the collections: each a separate gallery with its own threshold."""

from functools import partial

from fastapi import APIRouter, Response

from app.api.deps import ServicesDep
from app.api.once import OnceDep
from app.api.roles import GuardedRoute
from app.api.schemas import CollectionIn, CollectionList, CollectionOut, CollectionPatch
from app.gallery import UNCHANGED

router = APIRouter(prefix="/collections", tags=["collections"], route_class=GuardedRoute)


@router.post("", status_code=201, response_model=CollectionOut)
def create_collection(collection: CollectionIn, services: ServicesDep, once: OnceDep) -> Response:
    change = once.change(collection, collection=collection.name)

    def create() -> CollectionOut:
        created = services.gallery.create_collection(
            collection.name,
            threshold=collection.threshold,
            keep_crops=collection.keep_crops,
            description=collection.description,
            retention_days=collection.retention_days,
        )
        return CollectionOut.from_entity(created)

    return change.answered or change.make(create, 201)


@router.get("")
def list_collections(services: ServicesDep) -> CollectionList:
    collections = services.gallery.collections()
    return CollectionList(items=[CollectionOut.from_entity(each) for each in collections])


@router.get("/{collection}")
def get_collection(collection: str, services: ServicesDep) -> CollectionOut:
    return CollectionOut.from_entity(services.gallery.collection(collection))


@router.patch("/{collection}", response_model=CollectionOut)
def update_collection(
    collection: str, patch: CollectionPatch, services: ServicesDep, once: OnceDep
) -> Response:
    """What is not given stays; null goes back to the model card's threshold, the setting's days."""
    change, given = once.change(patch, collection=collection), patch.model_fields_set

    def update() -> CollectionOut:
        changed = services.gallery.update_collection(
            collection,
            threshold=patch.threshold if "threshold" in given else UNCHANGED,
            keep_crops=UNCHANGED if patch.keep_crops is None else patch.keep_crops,
            description=UNCHANGED if patch.description is None else patch.description,
            retention_days=patch.retention_days if "retention_days" in given else UNCHANGED,
        )
        return CollectionOut.from_entity(changed)

    return change.answered or change.make(update, 200)


@router.delete("/{collection}", status_code=204)
def delete_collection(collection: str, services: ServicesDep, once: OnceDep) -> Response:
    """With everybody in it."""
    change = once.change(collection=collection)
    delete = partial(services.gallery.delete_collection, collection)
    return change.answered or change.make(delete, 204)
