import sys

import pytest

from app.errors import SettingsError
from app.runtime.openvino import OpenVinoRuntime


def test_without_openvino_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingsError, match="extra `openvino`"):
        OpenVinoRuntime(tmp_path / "net.onnx")
