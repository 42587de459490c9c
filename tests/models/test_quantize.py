import numpy as np
import onnx
import pytest

from models import quantize
from models.evaluate.embedders import onnx_embedder
from models.export import export
from scsc.faceresnet import FaceResNet, FaceResNetConfig
from tests.models.evaluate.drawn import pattern

TINY = FaceResNetConfig(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), kernel_sizes=((3, 5),) * 4)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.onnx"
    export(FaceResNet(TINY), path)
    return path


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    return np.stack([pattern(rng) for _ in range(24)])


def test_int8_computes_in_integers_and_stays_near(plain, crops, tmp_path):
    quantize.to_int8(plain, tmp_path / "int8.onnx", crops)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    widths = {t.data_type for t in graph.initializer if len(t.dims) == 4}
    assert onnx.TensorProto.INT8 in widths
    assert onnx.TensorProto.FLOAT not in widths
    per_channel = [t for t in graph.initializer if "scale" in t.name and len(t.dims) == 1]
    assert per_channel
    both = [onnx_embedder(path).embed(crops) for path in (plain, tmp_path / "int8.onnx")]
    cosines = (both[0] * both[1]).sum(1)
    assert 0.95 < cosines.mean() < 0.9999999


def test_bf16_halves_the_file_and_stays_nearer(plain, crops, tmp_path):
    quantize.to_bf16(plain, tmp_path / "bf16.onnx")
    kinds = {t.data_type for t in onnx.load(tmp_path / "bf16.onnx").graph.initializer}
    assert onnx.TensorProto.BFLOAT16 in kinds
    assert onnx.TensorProto.FLOAT not in kinds
    both = [onnx_embedder(path).embed(crops) for path in (plain, tmp_path / "bf16.onnx")]
    cosines = (both[0] * both[1]).sum(1)
    assert 0.999 < cosines.min() < 0.99999999
