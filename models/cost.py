"""What the embedders cost: parameters, FLOPs and time, the twins and a peer beside each other.

    python -m models.cost                     # parameters and FLOPs at 112x112, a table
    python -m models.cost --json              # [{"name", "params", "flops"}, ...]
    python -m models.cost --latency --json    # [{"name", "params", "flops", "latency"}, ...]

FLOPs are multiply-adds of one crop, counted over convolutions, linear maps and the pooling head,
as the literature counts them; norms, activations and the routed sum are left out. Times:
models/latency.py.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from models import catalog, embedder, latency, weights
from scsc.faceresnet import CROP, FaceResNet, GlobalDepthwise

PLAIN = "faceresnet"
PEER = Path("../shared/models/mobilefacenet.onnx")


@dataclass(frozen=True)
class Cost:
    name: str
    params: int
    flops: int  # multiply-adds per crop


def count(network: nn.Module, example: torch.Tensor) -> tuple[int, int]:
    """(parameters, multiply-adds) of one pass over `example` (1, 3, H, W)."""
    flops = 0

    def add(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal flops
        if isinstance(module, nn.Conv2d):
            flops += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            flops += output.numel() * module.in_features
        elif isinstance(module, GlobalDepthwise):
            flops += inputs[0].numel()

    kinds = (nn.Conv2d, nn.Linear, GlobalDepthwise)
    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, kinds)]
    network.eval()
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return sum(p.numel() for p in network.parameters()), flops


def count_onnx(path: Path) -> Cost:
    """The same of an ONNX file, whose norms may be folded already; its weights are parameters.

    Raises ValueError when the shape of an output cannot be inferred.
    """
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]  # shapes noted for other batches
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    held = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    flops = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in held:
            continue
        made, weight = int(np.prod(shapes.get(node.output[0], [0])[1:])), held[node.input[1]]
        if not made:
            raise ValueError(f"{path.name}: the shape of {node.output[0]} is not known")
        flops += made * (
            int(np.prod(weight[1:])) if node.op_type == "Conv" else _inner(node, weight)
        )
    params = sum(int(np.prod(dims)) for dims in held.values())
    return Cost(path.stem, params, flops)


def _inner(node: onnx.NodeProto, weight: list[int]) -> int:
    """How many numbers each output of a Gemm or MatMul sums over."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return weight[1] if transposed else weight[0]


def costs() -> list[Cost]:
    """The cost of every embedder of `models.embedder`."""
    example = torch.zeros(1, 3, CROP, CROP)
    return [
        Cost(name, *count(FaceResNet(config), example)) for name, config in embedder.CONFIGS.items()
    ]


def with_latency(
    files: Sequence[Path], engines: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """Cost and time of the product's file, of its plain twin and of `files`, in one run.

    The twin has random weights: its time does not depend on them.
    """
    from models.export import export

    with tempfile.TemporaryDirectory() as folder:
        twin = Path(folder) / f"{PLAIN}.onnx"
        export(FaceResNet(embedder.config(PLAIN)), twin)
        measured = [weights.find(catalog.card("scsc_faceresnet")), twin, *files]
        counted = {cost.name: cost for cost in costs()}
        rows = [counted.get(path.stem) or count_onnx(path) for path in measured]
        times = latency.measure(measured, engines, rounds=rounds)
    return [{**asdict(row), "latency": times[row.name]} for row in rows]


def table(rows: list[Cost]) -> str:
    """Markdown, each row beside the plain twin."""
    plain = next(row for row in rows if row.name == PLAIN)
    lines = ["| network | parameters | FLOPs | of the plain twin |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.name} | {row.params / 1e6:.3f} M | {row.flops / 1e6:.1f} M "
        f"| {row.params / plain.params:.1%} parameters, {row.flops / plain.flops:.1%} FLOPs |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--latency", action="store_true", help="also time them")
    parser.add_argument(
        "--model", type=Path, action="append", help=f"also this ONNX file; default {PEER}"
    )
    parser.add_argument("--engine", choices=latency.NAMES, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    files = arguments.model or [path for path in (PEER,) if path.exists()]
    if arguments.latency:
        timed = with_latency(files, arguments.engine or list(latency.NAMES), arguments.rounds)
        print(json.dumps(timed) if arguments.json else latency.table(timed))
    else:
        rows = costs()
        rows += [count_onnx(path) for path in files]
        print(json.dumps([asdict(row) for row in rows]) if arguments.json else table(rows))


if __name__ == "__main__":
    main()
