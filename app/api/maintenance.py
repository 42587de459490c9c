"""Routes for whoever runs the service."""

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from app.api.deps import ServicesDep

router = APIRouter(tags=["service"])
TAR = "application/x-tar"


# Not a GET, which any page in its reader's browser could send to a service on loopback.
@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={200: {"content": {TAR: {"schema": {"type": "string"}}}}},
)
def backup(services: ServicesDep) -> Response:
    """Everything that is stored, as one tar file, taken at one moment while the service goes on."""
    taken = services.gallery.backup()
    headers = {
        "content-length": str(taken.size),
        "content-disposition": f'attachment; filename="{taken.filename}"',
        "cache-control": "no-store",
    }
    return StreamingResponse(taken.stream(), media_type=TAR, headers=headers)
