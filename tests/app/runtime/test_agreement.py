"""The service's own network through every runtime: one contract, so one set of numbers."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.errors import SettingsError
from app.pipeline.analyze import Analyzer
from app.settings import Settings
from app.wiring import build_analyzer
from tests import photographs

LEAST_COSINE = 0.9999
LEAST_BF16_COSINE = 0.999
OTHERS = {"openvino": "openvino", "pytorch": "torch"}  # runtime -> its package


@pytest.fixture(scope="module")
def onnx() -> Iterator[Analyzer]:
    analyzer = build_analyzer(Settings())
    yield analyzer
    analyzer.close()


@pytest.fixture(scope="module", params=OTHERS)
def other(request) -> Iterator[Analyzer]:
    pytest.importorskip(OTHERS[request.param], reason="comes with an extra")
    analyzer = build_analyzer(Settings(runtime=request.param))
    yield analyzer
    analyzer.close()


def embeddings(analyzer: Analyzer) -> np.ndarray:
    """(7, 256): of the astronaut and a group of six."""
    pictures = [photographs.astronaut(), photographs.group()]
    return np.stack([face.embedding for faces in analyzer.analyze(pictures) for face in faces])


def test_photographs_give_the_same_embeddings(onnx, other):
    ours, theirs = embeddings(onnx), embeddings(other)
    assert ours.shape == theirs.shape == (7, 256)
    assert (ours * theirs).sum(axis=1).min() >= LEAST_COSINE
    # And not because everything looks alike to it.
    assert np.abs(ours @ ours.T - np.eye(7)).max() < 0.99


def test_they_share_a_contract_and_so_a_gallery(onnx, other):
    assert onnx.contract == other.contract


def has_bfloat16() -> bool:
    from openvino import Core

    return "BF16" in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_bfloat16_comes_close_and_has_a_contract_of_its_own(onnx):
    pytest.importorskip("openvino", reason="comes with an extra")
    if not has_bfloat16():
        with pytest.raises(SettingsError, match="no bfloat16"):
            build_analyzer(Settings(runtime="openvino-bf16"))
        return
    rounded = build_analyzer(Settings(runtime="openvino-bf16"))
    cosines = (embeddings(onnx) * embeddings(rounded)).sum(axis=1)
    rounded.close()
    assert cosines.min() >= LEAST_BF16_COSINE
    assert rounded.contract.id != onnx.contract.id
