"""Effective receptive fields drawn per stage: which pixels a cell in the middle depends on.

    python -m models.receptive_field docs/receptive_fields.png
    python -m models.receptive_field fields.png --beside runs/twin/faceresnet.pt

The field of a stage is the mean, over crops, of the absolute gradient of the middle cell's outputs
by the pixels (W. Luo and others, arXiv 1701.04128). Rows: the released embedder, the same with the
random weights it began with, its plain twin with random weights, and other trained networks. A
field's width is the side of the smallest centred square with half, and with nine tenths, of the
whole.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from models import embedder
from models.data import read_packs
from models.views import to_input
from scsc.faceresnet import CROP, FaceResNet

Field = npt.NDArray[np.float64]  # (112, 112), adding up to 1
MARGIN = 24  # pixels of the drawing, for words
ZOOM = 2


def fields(network: FaceResNet, crops: torch.Tensor) -> list[Field]:
    """The field of each stage. crops: (N, 3, 112, 112) as the network takes them."""
    network.eval().requires_grad_(False)
    x = crops.clone().requires_grad_()
    result = []
    cells = network.stem(x)
    for stage in network.stages:
        cells = stage(cells)
        middle = cells[:, :, cells.shape[2] // 2, cells.shape[3] // 2]
        (gradient,) = torch.autograd.grad(middle.sum(), x, retain_graph=True)
        field = gradient.abs().sum((0, 1)).double().numpy()
        result.append(field / field.sum())
    return result


def width(field: Field, share: float) -> int:
    """Side in pixels of the smallest square around the middle that holds this share."""
    middle = len(field) // 2
    for reach in range(middle):
        square = field[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
        if square.sum() >= share:
            return 2 * reach + 1
    return len(field)


def drawing(rows: dict[str, list[Field]]) -> npt.NDArray[np.uint8]:
    """A picture (H, W, 3) BGR: a row per network, a column per stage, brighter is more."""
    side = CROP * ZOOM
    lines = []
    for name, stages in rows.items():
        tiles = []
        for i, field in enumerate(stages):
            # The fourth root, or the middle alone would be seen.
            shade = np.uint8(255 * (field / field.max()) ** 0.25)
            tile: Any = cv2.applyColorMap(np.asarray(shade), cv2.COLORMAP_INFERNO)
            tile = cv2.resize(tile, (side, side), interpolation=cv2.INTER_NEAREST)
            tile = cv2.copyMakeBorder(tile, MARGIN, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255,) * 3)
            text = f"stage {i + 1}: {width(field, 0.5)} / {width(field, 0.9)} px"
            cv2.putText(tile, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, 16)
            tiles.append(tile)
        line = np.hstack(tiles)
        line = cv2.copyMakeBorder(line, MARGIN, 0, 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
        cv2.putText(line, name, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, 16)
        lines.append(line)
    return np.asarray(np.vstack(lines), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="a PNG file")
    parser.add_argument("--weights", type=Path, default=Path("models/weights/scsc_faceresnet.pt"))
    parser.add_argument(
        "--beside", type=Path, nargs="*", default=[], help="further trained checkpoints"
    )
    parser.add_argument("--crops", type=Path, default=Path("../shared/data/identify.npz"))
    parser.add_argument("--count", type=int, default=64, help="crops")
    a = parser.parse_args()
    pixels = torch.from_numpy(read_packs([a.crops], a.count).crops).permute(0, 3, 1, 2)
    x = to_input(pixels)
    trained = embedder.load(a.weights)
    torch.manual_seed(0)
    rows = {
        "SCSC, trained": fields(trained, x),
        "SCSC, random weights": fields(FaceResNet(trained.config), x),
        "plain twin, random weights": fields(FaceResNet(embedder.config("faceresnet")), x),
    }
    for path in a.beside:
        rows[f"{path.stem}, trained beside"] = fields(embedder.load(path), x)
    cv2.imwrite(str(a.out), drawing(rows))
    for name, stages in rows.items():
        print(name, [(width(field, 0.5), width(field, 0.9)) for field in stages])


if __name__ == "__main__":
    main()
