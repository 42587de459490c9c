"""Routes of the service itself: health, models, metrics, documentation."""

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from app import metrics
from app.api import browsers
from app.api.deps import ServicesDep
from app.api.roles import GuardedRoute
from app.api.schemas import Health, ModelList, ModelOut
from app.entities import DEFAULT_COLLECTION
from models.catalog import CARDS, ModelCard

router = APIRouter(tags=["service"], route_class=GuardedRoute)
ASSETS = "/docs-assets"


@router.get("/health/live")
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/health/ready")
def ready(services: ServicesDep) -> Health:
    """The store answers too, and people can be found; else 503, which says how far the search index
    is. The networks were tried when the service started."""
    services.gallery.people(DEFAULT_COLLECTION, limit=1)
    services.gallery.require_ready()
    return Health(status="ok")


@router.get("/models")
def models(services: ServicesDep) -> ModelList:
    """The cards of the models known here, and which are in use."""
    settings, contract = services.settings, services.analyzer.contract
    in_use = {settings.detector, contract.model}
    return ModelList(
        detector=settings.detector,
        embedder=contract.model,
        runtime=settings.runtime,
        contract=contract.id,
        items=[_shown(card, in_use=card.name in in_use) for card in CARDS.values()],
    )


@router.get("/metrics", response_class=Response)
def prometheus(services: ServicesDep) -> Response:
    """Prometheus text format."""
    people, faces = services.gallery.counts()
    metrics.PEOPLE.set(people)
    metrics.STORED_FACES.set(faces)
    metrics.QUEUE_DEPTH.set(services.analyzer.queue_depth)
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> Response:
    """Every asset comes from this server: a self-hosted service may have no internet."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{ASSETS}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # it would send the document elsewhere
    )
    # The page has one script of its own in it, and sets styles as it goes.
    (script,) = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
    page.headers["content-security-policy"] = browsers.policy(
        script_src=f"'self' 'sha256-{digest}'", style_src="'self' 'unsafe-inline'"
    )
    return page


def mount_assets(app: FastAPI) -> None:
    folder = str(files("fastapi_offline") / "static")
    app.mount(ASSETS, StaticFiles(directory=folder), name="docs-assets")


def _shown(card: ModelCard, *, in_use: bool) -> ModelOut:
    embeds = card.task == "embedder"
    return ModelOut(
        name=card.name,
        task=card.task,
        in_use=in_use,
        licence=card.licence,
        origin=card.origin,
        sha256=card.sha256,
        input_size=card.input_size,
        dim=card.dim if embeds else None,
        threshold=card.threshold,
    )
