import pytest

from models import engines, latency
from tests.tiny_model import write_tiny_model


def test_files_are_timed_by_every_engine_and_batch_and_held_against_each_other(tmp_path):
    files = [write_tiny_model(tmp_path / name) for name in ("one.onnx", "other.onnx")]
    times = latency.measure(files, rounds=1)
    assert set(times) == {"one", "other"}
    for engine in engines.NAMES:
        for batch in ("1", "16"):
            one, other = (times[name][engine][batch] for name in ("one", "other"))
            assert one["ms"] > 0
            assert set(one["of"]) == {"other"}
            there_and_back = one["of"]["other"]["wall"] * other["of"]["one"]["wall"]
            assert there_and_back == pytest.approx(1, rel=0.02)
    rows = [{"name": name, "latency": times[name]} for name in times]
    lines = latency.table(rows).splitlines()
    assert lines[0] == "| engine | batch | network | ms | CPU ms | of one | of other |"
    assert len(lines) == 2 + 4 * 2 * 2
