"""The benches of the service in short: each runs to its end and counts what it should."""

from pathlib import Path

import pytest

from app.bench import service, soak
from tests.tiny_model import write_tiny_model


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FACE_MODEL_FILE", str(write_tiny_model(tmp_path / "tiny.onnx")))
    report = service.measure(seconds=0.5, archive=None)
    assert len(report.pictures) == len(report.sizes) == 4
    assert {(load.path, load.clients) for load in report.loads} == {
        (path, clients) for path in service.PATHS for clients in service.CLIENTS
    }
    assert all(load.requests > 0 and load.p99_ms >= load.p50_ms > 0 for load in report.loads)
    assert report.throughput_ratio > 0
    assert report.crops_pipeline_ms > 0
    assert {"decode", "detect", "align", "embed"} < set(report.stages_alone)
    assert "search" in report.stages_together
    assert sum(stage.share for stage in report.stages_together.values()) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FACE_MODEL_FILE", str(write_tiny_model(tmp_path / "tiny.onnx")))
    report = soak.measure(requests=400)
    assert report.requests == 400
    expected = {"enroll": 201, "delete": 204, "not a picture": 415, "cut off": 422}
    for kind, found in report.answers.items():
        assert set(found) == {expected.get(kind, 200)}, kind
    assert report.resident_first > 0
    assert len(report.resident) == soak.LOOKS
