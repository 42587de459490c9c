"""The runtimes that read an ONNX file: each does the same with it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.errors import SettingsError, Unavailable
from app.runtime.base import Runtime
from app.runtime.openvino import OpenVinoRuntime
from app.runtime.ort import OrtRuntime
from tests.app.runtime.networks import mean_network

Opener = Callable[..., Runtime]


@pytest.fixture(params=[OrtRuntime, OpenVinoRuntime])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param is OpenVinoRuntime:
        pytest.importorskip("openvino", reason="comes with the extra `openvino`")
    return request.param


@pytest.fixture(params=[1, 2, 3], ids="{} threads".format)
def runtime(request: pytest.FixtureRequest, opener: Opener, tmp_path: Path) -> Iterator[Runtime]:
    opened = opener(mean_network(tmp_path / "mean.onnx"), threads=request.param)
    yield opened
    opened.close()


def test_it_gives_the_first_output_for_any_batch(runtime):
    for count in (1, 2, 3, 5, 32):
        batch = np.random.default_rng(count).normal(size=(count, 3, 4, 6)).astype(np.float32)
        output = runtime.run(batch)
        assert output.dtype == np.float32
        assert np.allclose(output, 2 * batch.mean((2, 3)), atol=1e-6)


def test_threads_may_run_at_once(runtime):
    batches = [np.full((2, 3, 8, 8), number, np.float32) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(runtime.run, batches))
    assert [output[0, 0] for output in outputs] == [2 * number for number in range(16)]


def test_a_batch_that_does_not_fit_is_unavailable_and_the_next_runs(runtime):
    for count in (1, 16):
        with pytest.raises(Unavailable):
            runtime.run(np.zeros((count, 4, 8, 8), np.float32))
    assert runtime.run(np.ones((1, 3, 8, 8), np.float32)).tolist() == [[2, 2, 2]]


def test_a_missing_or_broken_file_is_a_settings_error(opener, tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.onnx does not exist"):
        opener(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(SettingsError, match="is it an ONNX file"):
        opener(broken)


def test_a_gpu_gets_batches_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("app.sessions.on_cpu", lambda session: False)
    monkeypatch.setattr("app.runtime.ort.Dealer", None)  # calling it would fail
    runtime = OrtRuntime(mean_network(tmp_path / "mean.onnx"), threads=2)
    assert runtime.run(np.ones((16, 3, 4, 4), np.float32)).tolist() == [[2, 2, 2]] * 16
    runtime.close()
