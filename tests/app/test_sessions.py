import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from app import sessions
from app.errors import SettingsError
from app.sessions import SharedSession, open_session
from tests.app.runtime.networks import mean_network


def test_a_session_has_the_threads_it_was_told_and_runs_on_the_cpu(tmp_path):
    session = open_session(mean_network(tmp_path / "mean.onnx"), threads=1)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 1


def test_a_serialised_model_is_opened_as_well(tmp_path):
    data = mean_network(tmp_path / "mean.onnx").read_bytes()
    session = open_session(data, threads=1, varying_shapes=True)
    assert not session.get_session_options().enable_mem_pattern
    with pytest.raises(SettingsError, match="the model cannot be opened"):
        open_session(b"no model", threads=1)


class Watched:
    """Real sessions, of which is noted with how many threads they ran and how many at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cpus: int) -> None:
        self.runs: Counter[int] = Counter()  # threads of the session -> runs
        self.most_at_once = 0
        self.inside: set[int] = set()
        self.may_end = threading.Semaphore(0)
        self.has_begun = threading.Semaphore(0)
        self._open = open_session
        self._lock = threading.Lock()
        monkeypatch.setattr(sessions, "open_session", self._watched)
        monkeypatch.setattr(sessions, "available_cpus", lambda: cpus)

    def _watched(self, model: Any, *, threads: int, varying_shapes: bool = False) -> Any:
        watch, session = self, self._open(model, threads=threads, varying_shapes=varying_shapes)

        class Session:
            def run(self, outputs: Sequence[str], inputs: dict[str, Any]) -> list[Any]:
                with watch._lock:
                    watch.runs[threads] += 1
                    watch.inside.add(threading.get_ident())
                    watch.most_at_once = max(watch.most_at_once, len(watch.inside))
                watch.has_begun.release()
                assert watch.may_end.acquire(timeout=20)
                with watch._lock:
                    watch.inside.remove(threading.get_ident())
                result: list[Any] = session.run(outputs, inputs)
                return result

            def __getattr__(self, name: str) -> Any:
                return getattr(session, name)

        return Session()


def shared(tmp_path) -> SharedSession:
    return SharedSession(mean_network(tmp_path / "mean.onnx"), threads=0)


def doubled(session: SharedSession, value: float) -> list[float]:
    (answer,) = session.run(["y"], {"x": np.full((1, 3, 4, 4), value, np.float32)})
    numbers: list[float] = answer[0].tolist()
    return numbers


def test_a_caller_alone_has_all_threads(tmp_path, monkeypatch: pytest.MonkeyPatch):
    watched = Watched(monkeypatch, cpus=3)
    session = shared(tmp_path)
    watched.may_end.release(2)
    for value in (1.0, 2.0):
        assert doubled(session, value) == [2 * value] * 3
    assert watched.runs == {3: 2}


def test_of_a_crowd_each_has_one_thread_and_as_many_run_as_there_are_cpus(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    watched = Watched(monkeypatch, cpus=3)
    session = shared(tmp_path)
    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(doubled, session, 0.0)]
        for value in range(1, 3):  # one after the other, so that it is known how many there are
            assert watched.has_begun.acquire(timeout=20)
            asked.append(callers.submit(doubled, session, float(value)))
        assert watched.has_begun.acquire(timeout=20)
        assert watched.runs == {3: 2, 1: 1}  # the third has made it a crowd
        asked += [callers.submit(doubled, session, float(value)) for value in range(3, 8)]
        watched.may_end.release(8)
        assert [each.result() for each in asked] == [[2.0 * value] * 3 for value in range(8)]
    assert watched.most_at_once == 3
    assert watched.runs.total() == 8


def test_a_run_that_fails_gives_its_turn_back(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions, "available_cpus", lambda: 1)
    session = shared(tmp_path)
    for _ in range(2):
        with pytest.raises(Exception, match="y2"):
            session.run(["y2"], {"x": np.zeros((1, 3, 4, 4), np.float32)})
    assert doubled(session, 1.0) == [2.0] * 3
