"""Around every request: its id, who asks, the limits of its body, one log line, its metrics.

Plain ASGI and outermost, so that no answer goes out without an id, no exception goes further, and
who may not ask is refused before anything of the body is read.
"""

import logging
import re
import time
import traceback
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics, tracing
from app.actor import ACTOR
from app.api import browsers, handlers
from app.api.bodies import Bodies
from app.api.callers import Callers
from app.api.door import Door
from app.errors import FaceError

REQUEST_ID = "x-request-id"
PLAIN_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
# Asked for room here already: under overload most requests are refused, and the way through the
# router would take time that those at work lack. The rest is asked there.
WITH_PICTURES = frozenset({"/detect", "/align", "/embed", "/verify", "/identify", "/enroll"})
MOST_INSIDE = 1000  # requests of all kinds, those whose body hardly comes among them
INNERMOST = 8  # frames of a stack that are logged

log = logging.getLogger("face.access")


class Access:
    def __init__(self, app: ASGIApp, callers: Callers, bodies: Bodies, door: Door) -> None:
        self.app = app
        self.callers = callers
        self.bodies = bodies
        self.door = door
        self.inside = 0  # requests; touched on the event loop only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if PLAIN_TOKEN.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        began = time.perf_counter()
        self.inside += 1
        with tracing.request(scope["headers"]):
            try:
                await self._answer(scope, receive, answer)
            except ClientDisconnect:
                pass  # nobody is left to answer
            except Exception as exc:
                _log_crash(request_id, exc)
                if answer.status is None:
                    await handlers.internal(request_id)(scope, receive, answer.send)
            finally:
                self.inside -= 1
                _tell(scope, request_id, answer.status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            if self.inside > MOST_INSIDE:
                raise HTTPException(503, "too many requests at once; try again shortly")
            browsers.refuse_other_sites(scope)
            caller = await self.callers.admit(scope)
            if _is_with_pictures(scope):
                self.door.require_room()
        except (HTTPException, FaceError) as refusal:
            await handlers.refused(answer.request_id, refusal)(scope, receive, answer.send)
            return
        scope["state"]["caller"] = caller
        token = ACTOR.set(caller.actor)
        try:
            with self.bodies.open(scope, receive) as body:
                await self.app(scope, body.receive, answer.send)
        finally:
            ACTOR.reset(token)


class _Answer:
    """Completes the answer's head and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self.request_id
            browsers.protect(headers)
        await self._send(message)


def _is_with_pictures(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"] in WITH_PICTURES


def _tell(scope: Scope, request_id: str, status: int | None, seconds: float) -> None:
    """The path is the route's template: an address may hold a person's id."""
    refused_here: str = scope["path"] if _is_with_pictures(scope) else "unknown"
    path: str = getattr(scope.get("route"), "path", refused_here)
    method = scope["method"] if scope["method"] in METHODS else "other"
    shown = status or 499  # the caller left before an answer began
    metrics.REQUESTS.labels(method, path, str(shown)).inc()
    metrics.SECONDS.labels(method, path).observe(seconds)
    line = {
        "request_id": request_id,
        "method": method,
        "path": path,
        "status": shown,
        "ms": round(seconds * 1000, 1),
    }
    line |= tracing.answered(method, path, shown, request_id)
    log.info("request", extra={"facts": line})


def _log_crash(request_id: str, error: Exception) -> None:
    """Where it happened and of what kind; an exception's text may hold what a log may not."""
    frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    kind = type(error).__name__
    line = {"request_id": request_id, "error": kind, "at": frames[-INNERMOST:]}
    log.error("crash", extra={"facts": line})
