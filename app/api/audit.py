"""Routes of the audit log."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access_schemas import AuditLineOut, AuditPage, AuditVerdict
from app.api.deps import ServicesDep
from app.api.roles import GuardedRoute

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)
MAX_PAGE = 1000


@router.get("")
def list_audit(
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, description="the last `seq` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> AuditPage:
    """Who did what to whom, in the order of the log."""
    lines = services.gallery.audit.lines(after, limit)
    return AuditPage(items=[AuditLineOut.from_entity(line) for line in lines])


@router.get("/verify")
def verify_audit(
    services: ServicesDep,
    noted: Annotated[str | None, Query(description="a `head` that was told before")] = None,
) -> AuditVerdict:
    """Walks the whole chain: whether a line was changed, taken out or cut off."""
    verdict = services.gallery.audit.verify(noted)
    return AuditVerdict(ok=verdict.fault is None, head=verdict.head, fault=verdict.fault)
