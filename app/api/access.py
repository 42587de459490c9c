"""Around every request: its id, the limit of its body, one log line, its metrics.

Plain ASGI and outermost, so that no answer goes out without an id and no exception goes further.
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

from app import metrics
from app.api import handlers

REQUEST_ID = "x-request-id"
PLAIN_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
MIB = 1024 * 1024
METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANOTHER_SITE = "a page of another site may not use this service through its reader's browser"
INNERMOST = 8  # frames of a stack that are logged

log = logging.getLogger("face.access")


class Access:
    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if PLAIN_TOKEN.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        body = _LimitedBody(scope, receive, self.max_body)
        answer = _Answer(send, request_id)
        began = time.perf_counter()
        try:
            if _from_another_site(scope):
                refusal = handlers.problem(request_id, 403, "forbidden", ANOTHER_SITE)
                await refusal(scope, body.receive, answer.send)
            else:
                await self.app(scope, body.receive, answer.send)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception as exc:
            _log_crash(request_id, exc)
            if answer.status is None:
                await handlers.internal(request_id)(scope, receive, answer.send)
        finally:
            _tell(scope, request_id, answer.status, time.perf_counter() - began)


def _from_another_site(scope: Scope) -> bool:
    """A form on any web page can post to a service on its reader's loopback; browsers say so."""
    site = Headers(scope=scope).get("sec-fetch-site", "none")
    return scope["method"] not in SAFE_METHODS and site in {"cross-site", "same-site"}


class _LimitedBody:
    """Hands the body on and refuses it as soon as it is, or says it will be, too long."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        announced = Headers(scope=scope).get("content-length", "")
        self._announced = int(announced) if announced.isdecimal() else 0
        self._receive = receive
        self._limit = limit
        self._seen = 0

    async def receive(self) -> Message:
        if self._announced > self._limit:
            await self._refuse(more=True)
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            await self._refuse(more=message.get("more_body", False))
        return message

    async def _refuse(self, *, more: bool) -> None:
        """Throws as much again away: most clients read an answer only after they have sent all."""
        thrown = 0
        while more and thrown <= self._limit:
            message = await self._receive()
            thrown += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        raise HTTPException(413, f"the request is more than {self._limit / MIB:g} MiB")


class _Answer:
    """Adds the request id to the answer's head and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self._request_id
        await self._send(message)


def _tell(scope: Scope, request_id: str, status: int | None, seconds: float) -> None:
    """The path is the route's template: an address may hold a person's id."""
    path = getattr(scope.get("route"), "path", "unknown")
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
    log.info("request", extra={"facts": line})


def _log_crash(request_id: str, error: Exception) -> None:
    """Where it happened and of what kind; an exception's text may hold what a log may not."""
    frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    kind = type(error).__name__
    line = {"request_id": request_id, "error": kind, "at": frames[-INNERMOST:]}
    log.error("crash", extra={"facts": line})
