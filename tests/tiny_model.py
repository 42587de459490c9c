"""An embedder without training, in a moment: a fixed random projection of the shrunken crop.

Enough for tests of what is around a network: the same picture gives the same embedding, and another
face another one.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHRUNK = 16  # pixels, side of what is projected
DIM = 256


def write_tiny_model(path: Path, seed: int = 0) -> Path:
    """(N, 3, 112, 112) -> the mean of 7 x 7 blocks, (N, 3, 16, 16) -> projected, (N, 256)."""
    block, inputs = [112 // SHRUNK] * 2, 3 * SHRUNK * SHRUNK
    weight = np.random.default_rng(seed).standard_normal((inputs, DIM)).astype(np.float32)
    weight -= weight.mean(0)  # blind to brightness, else all faces look alike
    nodes = [
        helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=block, strides=block),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIM])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path
