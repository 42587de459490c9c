"""Routes of the callers' keys."""

from fastapi import APIRouter, Request

from app.actor import ANYBODY
from app.api.access_schemas import KeyIn, KeyList, KeyOut, NewKeyOut
from app.api.deps import ServicesDep
from app.api.roles import GuardedRoute
from app.errors import Conflict

router = APIRouter(prefix="/keys", tags=["keys"], route_class=GuardedRoute)


@router.post("", status_code=201)
def create_key(request: Request, key: KeyIn, services: ServicesDep) -> NewKeyOut:
    """The text of the key stands in this answer and nowhere else. From the first one on, every
    request needs a key."""
    # Else nobody could make another one through the service.
    if request.state.caller.actor == ANYBODY and key.role != "admin":
        raise Conflict("the first key must be an admin's, to make the others with")
    made, text = services.gallery.keys.create(key.name, key.role, key.rate)
    return NewKeyOut(**KeyOut.from_entity(made).model_dump(), key=text)


@router.get("")
def list_keys(services: ServicesDep) -> KeyList:
    """The revoked too, oldest first."""
    return KeyList(items=[KeyOut.from_entity(key) for key in services.gallery.keys.listed()])


@router.delete("/{id}", status_code=204)
def revoke_key(id: str, services: ServicesDep) -> None:
    """Holds at once; within two seconds at other replicas."""
    services.gallery.keys.revoke(id)
