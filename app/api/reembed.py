"""Routes that move a collection to another model while it serves."""

from fastapi import APIRouter

from app.api.deps import ServicesDep
from app.api.roles import GuardedRoute
from app.api.schemas import ContractOut, ReembedIn, ReembedOut
from app.entities import Contract
from app.gallery import Progress

router = APIRouter(
    prefix="/collections/{collection}/reembed", tags=["collections"], route_class=GuardedRoute
)


@router.post("", status_code=202)
def start_reembed(collection: str, asked: ReembedIn, services: ServicesDep) -> ReembedOut:
    """To FACE_MODEL, in the background; or goes on with it, after whatever ended it."""
    services.gallery.reembed.start(
        collection, services.analyzer.embed, back=asked.back, threshold=asked.threshold
    )
    return shown(services.gallery.reembed.progress(collection))


@router.get("")
def get_reembed(collection: str, services: ServicesDep) -> ReembedOut:
    """How far it is."""
    return shown(services.gallery.reembed.progress(collection))


@router.delete("")
def forget_reembed(collection: str, services: ServicesDep) -> ReembedOut:
    """Stops it, and deletes the vectors of the other model, be it the next or the one before."""
    services.gallery.reembed.forget(collection)
    return shown(services.gallery.reembed.progress(collection))


def shown(found: Progress) -> ReembedOut:
    return ReembedOut(
        collection=found.collection,
        state=found.state,
        held=_contract(found.held),
        other=_contract(found.other) if found.other else None,
        made=found.made,
        faces=found.faces,
        said=found.said,
    )


def _contract(contract: Contract) -> ContractOut:
    return ContractOut(id=contract.id, model=contract.model, dim=contract.dim)
