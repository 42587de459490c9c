"""The service: `create_app` puts it together, `serve` runs it."""

import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from app.api import collection, handlers, identity, images, maintenance, openapi, people, system
from app.api.access import Access
from app.api.deps import Services
from app.api.door import Door
from app.errors import SettingsError
from app.settings import Settings
from app.wiring import build_analyzer, build_gallery, check_binding

VERSION = "0.1.0"
BACKLOG = 512
GRACE_SECONDS = 30  # that requests under way may take when the service is stopped


def create_app(settings: Settings) -> FastAPI:
    """Opens networks and store, so that a fault is a SettingsError here; lifespan closes them."""
    services = open_services(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            services.close()

    app = FastAPI(
        title="Face recognition",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    for routes in (images, identity, collection, people, maintenance, system):
        app.include_router(routes.router)
    system.mount_assets(app)
    openapi.install(app)
    handlers.install(app)
    app.add_middleware(Access, max_body=settings.max_request_bytes)
    return app


def open_services(settings: Settings) -> Services:
    analyzer = build_analyzer(settings)
    try:
        gallery = build_gallery(settings, analyzer)
    except BaseException:
        analyzer.close()
        raise
    door = Door(settings.workers, settings.max_waiting, settings.max_waiting_bytes)
    return Services(settings, analyzer, gallery, door)


def serve(settings: Settings) -> None:
    """Runs until a signal; prints the address when it can be asked."""
    check_binding(settings)
    _log_to_stderr(settings.log_level)
    app = create_app(settings)
    try:
        listening = listen(settings)
    except SettingsError:
        app.state.services.close()
        raise
    print(f"Face recognition is at {_url(listening)} (documentation: /docs)", flush=True)
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,  # its lines have addresses, which may hold ids of people
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
    except OSError as exc:
        raise SettingsError(
            f"FACE_HOST={settings.host}, FACE_PORT={settings.port}: cannot listen: {exc.strerror}"
        ) from exc
    # Connections inherit it. Without it each answer waits 40 ms for the client's delayed ACK;
    # asyncio sets it only on sockets that it opened itself.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _JsonLines(logging.Formatter):
    """One JSON object a line; what was logged as `facts` stands in it key by key."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)
