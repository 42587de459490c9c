"""Smaller forms of an exported ONNX file: int8, and weights in bfloat16.

    python -m models.quantize models/weights/scsc_faceresnet.onnx OUT.onnx --form int8
    python -m models.quantize models/weights/scsc_faceresnet.onnx OUT.onnx --form bf16

int8 is static: ranges of activations are read off real crops once, weights have a scale per output
channel, and the file holds QuantizeLinear/DequantizeLinear pairs that an engine joins into its
integer kernels. Weights use seven of the eight bits: a CPU without VNNI adds two products in 16
bits, which eight overflow. bf16 halves the file: weights are widened when it is opened, since ONNX
Runtime's CPU kernels do not compute in bfloat16; OpenVINO does, from any file (`openvino-bf16`).
What both lose and gain stands in the model card.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from models.data import read_packs
from models.evaluate.embedders import network_input

CALIBRATION = 512  # crops
CALIBRATION_PACK = Path("../shared/data/train-0.npz")


def to_int8(source: Path, target: Path, crops: npt.NDArray[np.uint8]) -> None:
    """Calibrate on crops (N, 112, 112, 3) RGB and write the int8 form."""
    with tempfile.TemporaryDirectory() as folder:
        shaped = Path(folder) / source.name
        quant_pre_process(str(source), str(shaped), skip_symbolic_shape=True)
        quantize_static(
            shaped,
            target,
            _Calibration(crops, onnx.load(shaped).graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: npt.NDArray[np.uint8], name: str, batch: int = 32) -> None:
        starts = range(0, len(crops), batch)
        self._batches = ({name: network_input(crops[i : i + batch])} for i in starts)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        return next(self._batches, None)


def to_bf16(source: Path, target: Path) -> None:
    """Write the form whose float32 weights are stored in bfloat16, each behind a Cast."""
    model = onnx.load(source)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        name = tensor.name
        narrow = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
        tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}_bf16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def calibration_crops(packs: Sequence[Path]) -> npt.NDArray[np.uint8]:
    """CALIBRATION crops, spread over the first 4,000 of each pack. Never held-out people."""
    crops = read_packs(packs, limit=4000).crops
    spread = np.linspace(0, len(crops) - 1, min(CALIBRATION, len(crops))).astype(int)
    return np.asarray(crops[spread])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--form", choices=["int8", "bf16"], required=True)
    parser.add_argument(
        "--crops",
        type=Path,
        action="append",
        help=f"pack to calibrate int8 on; default {CALIBRATION_PACK}",
    )
    arguments = parser.parse_args()
    if arguments.form == "int8":
        crops = calibration_crops(arguments.crops or [CALIBRATION_PACK])
        to_int8(arguments.source, arguments.target, crops)
    else:
        to_bf16(arguments.source, arguments.target)
    sizes = [path.stat().st_size for path in (arguments.source, arguments.target)]
    print(f"{sizes[0]} -> {sizes[1]} bytes")


if __name__ == "__main__":
    main()
