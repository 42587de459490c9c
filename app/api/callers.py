"""Who asks: the key of a request, its role, and how often it may ask."""

import math
import time
from dataclasses import dataclass

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.actor import ANYBODY, KEY
from app.api import browsers
from app.entities import ApiKey, Role
from app.gallery.keyring import Keyring

# What needs no key: it says nothing of what is stored.
OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json"})
OPEN_FOLDER = "/docs-assets/"
ROLES: tuple[Role, ...] = ("read", "write", "admin")  # each may do what those before it may


@dataclass(frozen=True)
class Caller:
    role: Role
    actor: str  # for the audit log

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class Callers:
    """Used on the event loop; `keys` None stands for FACE_AUTH=off."""

    def __init__(self, keys: Keyring | None, rate: str | None) -> None:
        self._keys = keys
        self._rate = rate
        self._rates = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def admit(self, scope: Scope) -> Caller:
        """Raises HTTPException; reads nothing of the body."""
        if self._keys is None:
            return Caller("admin", ANYBODY)
        if self._keys.stale:
            await run_in_threadpool(self._keys.refresh)
        if not self._keys.in_use:
            browsers.refuse_other_names(scope)
            return Caller("admin", ANYBODY)
        path = scope["path"]
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return Caller("read", ANYBODY)
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        key = self._keys.find(token.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise HTTPException(
                401,
                "a key is needed, as the header `Authorization: Bearer KEY`",
                headers={"www-authenticate": "Bearer"},
            )
        self._count(key)
        return Caller(key.role, f"{KEY}{key.id}")

    def _count(self, key: ApiKey) -> None:
        """Each replica counts for itself."""
        if (text := key.rate or self._rate) is None:
            return
        rate = parse(text)
        if not self._rates.hit(rate, key.id):
            again = self._rates.get_window_stats(rate, key.id).reset_time - time.time()
            raise HTTPException(
                429,
                f"this key may ask {text}; come again later",
                headers={"retry-after": str(max(1, math.ceil(again)))},
            )
