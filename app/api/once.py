"""The Idempotency-Key header: a change that is sent again is not made again.

As in draft-ietf-httpapi-idempotency-key-header, but a key that comes with another request is a
`conflict` (409). Only success is remembered. Without the header every request is a new one.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from app.api.deps import ServicesDep
from app.api.requests import Picture
from app.gallery import Gallery, Mark, Reply

MAX_KEY = 255
REPLAYED = "idempotency-replayed"
MEDIA_TYPE = "application/json"

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=MAX_KEY,
        pattern=r"^[\x21-\x7e]+$",
        description="yours, new for each change, e.g. a UUID: sent again, the change is not made "
        "again but its answer is repeated",
    ),
]


@dataclass(frozen=True)
class Change:
    """One request that changes something, and whether it was answered before."""

    gallery: Gallery
    mark: Mark | None  # None: it came without a key
    answered: Response | None

    def make(self, change: Callable[[], BaseModel | None], status: int) -> Response:
        """Runs `change`, which answers with a body or with none, unless that was done before."""
        if self.mark is None:
            return _response(_reply(change(), status))
        reply, before = self.gallery.once(self.mark, lambda: _reply(change(), status))
        return _response(reply, replayed=before)


@dataclass(frozen=True)
class Once:
    """What is known of a change before its body is read."""

    gallery: Gallery
    key: str | None
    operation: str

    def change(
        self,
        asked: BaseModel | None = None,
        pictures: Sequence[Picture] = (),
        *,
        collection: str,
        person: str | None = None,
    ) -> Change:
        """`collection` and `person` are those of whom the answer will speak."""
        if self.key is None:
            return Change(self.gallery, None, None)
        # Under the key, which is not stored: a bare hash of a short request could be guessed.
        digest = hmac.new(self.key.encode(), self.operation.encode(), hashlib.sha256)
        digest.update(b"" if asked is None else asked.model_dump_json(exclude_unset=True).encode())
        for picture in pictures:
            digest.update(hashlib.sha256(picture.data).digest())
        key = hashlib.sha256(self.key.encode()).hexdigest()
        mark = Mark(key, digest.hexdigest(), collection, person)
        before = self.gallery.answered(mark)
        return Change(
            self.gallery, mark, None if before is None else _response(before, replayed=True)
        )


def _once(request: Request, services: ServicesDep, idempotency_key: IdempotencyKey = None) -> Once:
    operation = f"{request.method} {request.url.path}\n"
    return Once(services.gallery, idempotency_key, operation)


OnceDep = Annotated[Once, Depends(_once)]


def _reply(answer: BaseModel | None, status: int) -> Reply:
    body = b"" if answer is None else answer.model_dump_json(exclude_unset=True).encode()
    return Reply(status, body)


def _response(reply: Reply, *, replayed: bool = False) -> Response:
    headers = {REPLAYED: "true"} if replayed else None
    media_type = MEDIA_TYPE if reply.body else None
    return Response(reply.body, reply.status, headers=headers, media_type=media_type)
