import threading
from concurrent.futures import CancelledError

import pytest

from app.batching import MicroBatcher
from app.errors import Busy, Unavailable


class Gate:
    """A run that holds its batch until told, so that a test decides what arrives meanwhile."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self.proceed = threading.Semaphore(0)

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.started.release()
        assert self.proceed.acquire(timeout=10)
        if -1 in items:
            raise ArithmeticError("minus one")
        return [item * 10 for item in items]


def held(gate: Gate, **limits: int) -> MicroBatcher[int, int]:
    """A batcher whose worker is inside `run` with the item 0."""
    batcher: MicroBatcher[int, int] = MicroBatcher(gate, **limits)
    batcher.submit(0)
    assert gate.started.acquire(timeout=10)
    return batcher


def test_what_arrives_while_a_batch_runs_is_the_next_batch():
    gate = Gate()
    batcher = held(gate)
    futures = [batcher.submit(1), batcher.submit(2), *batcher.submit_all([3, 4])]
    assert batcher.depth == 4
    gate.proceed.release(2)
    assert [future.result(timeout=10) for future in futures] == [10, 20, 30, 40]
    assert gate.batches == [[0], [1, 2, 3, 4]]
    batcher.close()


def test_a_batch_has_a_cap():
    gate = Gate()
    batcher = held(gate, max_batch=2)
    futures = batcher.submit_all([1, 2, 3])
    gate.proceed.release(3)
    assert [future.result(timeout=10) for future in futures] == [10, 20, 30]
    assert gate.batches == [[0], [1, 2], [3]]
    batcher.close()


def test_a_full_queue_is_busy_and_takes_none_of_the_items():
    gate = Gate()
    batcher = held(gate, max_batch=2, max_queue=3)
    batcher.submit_all([1, 2])
    with pytest.raises(Busy):
        batcher.submit_all([3, 4])
    assert batcher.depth == 2
    assert batcher.submit(5)
    gate.proceed.release(3)
    batcher.close()
    assert gate.batches == [[0], [1, 2], [5]]


def test_a_caller_who_left_is_dropped_before_the_run():
    gate = Gate()
    batcher = held(gate)
    first, gone, last = batcher.submit_all([1, 2, 3])
    assert gone.cancel()
    gate.proceed.release(2)
    assert (first.result(timeout=10), last.result(timeout=10)) == (10, 30)
    with pytest.raises(CancelledError):
        gone.result()
    assert gate.batches == [[0], [1, 3]]
    batcher.close()


def test_callers_who_left_make_room_in_a_full_queue():
    gate = Gate()
    batcher = held(gate, max_queue=2)
    for future in batcher.submit_all([1, 2]):
        future.cancel()
    stays = batcher.submit(3)
    gate.proceed.release(2)
    assert stays.result(timeout=10) == 30
    assert gate.batches == [[0], [3]]
    batcher.close()


def test_a_batch_of_leavers_only_is_not_run():
    gate = Gate()
    batcher = held(gate, max_batch=1)
    batcher.submit(1).cancel()
    gate.proceed.release()
    batcher.close()
    assert gate.batches == [[0]]


def test_an_error_reaches_every_caller_of_its_batch_and_the_worker_lives_on():
    gate = Gate()
    batcher = held(gate)
    futures = batcher.submit_all([1, -1, 2])
    gate.proceed.release(2)
    for future in futures:
        with pytest.raises(ArithmeticError, match="minus one"):
            future.result(timeout=10)
    gate.proceed.release()
    assert batcher.submit(4).result(timeout=10) == 40
    batcher.close()


def test_even_an_exit_inside_the_run_is_only_an_answer():
    def run(items: list[int]) -> list[int]:
        raise SystemExit

    batcher = MicroBatcher(run)
    for _ in range(2):
        with pytest.raises(SystemExit):
            batcher.submit(1).result(timeout=10)
    batcher.close()


def test_too_few_results_are_an_error_and_not_a_wait_for_ever():
    batcher: MicroBatcher[int, int] = MicroBatcher(lambda items: items[1:])
    with pytest.raises(RuntimeError, match="0 results for a batch of 1"):
        batcher.submit(1).result(timeout=10)
    batcher.close()


def test_close_finishes_what_waits_and_then_refuses():
    gate = Gate()
    batcher = held(gate, max_batch=1)
    futures = batcher.submit_all([1, 2])
    closing = threading.Thread(target=batcher.close)
    closing.start()
    gate.proceed.release(3)
    closing.join(timeout=10)
    assert not closing.is_alive()
    assert [future.result(timeout=0) for future in futures] == [10, 20]
    with pytest.raises(Unavailable):
        batcher.submit(3)
    batcher.close()


def test_many_threads_get_their_own_answers():
    batcher: MicroBatcher[int, int] = MicroBatcher(
        lambda items: [item * 10 for item in items], max_batch=4
    )
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        answers[number] = batcher.submit(number).result(timeout=10)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert answers == {number: number * 10 for number in range(24)}
    batcher.close()


def test_each_batch_is_told_to_the_observer():
    gate = Gate()
    seen: list[tuple[int, int]] = []
    batcher: MicroBatcher[int, int] = MicroBatcher(
        gate, max_batch=2, observe=lambda size, left: seen.append((size, left))
    )
    batcher.submit(0)
    assert gate.started.acquire(timeout=10)
    futures = batcher.submit_all([1, 2, 3])
    gate.proceed.release(3)
    assert futures[-1].result(timeout=10) == 30
    assert seen == [(1, 0), (2, 1), (1, 0)]
    batcher.close()
