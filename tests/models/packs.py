"""Small packs of drawn crops, in the form of the training data, for the tests of `models`."""

from pathlib import Path

import cv2
import numpy as np


def write_pack(path: Path, people: int = 6, each: int = 8, seed: int = 0) -> Path:
    """A pack of `people * each` blurred colour patterns, one pattern and one target per person."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(people, dtype=np.int32), each)
    patterns = rng.integers(0, 256, (people, 6, 6, 3)).astype(np.uint8)
    streams = []
    for person in label:
        noisy = patterns[person].astype(np.int64) + rng.integers(-20, 20, (6, 6, 3))
        crop = cv2.resize(np.clip(noisy, 0, 255).astype(np.uint8), (112, 112))
        streams.append(cv2.imencode(".webp", crop)[1].ravel())
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in streams])]).astype(np.int64)
    targets = rng.normal(size=(people, 256))[label] + rng.normal(size=(len(label), 256)) * 0.1
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    scale = np.abs(targets).max(1) / 127
    np.savez(
        path,
        webp=np.concatenate(streams),
        offsets=offsets,
        label=label,
        teacher=np.round(targets / scale[:, None]).astype(np.int8),
        teacher_scale=scale.astype(np.float32),
    )
    return path
