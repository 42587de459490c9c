"""The service's own network through both runtimes: one contract, so one set of numbers."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.pipeline.analyze import Analyzer
from app.settings import Settings
from app.wiring import build_analyzer
from tests import photographs

LEAST_COSINE = 0.9999


@pytest.fixture(scope="module")
def analyzers() -> Iterator[tuple[Analyzer, Analyzer]]:
    pytest.importorskip("torch", reason="PyTorch comes with the extra `train`")
    made = [build_analyzer(Settings(runtime=name)) for name in ("onnxruntime", "pytorch")]
    yield made[0], made[1]
    for analyzer in made:
        analyzer.close()


def test_photographs_give_the_same_embeddings(analyzers):
    pictures = [photographs.astronaut(), photographs.group()]
    onnx, torch = (
        np.stack([face.embedding for faces in each.analyze(pictures) for face in faces])
        for each in analyzers
    )
    assert onnx.shape == torch.shape == (7, 256)
    assert (onnx * torch).sum(axis=1).min() >= LEAST_COSINE
    # And not because everything looks alike to it.
    assert np.abs(onnx @ onnx.T - np.eye(7)).max() < 0.99


def test_they_share_a_contract_and_so_a_gallery(analyzers):
    onnx, torch = analyzers
    assert onnx.contract == torch.contract
