"""Tiny ONNX files for tests, made on the spot."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def mean_network(path: Path, *, scale: float = 2.0) -> Path:
    """(N, 3, H, W) -> (N, 3): each plane's mean times `scale`; a second output, the input."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
            helper.make_node("Mul", ["mean", "scale"], ["scaled"]),
            helper.make_node("Flatten", ["scaled"], ["y"], axis=1),
            helper.make_node("Identity", ["x"], ["same"]),
        ],
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("same", TensorProto.FLOAT, ["N", 3, "H", "W"]),
        ],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path
