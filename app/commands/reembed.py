"""`face reembed`: move a collection to another model, in a data folder or at a running service."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.api.reembed import shown
from app.api.schemas import ReembedOut
from app.client import FaceClient
from app.commands.asking import asking
from app.commands.output import STDERR
from app.errors import Unavailable
from app.gallery import Gallery
from app.pipeline.analyze import Analyzer
from app.settings import Settings
from app.wiring import build_analyzer, build_gallery

LOOK_SECONDS = 0.3  # between two looks at how far it is


class Mover(Protocol):
    """Who does it, of one collection."""

    def start(self, *, back: bool, threshold: float | None) -> None: ...

    def look(self) -> ReembedOut: ...

    def forget(self) -> None: ...


@contextmanager
def at_service(url: str, collection: str) -> Iterator[Mover]:
    with asking(url) as client:
        yield _Service(client, collection)


@contextmanager
def here(settings: Settings, collection: str) -> Iterator[Mover]:
    analyzer = build_analyzer(settings)
    try:
        gallery = build_gallery(settings, analyzer)
        try:
            yield _Folder(gallery, analyzer, collection)
        finally:
            gallery.close()
    finally:
        analyzer.close()


def move(mover: Mover, *, back: bool, threshold: float | None) -> str:
    """-> a sentence, when it is done; raises Unavailable with what ended it before."""
    mover.start(back=back, threshold=threshold)
    with _bar() as bar:
        task = bar.add_task("embedding", total=None)
        while (now := mover.look()).state == "running":
            bar.update(task, completed=now.made, total=now.faces)
            time.sleep(LOOK_SECONDS)
    if now.said:
        raise Unavailable(now.said)
    before = f"{now.other.model} (contract {now.other.id})" if now.other else "no model"
    return (
        f"{now.faces} faces of {now.collection} go by {now.held.model} (contract {now.held.id}); "
        f"the vectors of {before} are kept"
    )


def forget(mover: Mover) -> str:
    mover.forget()
    now = mover.look()
    return f"{now.collection} has vectors of {now.held.model} (contract {now.held.id}) alone"


class _Service:
    def __init__(self, client: FaceClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    def start(self, *, back: bool, threshold: float | None) -> None:
        self._client.reembed(self._collection, back=back, threshold=threshold)

    def look(self) -> ReembedOut:
        return self._client.reembedding(self._collection)

    def forget(self) -> None:
        self._client.forget_reembedding(self._collection)


class _Folder:
    def __init__(self, gallery: Gallery, analyzer: Analyzer, collection: str) -> None:
        self._jobs = gallery.reembed
        self._embed = analyzer.embed
        self._collection = collection

    def start(self, *, back: bool, threshold: float | None) -> None:
        self._jobs.start(self._collection, self._embed, back=back, threshold=threshold)

    def look(self) -> ReembedOut:
        return shown(self._jobs.progress(self._collection))

    def forget(self) -> None:
        self._jobs.forget(self._collection)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=STDERR)
