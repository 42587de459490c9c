"""Whatever gives embeddings of aligned crops: an ONNX file, a checkpoint, a running service."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import catalog, engines, photos
from models.data import unit
from models.low_light import enhanced

Crops = npt.NDArray[np.uint8]  # (N, 112, 112, 3) RGB
Floats = npt.NDArray[np.float32]
Embed = Callable[[Crops], Floats]  # -> (N, D) of unit length
BATCH = 16


@dataclass(frozen=True, eq=False)
class Embedder:
    name: str
    embed: Embed
    file: Path | None = None  # the ONNX file, where there is one: its cost can be counted


def onnx_embedder(
    path: Path, engine: str = "onnxruntime", threads: int = 0, name: str = "", raw: bool = False
) -> Embedder:
    """An embedder from an ONNX file that takes what the product's takes: RGB in -1..1.

    It is called by the name of its file, unless told otherwise, and by its engine. `raw`: without
    what the service does for dark and noisy crops.
    """
    run = engines.open_file(path, engine, BATCH, threads)

    def embed(crops: Crops) -> Floats:
        parts = []
        for i in range(0, len(crops), BATCH):
            x = network_input(crops[i : i + BATCH], raw)
            missing = np.zeros((BATCH - len(x), *x.shape[1:]), np.float32)
            parts.append(run(np.concatenate([x, missing]))[: len(x)])
        return unit(np.concatenate(parts))

    name = name or path.stem
    return Embedder(name if engine == "onnxruntime" else f"{name}, {engine}", embed, path)


def torch_embedder(path: Path, batch: int = 64, name: str = "", raw: bool = False) -> Embedder:
    """An embedder from a released checkpoint or the checkpoint of a run."""
    import torch

    from models.export import read

    network = read(path)

    def embed(crops: Crops) -> Floats:
        parts = []
        for i in range(0, len(crops), batch):
            x = network_input(crops[i : i + batch], raw)
            with torch.no_grad():
                parts.append(network(torch.from_numpy(x)).numpy())
        return unit(np.concatenate(parts))

    return Embedder(name or path.stem, embed)


def service_embedder(service: photos.Service) -> Embedder:
    """The embedder of a running service, whatever its model and runtime are."""
    return Embedder(service.url, lambda crops: unit(photos.embeddings(crops, service)))


def network_input(crops: Crops, raw: bool = False) -> Floats:
    """(N, 112, 112, 3) uint8 -> (N, 3, 112, 112) as the product's card says.

    Dark and noisy crops are enhanced, as the service does, unless they are wanted raw.
    """
    card = catalog.card("scsc_faceresnet")
    seen = crops if raw else enhanced(crops)
    x = (seen.astype(np.float32) - card.mean) / card.std
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)
