"""Routes for whoever runs the service."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.api.deps import ServicesDep
from app.api.roles import GuardedRoute
from app.api.schemas import FindingOut, FsckAnswer
from app.gallery import Act

router = APIRouter(tags=["service"], route_class=GuardedRoute)
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
    services.gallery.auditor.write(Act("backup"))
    headers = {
        "content-length": str(taken.size),
        "content-disposition": f'attachment; filename="{taken.filename}"',
        "cache-control": "no-store",
    }
    return StreamingResponse(taken.stream(), media_type=TAR, headers=headers)


@router.post("/fsck")
def fsck(
    services: ServicesDep,
    repair: Annotated[bool, Query(description="mend journal and index from the store")] = False,
) -> FsckAnswer:
    """Whether store, vectors, crops, journal and index are whole and agree.

    Reads everything; changes wait until it is done, searches do not.
    """
    findings = services.gallery.inspect(repair=repair)
    shown = [
        FindingOut(part=f.part, ok=f.ok, faults=f.faults, mended=f.mended, said=f.said)
        for f in findings
    ]
    return FsckAnswer(ok=all(f.ok for f in findings), findings=shown)
