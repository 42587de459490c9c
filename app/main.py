"""The service: `create_app` puts it together, `serve` runs it."""

import logging
import math
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from app import logs, tracing
from app.api import (
    audit,
    collection,
    handlers,
    identity,
    images,
    keys,
    maintenance,
    openapi,
    people,
    reembed,
    system,
)
from app.api.access import Access
from app.api.bodies import Bodies
from app.api.callers import Callers
from app.api.connections import Connection
from app.api.deps import Services
from app.api.door import Door
from app.errors import SettingsError
from app.memory import settle_memory
from app.settings import Settings, traces_to
from app.wiring import build_analyzer, build_gallery, check_binding, make_first_key

VERSION = "0.2.0"
BACKLOG = 512
OPEN_FILES = 16_384  # each connection is one; many systems begin with 1024
WORK_SECONDS = 30  # that a request may take from its turn on when the service is stopped

log = logging.getLogger("face")


def create_app(settings: Settings) -> FastAPI:
    """Opens networks and store, so that a fault is a SettingsError here; lifespan closes them."""
    services = open_services(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.gallery.retention.start(settings.retention_days)
        try:
            yield
        finally:
            services.close()
            tracing.stop()  # here, as the server ends the process by the signal that stopped it

    app = FastAPI(
        title="Face recognition",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        # FastAPI's own spans and logs hold whole addresses and texts of errors; see tracing.py.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.services = services
    for routes in (images, identity, collection, reembed, people, keys, audit, maintenance, system):
        app.include_router(routes.router)
    system.mount_assets(app)
    openapi.install(app)
    handlers.install(app)
    app.add_middleware(
        Access,
        callers=Callers(None if settings.auth == "off" else services.gallery.keys, settings.rate),
        bodies=Bodies(
            settings.max_request_bytes, settings.max_waiting_bytes, settings.max_body_seconds
        ),
        door=services.door,
    )
    return app


def open_services(settings: Settings) -> Services:
    analyzer = build_analyzer(settings)
    try:
        gallery = build_gallery(settings, analyzer)
    except BaseException:
        analyzer.close()
        raise
    door = Door(settings.workers, settings.max_waiting, settings.max_wait_seconds)
    return Services(settings, analyzer, gallery, door)


def serve(settings: Settings, *, first_key: bool = False) -> None:
    """Runs until a signal; prints the address when it can be asked.

    `first_key` makes and prints a key where there never was one: a container starts so.
    """
    settle_memory()
    if first_key and (key := make_first_key(settings)):
        print(f"The first key, an admin's; it is not shown again: {key}", flush=True)
    check_binding(settings)
    check_certificate(settings)
    _allow_connections()
    logs.to_stderr(settings.log_level, settings.log_format)
    _start_traces()
    app = create_app(settings)
    try:
        listening = listen(settings)
    except SettingsError:
        app.state.services.close()
        raise
    print(f"Face recognition is at {_url(listening, settings)} (documentation: /docs)", flush=True)
    with suppress(KeyboardInterrupt):
        server_of(app, settings).run(sockets=[listening])


def server_of(app: FastAPI, settings: Settings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=Connection,
        lifespan="on",
        log_config=None,
        access_log=False,  # its lines have addresses, which may hold ids of people
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.max_wait_seconds + WORK_SECONDS),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    return uvicorn.Server(config)


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


def check_certificate(settings: Settings) -> None:
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as exc:  # ssl.SSLError is one
        raise SettingsError(
            f"FACE_TLS_CERT={settings.tls_cert}, FACE_TLS_KEY={settings.tls_key}: "
            f"{exc.strerror or 'they are not a certificate and its key'}"
        ) from exc


def _allow_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _url(listening: socket.socket, settings: Settings) -> str:
    host, port = listening.getsockname()[:2]
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _start_traces() -> None:
    if (exporter := traces_to()) is None:
        return
    try:
        tracing.start(exporter)
    except ImportError:
        log.warning("OTEL_ variables ask for traces, and the extra `otel` is not installed")
