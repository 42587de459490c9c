import pytest

from app.detectors.yunet import YuNetDetector
from app.errors import SettingsError


def test_a_missing_setting_names_it_and_where_the_file_comes_from():
    with pytest.raises(SettingsError, match=r"FACE_DETECTOR_FILE.*opencv_zoo"):
        YuNetDetector(None)


def test_an_absent_or_wrong_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.onnx does not exist"):
        YuNetDetector(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(SettingsError, match="is not a YuNet model"):
        YuNetDetector(broken)
