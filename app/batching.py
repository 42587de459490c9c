"""Micro-batching without a timer: while one batch runs, what arrives becomes the next batch.

An idle worker starts at once with a single item, so nobody waits for company; under load batches
grow by themselves up to the cap. It knows nothing of what it batches.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from app.errors import Busy, Unavailable

T = TypeVar("T")
R = TypeVar("R")


class MicroBatcher(Generic[T, R]):
    """One worker thread that runs `run` over what several threads submit.

    `run` takes 1..max_batch items and gives one result each, in order. An error of `run` is the
    answer of every item of that batch, and the worker lives on.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Sequence[R]],
        *,
        max_batch: int = 32,
        max_queue: int = 256,
        name: str = "batcher",
        observe: Callable[[int, int], None] | None = None,
    ) -> None:
        """`observe(batch_size, items_left_waiting)` is told of each batch before it runs."""
        self._run = run
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._observe = observe
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        # A daemon, so that a process whose owner forgot close() can still end.
        self._worker = threading.Thread(target=self._work, name=name, daemon=True)
        self._worker.start()

    @property
    def depth(self) -> int:
        """Items that wait; those of the running batch are not among them."""
        return len(self._waiting)

    def submit(self, item: T) -> Future[R]:
        """The item's result to come. Cancelling the future before its batch starts drops it."""
        return self.submit_all([item])[0]

    def submit_all(self, items: Sequence[T]) -> list[Future[R]]:
        """All of the items or, when they do not all fit, none of them and Busy."""
        futures: list[Future[R]] = [Future() for _ in items]
        with self._changed:
            if self._closed:
                raise Unavailable("the service is shutting down")
            if len(self._waiting) + len(items) > self._max_queue:
                self._drop_cancelled()
            if len(self._waiting) + len(items) > self._max_queue:
                raise Busy("too many are waiting; try again shortly")
            self._waiting.extend(zip(items, futures, strict=True))
            self._changed.notify()
        return futures

    def close(self) -> None:
        """Takes no more, finishes what waits, ends the worker. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.join()

    def _drop_cancelled(self) -> None:
        kept = [entry for entry in self._waiting if not entry[1].cancelled()]
        self._waiting.clear()
        self._waiting.extend(kept)

    def _next_batch(self) -> list[tuple[T, Future[R]]] | None:
        """Blocks for the next batch, whose futures can no longer be cancelled; None at the end."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return None
            batch: list[tuple[T, Future[R]]] = []
            while self._waiting and len(batch) < self._max_batch:
                item, future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    batch.append((item, future))
            return batch

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch:
                self._answer(batch)

    def _answer(self, batch: list[tuple[T, Future[R]]]) -> None:
        try:
            if self._observe is not None:
                self._observe(len(batch), self.depth)
            results = self._run([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for a batch of {len(batch)}")
        except BaseException as exc:  # whatever it is, callers wait and must hear it
            for _, future in batch:
                future.set_exception(exc)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
