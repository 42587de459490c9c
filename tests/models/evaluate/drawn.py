"""Drawn people and an embedder of their colours, for tests of the protocols."""

import cv2
import numpy as np


def colours(crops):
    """An embedder of drawn crops: their coarse colours about the mean."""
    small = np.stack([cv2.resize(crop, (6, 6), interpolation=cv2.INTER_AREA) for crop in crops])
    flat = small.reshape(len(crops), -1).astype(np.float32) - 127.5
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def pattern(rng):
    """A crop of smooth colours, (112, 112, 3)."""
    return cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (112, 112))
