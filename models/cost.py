"""What the embedders cost: parameters and FLOPs at 112x112, the twins beside each other.

    python -m models.cost            # a table
    python -m models.cost --json     # [{"name", "params", "flops", ...}, ...]

FLOPs are multiply-adds of one crop, counted over convolutions, linear maps and the pooling head,
as the literature counts them; norms, activations and the routed sum are left out.
"""

import argparse
import json
from dataclasses import asdict, dataclass

import torch
from torch import nn

from models import embedder
from scsc.faceresnet import CROP, FaceResNet, GlobalDepthwise


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


def costs() -> list[Cost]:
    """The cost of every embedder of `models.embedder`."""
    example = torch.zeros(1, 3, CROP, CROP)
    return [
        Cost(name, *count(FaceResNet(config), example)) for name, config in embedder.CONFIGS.items()
    ]


def table(rows: list[Cost]) -> str:
    """Markdown, each row beside the plain twin."""
    plain = next(row for row in rows if row.name == "faceresnet")
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
    rows = costs()
    print(json.dumps([asdict(row) for row in rows]) if parser.parse_args().json else table(rows))


if __name__ == "__main__":
    main()
