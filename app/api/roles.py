"""What each operation asks of a key: one table, and the route that holds to it."""

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.entities import Role

# By the operation's name. One that is missing here is for an admin alone.
NEEDS: dict[str, Role] = {
    **dict.fromkeys(
        (
            *("docs", "live", "ready", "models", "prometheus"),
            *("detect", "align", "embed", "verify", "identify"),
            *("list_collections", "get_collection"),
            *("list_people", "get_person", "list_faces", "get_crop"),
        ),
        "read",
    ),
    **dict.fromkeys(
        ("enroll", "create_person", "update_person", "delete_person", "add_faces", "delete_face"),
        "write",
    ),
}


def needed(operation: str) -> Role:
    return NEEDS.get(operation, "admin")


class GuardedRoute(APIRoute):
    """Asks for the role before anything of the body is read, which a dependency could not."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        role = needed(self.name)
        if not scope["state"]["caller"].may(role):
            raise HTTPException(403, f"the role of this key does not suffice; {role} is needed")
        await super().handle(scope, receive, send)
