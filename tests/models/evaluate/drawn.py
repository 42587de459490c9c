"""Drawn people and an embedder of their colours, for tests of the protocols."""

import zipfile
from pathlib import Path

import cv2
import numpy as np

# LFW's list of pairs in two folds, each one pair of one person and one of two.
PAIRS = "2\t1\nA\t1\t2\nA\t1\tB\t1\nB\t1\t2\nB\t2\tA\t1\n"


def colours(crops):
    """An embedder of drawn crops: their coarse colours about the mean."""
    small = np.stack([cv2.resize(crop, (6, 6), interpolation=cv2.INTER_AREA) for crop in crops])
    flat = small.reshape(len(crops), -1).astype(np.float32) - 127.5
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def pattern(rng):
    """A crop of smooth colours, (112, 112, 3)."""
    return cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (112, 112))


def write_lfw(folder: Path) -> Path:
    """An archive in LFW's form: PAIRS of four photographs, which are empty."""
    path = folder / "lfw.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pairs.txt", PAIRS)
        for name in ("A/A_0001", "A/A_0002", "B/B_0001", "B/B_0002"):
            archive.writestr(f"lfw/{name}.jpg", b"")
    return path
