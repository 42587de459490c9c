import threading

from app.index.lock import SharedLock

SOON = 0.05  # seconds that are enough to show that a thread does not go on
LONG = 10


def started(run) -> threading.Thread:
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_readers_share():
    lock, both = SharedLock(), threading.Barrier(2, timeout=LONG)

    def read() -> None:
        with lock.shared():
            both.wait()  # breaks unless the other is inside too

    threads = [started(read), started(read)]
    for thread in threads:
        thread.join(LONG)
    assert not both.broken


def test_a_writer_waits_for_readers_and_goes_before_new_ones():
    lock, order, waiting = SharedLock(), [], threading.Event()

    def write() -> None:
        waiting.set()
        with lock.alone():
            order.append("writer")

    def read() -> None:
        with lock.shared():
            order.append("reader")

    with lock.shared():
        writer = started(write)
        waiting.wait(LONG)
        writer.join(SOON)
        late = started(read)
        late.join(SOON)
        assert order == []
    writer.join(LONG)
    late.join(LONG)
    assert order == ["writer", "reader"]


def test_an_error_inside_lets_go():
    lock = SharedLock()
    for block in (lock.shared, lock.alone, lock.shared, lock.alone):
        try:
            with block():
                raise RuntimeError
        except RuntimeError:
            pass
