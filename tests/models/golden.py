"""Golden embeddings of the released network on drawn crops.

python -m tests.models.golden    # writes golden.json; after new weights were released
"""

import json
from pathlib import Path

import numpy as np

from models import catalog, weights
from models.evaluate.embedders import onnx_embedder
from tests.models.evaluate.drawn import pattern

FILE = Path(__file__).with_name("golden.json")
DECIMALS = 4


def crops() -> np.ndarray:
    """Three drawn crops, (3, 112, 112, 3): smooth colours, a ramp of light, an even grey."""
    ramp = np.linspace(0, 255, 112).astype(np.uint8)[:, None, None]
    lit = np.broadcast_to(ramp, (112, 112, 3)) // np.array([1, 2, 3], np.uint8)
    grey = np.full((112, 112, 3), 128, np.uint8)
    return np.stack([pattern(np.random.default_rng(0)), lit, grey])


def embeddings() -> np.ndarray:
    """Of the released ONNX file, (3, D) of unit length."""
    return onnx_embedder(weights.find(catalog.card("scsc_faceresnet"))).embed(crops())


def main() -> None:
    rows = [[round(float(value), DECIMALS) for value in row] for row in embeddings()]
    content = {"sha256": catalog.card("scsc_faceresnet").sha256, "embeddings": rows}
    FILE.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
