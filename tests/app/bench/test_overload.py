"""The overload bench in short: whoever comes hears something, and the service stays."""

from pathlib import Path

import pytest

from app.bench.overload import measure
from tests.tiny_model import write_tiny_model


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_times_the_capacity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FACE_MODEL_FILE", str(write_tiny_model(tmp_path / "tiny.onnx")))
    monkeypatch.setenv("FACE_MAX_BODY_SECONDS", "2")
    report = measure(seconds=10, times=10, slow=30, calm=5)
    assert report.alive
    assert report.sent == sum(report.answers.values())
    assert set(report.answers) <= {200, 503}  # an answer to each, and none of another kind
    assert report.answers[200] > 0
    assert report.answers[503] > 0
    assert report.retry_after_missing == 0
    assert set(report.slow_answers) <= {408, 503}
    assert report.slow_answers[408] > 0
    assert report.resident_after < report.resident_before + 200
