"""Doubles of the seams that need slow or absent weights: a network and a detector."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from app.entities import Face, Floats, Image
from app.pipeline.align import TEMPLATE
from app.pipeline.embed import Embedder
from models.catalog import ModelCard


def embedder_card(dim: int = 8, *, colour: Literal["RGB", "BGR"] = "RGB") -> ModelCard:
    return ModelCard(
        name="double",
        task="embedder",
        file="double.onnx",
        sha256="",
        licence="Apache-2.0",
        origin="tests",
        input_size=112,
        colour=colour,
        mean=127.5,
        std=127.5,
        dim=dim,
        threshold=0.5,
    )


class PixelRuntime:
    """Projects the picture's 8 x 8 means at random, but the same each time: equal in, equal out."""

    name = "double"

    def __init__(self, dim: int = 8) -> None:
        self.weights = np.random.default_rng(0).normal(size=(3 * 64, dim)).astype(np.float32)
        self.batches: list[int] = []  # sizes of the batches that ran
        self.closed = False

    def run(self, batch: Floats) -> Floats:
        self.batches.append(len(batch))
        count, _, height, width = batch.shape
        means = batch.reshape(count, 3, 8, height // 8, 8, width // 8).mean((3, 5))
        return np.asarray(means.reshape(count, -1) @ self.weights + 1e-3, np.float32)

    def close(self) -> None:
        self.closed = True


class ListedDetector:
    """Finds in every picture the faces that it was given."""

    name = "double"

    side = 1024

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)
        self.closed = False

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        return [list(self.faces) for _ in images]

    def close(self) -> None:
        self.closed = True


def face(left: float = 0, top: float = 0, side: float = 112, score: float = 0.9) -> Face:
    """A face that looks straight ahead in the square at (left, top)."""
    corner = np.array([left, top], np.float32)
    box = np.concatenate([corner, corner + side]).astype(np.float32)
    return Face(box, (TEMPLATE * (side / 112) + corner).astype(np.float32), score)


def picture(height: int = 240, width: int = 320, seed: int = 0) -> Image:
    """Noise: sharp everywhere, of middling brightness, and no face of a person."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def embedder(dim: int = 8) -> Embedder:
    return Embedder(PixelRuntime(dim), embedder_card(dim), "0" * 64)
