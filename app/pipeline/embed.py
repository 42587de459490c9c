"""Crops -> embeddings (N, D) float32 of unit length, and what makes them comparable."""

import hashlib
import json

import numpy as np

from app.entities import Contract, Floats, Image
from app.errors import SettingsError, Unavailable
from app.runtime.base import Runtime
from models.catalog import ModelCard
from models.low_light import enhanced


def contract_of(card: ModelCard, sha256: str) -> Contract:
    """`sha256` is the model file's; the runtime does not count, as the numbers of all agree."""
    facts = {
        "file": sha256,
        "input_size": card.input_size,
        "colour": card.colour,
        "mean": card.mean,
        "std": card.std,
        "dim": card.dim,
    }
    text = json.dumps(facts, sort_keys=True)
    return Contract(hashlib.sha256(text.encode()).hexdigest()[:16], card.name, card.dim)


def preprocess(crops: Image, card: ModelCard) -> Floats:
    """(N, H, W, 3) RGB uint8 -> (N, 3, H, W) float32, in the card's colour order and range.

    Dark and noisy crops are enhanced; contracts do not know of it, as others stay as they are.
    """
    seen = enhanced(crops)
    ordered = seen[..., ::-1] if card.colour == "BGR" else seen
    planes = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), np.float32)
    planes -= card.mean
    planes /= card.std
    return planes


def normalised(vectors: Floats) -> Floats:
    """(N, D) -> rows of unit length. A network that gives zeros or no numbers at all is broken."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or np.any(lengths < 1e-12):
        raise Unavailable("the network gave a vector without a direction")
    unit: Floats = vectors / lengths
    return unit


class Embedder:
    """One network with its card. Thread-safe as its runtime is."""

    def __init__(self, runtime: Runtime, card: ModelCard, sha256: str) -> None:
        self.runtime = runtime
        self.card = card
        self.contract = contract_of(card, sha256)
        self._check()

    def embed(self, crops: Image) -> Floats:
        """(N, 112, 112, 3) -> (N, D) float32 of unit length."""
        return normalised(self.runtime.run(preprocess(crops, self.card)))

    def close(self) -> None:
        self.runtime.close()

    def _check(self) -> None:
        """A run on two grey crops finds a file that does not fit before the first request does."""
        side = self.card.input_size
        grey = np.full((2, side, side, 3), 128, np.uint8)
        try:
            shape = self.runtime.run(preprocess(grey, self.card)).shape
        except Unavailable as exc:
            raise SettingsError(
                f"the file of {self.card.name} does not take (N, 3, {side}, {side}) for any N"
            ) from exc
        if shape != (2, self.card.dim):
            raise SettingsError(
                f"the file of {self.card.name} gives {shape[1:]}, its card says ({self.card.dim},)"
            )
