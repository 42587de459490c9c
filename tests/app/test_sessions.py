import pytest

from app.errors import SettingsError
from app.sessions import open_session
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
