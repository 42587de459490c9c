"""Packs of aligned face crops with a teacher's targets, and the views that training makes of them.

A pack is a .npz of the form that ../shared/data/README.md states. All randomness of a view comes
from (seed, number of the view), so that a resumed run sees the very views it would have seen.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Crops = npt.NDArray[np.uint8]  # (N, size, size, 3) RGB
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pack:
    """Decoded crops. A label is an identity, or -1 where it is unknown."""

    crops: Crops  # (N, 112, 112, 3) RGB
    teacher: Floats  # (N, D) of unit length
    label: npt.NDArray[np.int32]  # (N,)


@dataclass(frozen=True, eq=False)
class Batch:
    crops: Crops  # (B, size, size, 3) RGB
    teacher: Floats  # (B, D)
    label: npt.NDArray[np.int32]  # (B,)


def read_packs(paths: Sequence[Path], limit: int | None = None, threads: int = 4) -> Pack:
    """Read and decode packs into memory: 37.6 KB a crop. `limit` takes the first so many of each.

    Raises FileNotFoundError when there is none, ValueError for a crop that does not decode.
    """
    if not paths:
        raise FileNotFoundError("no training packs; expected files named train-*.npz")
    crops, teachers, labels = [], [], []
    for path in paths:
        with np.load(path) as arrays:
            count = len(arrays["label"]) if limit is None else min(limit, len(arrays["label"]))
            crops.append(_decode(arrays["webp"], arrays["offsets"][: count + 1], threads, path))
            scale = arrays["teacher_scale"][:count, None]
            teachers.append(arrays["teacher"][:count].astype(np.float32) * scale)
            labels.append(arrays["label"][:count])
    return Pack(np.concatenate(crops), np.concatenate(teachers), np.concatenate(labels))


def unit(vectors: Floats) -> Floats:
    """Vectors (N, D), each made of unit length."""
    result: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def _decode(
    stream: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], threads: int, path: Path
) -> Crops:
    """Pictures `stream[offsets[i]:offsets[i + 1]]` -> (N, 112, 112, 3) RGB."""
    crops = np.empty((len(offsets) - 1, 112, 112, 3), np.uint8)

    def decode(i: int) -> None:
        bgr = cv2.imdecode(stream[offsets[i] : offsets[i + 1]], cv2.IMREAD_COLOR)
        if bgr is None or bgr.shape != crops.shape[1:]:
            raise ValueError(f"{path.name}: crop {i} is not a 112x112 picture")
        crops[i] = bgr[:, :, ::-1]

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(decode, range(len(crops)), chunksize=64):
            pass
    return crops


def view_indices(count: int, first: int, number: int, seed: int) -> npt.NDArray[np.int64]:
    """Which crop each of the views first .. first + number - 1 shows: (number,) int64."""
    views = np.arange(first, first + number)
    result = np.empty(number, np.int64)
    for epoch in np.unique(views // count):
        order = _order(count, seed, int(epoch))
        inside = views // count == epoch
        result[inside] = order[views[inside] % count]
    return result


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(count)


def make_batch(
    pack: Pack,
    first: int,
    number: int,
    size: int,
    seed: int,
    pool: ThreadPoolExecutor,
    hard_share: float = 1.0,
) -> Batch:
    """Views first .. first + number - 1, augmented, at `size` pixels."""
    indices = view_indices(len(pack.crops), first, number, seed)

    def view(i: int) -> Crops:
        rng = np.random.default_rng((seed, 1, first + i))
        return augment(pack.crops[indices[i]], size, rng, hard_share)

    crops = np.stack(list(pool.map(view, range(number))))
    return Batch(crops, pack.teacher[indices], pack.label[indices])


def augment(crop: Crops, size: int, rng: np.random.Generator, hard_share: float = 1.0) -> Crops:
    """One view of a crop as a face in the world varies: (112, 112, 3) -> (size, size, 3) uint8.

    Mirror, shift, scale and rotation; then, for `hard_share` of the views, light and colour; grey;
    blur; low resolution; JPEG; occlusion. Strengths stay where a person would still know the face.
    """
    chance = rng.random(8)
    image: npt.NDArray[Any] = _warp(crop, rng, mirror=bool(chance[0] < 0.5))
    if chance[7] >= hard_share:
        return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    if chance[1] < 0.15:  # a small face, enlarged
        small = int(rng.integers(20, 72))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (112, 112), interpolation=cv2.INTER_LINEAR)
    if chance[2] < 0.1:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2.0)))
    if size != 112:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    if chance[3] < 0.8:
        image = _light(image, rng)
    if chance[4] < 0.1:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if chance[5] < 0.1:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
        encoded = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    if chance[6] < 0.1:
        _occlude(image, rng)
    return image.astype(np.uint8, copy=False)


def _warp(crop: Crops, rng: np.random.Generator, mirror: bool) -> Crops:
    """A similarity transform about the centre, border replicated as the crops themselves have."""
    angle = float(np.clip(rng.normal(0, 5), -15, 15))
    scale = float(np.exp(np.clip(rng.normal(0, 0.05), -0.15, 0.15)))
    matrix = cv2.getRotationMatrix2D((55.5, 55.5), angle, scale)
    matrix[:, 2] += np.clip(rng.normal(0, 2.0, 2), -6, 6)
    if mirror:
        matrix = matrix @ np.array([[-1, 0, 111], [0, 1, 0], [0, 0, 1]], np.float64)
    return np.asarray(
        cv2.warpAffine(crop, matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _light(image: npt.NDArray[Any], rng: np.random.Generator) -> Crops:
    """Gamma, contrast and a slight tint, as one table per channel."""
    ramp = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.2))
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.05, 3))
    table = ((ramp - 0.5) * gain + 0.5 + rng.normal(0, 0.06)) * 255
    return np.asarray(
        cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8).reshape(256, 1, 3)), np.uint8
    )


def _occlude(image: npt.NDArray[Any], rng: np.random.Generator) -> None:
    """Cover a rectangle of up to a fifth of the picture with one colour, in place."""
    side = len(image)
    height, width = (int(n) for n in rng.integers(side // 8, side * 9 // 20, 2))
    top, left = int(rng.integers(0, side - height)), int(rng.integers(0, side - width))
    image[top : top + height, left : left + width] = rng.integers(0, 256, 3)
