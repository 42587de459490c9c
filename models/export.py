"""A checkpoint becomes an ONNX file, and is only kept when both give the same embeddings.

    python -m models.export runs/scsc/scsc_faceresnet.pt models/weights/scsc_faceresnet.onnx

Reads a released checkpoint or the checkpoint of a run (then its averaged weights). What is written
is the fused form in blocks (scsc/fuse.py, scsc/blocks.py), what it is held against is the trained
one. The file takes "crops" (N, 3, 112, 112) float32 and gives "embedding" (N, dim), not yet of unit
length. Its int8 and bf16 forms are made from it by models/quantize.py.
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F

from models import embedder
from models.weights import sha256_of
from scsc.blocks import in_blocks
from scsc.faceresnet import CROP, FaceResNet
from scsc.fuse import fuse

LEAST_COSINE = 0.9999


class ParityError(Exception):
    """The exported network does not give the embeddings of the trained one."""


def export(network: FaceResNet, path: Path) -> float:
    """Write the network as ONNX and return the least cosine between the two on 32 crops.

    Raises ParityError, and leaves what was at `path`, when it is below 0.9999.
    """
    network = network.eval()
    crops = _crops(32)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        beside = Path(folder) / path.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about its insides
            torch.onnx.export(
                in_blocks(fuse(network)),
                (crops[:2],),
                beside,
                input_names=["crops"],
                output_names=["embedding"],
                dynamic_shapes={"x": {0: torch.export.Dim("faces", min=1, max=4096)}},
                external_data=False,
                dynamo=True,
                verbose=False,
            )
        _strip(beside)
        least = parity(network, beside, crops)
        if least < LEAST_COSINE:
            raise ParityError(f"{path.name}: cosine {least:.6f} to PyTorch, below {LEAST_COSINE}")
        os.replace(beside, path)
    return least


def _strip(path: Path) -> None:
    """Take out what the exporter noted about this machine: a stack of source lines per node."""
    model = onnx.load(path)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    onnx.save(model, path)


def parity(network: FaceResNet, path: Path, crops: torch.Tensor) -> float:
    """The least cosine between PyTorch's and ONNX Runtime's embeddings of crops (N, 3, H, W)."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: crops.numpy()})[0])
    with torch.no_grad():
        mine = network(crops)
    return float(F.cosine_similarity(mine, theirs).min())


def _crops(count: int) -> torch.Tensor:
    """Smooth pictures and noise, (count, 3, 112, 112) in -1..1: no photograph is needed."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 7, 7, generator=generator) * 2 - 1
    smooth = F.interpolate(coarse, (CROP, CROP), mode="bicubic")
    noise = torch.randn(count, 3, CROP, CROP, generator=generator) * 0.1
    return (smooth + noise).clamp(-1, 1)


def read(path: Path) -> FaceResNet:
    """The network of a released checkpoint, or the averaged one of a run's checkpoint."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if "average" not in content:
        return embedder.load(path)
    network = FaceResNet(embedder.config(content["settings"]["name"]))
    network.load_state_dict(content["average"])
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("onnx", type=Path, help="file to write; its PyTorch twin lands beside it")
    arguments = parser.parse_args()
    network = read(arguments.checkpoint)
    least = export(network, arguments.onnx)
    twin = arguments.onnx.with_suffix(".pt")
    embedder.save(network, twin)
    print(f"least cosine to PyTorch {np.floor(least * 1e6) / 1e6:.6f}")
    for path in (arguments.onnx, twin):
        print(f"{sha256_of(path)}  {path.name}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
