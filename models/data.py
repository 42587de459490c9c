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

from models.coverings import cover
from models.low_light import enhanced

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
    """Views first .. first + number - 1, augmented, at `size` pixels, dark ones enhanced."""
    indices = view_indices(len(pack.crops), first, number, seed)

    def view(i: int) -> Crops:
        rng = np.random.default_rng((seed, 1, first + i))
        (crop,) = enhanced(augment(pack.crops[indices[i]], size, rng, hard_share)[None])
        return np.asarray(crop, np.uint8)

    crops = np.stack(list(pool.map(view, range(number))))
    return Batch(crops, pack.teacher[indices], pack.label[indices])


def augment(crop: Crops, size: int, rng: np.random.Generator, hard_share: float = 1.0) -> Crops:
    """One view of a crop as a face in the world varies: (112, 112, 3) -> (size, size, 3) uint8.

    Mirror, shift, scale and rotation; then, for `hard_share` of the views, something that covers a
    part; low resolution; blur; light and colour; shade; darkness; grey; JPEG. Strengths stay where
    a person would still know most of the faces.
    """
    chance = rng.random(10)
    hard = bool(chance[7] < hard_share)
    image: npt.NDArray[Any] = cover(crop, rng) if hard and chance[6] < 0.3 else crop
    image = _warp(image, rng, mirror=bool(chance[0] < 0.5))
    if not hard:
        return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    if chance[1] < 0.2:  # a small face, enlarged
        small = small_side(rng)
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (112, 112), interpolation=cv2.INTER_LINEAR)
    if chance[2] < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 3.0)))
    if size != 112:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    if chance[3] < 0.8:
        image = _light(image, rng)
    if chance[8] < 0.15:
        image = _shade(image, rng)
    if chance[9] < 0.15:
        image = _darken(image, rng)
    if chance[4] < 0.1:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if chance[5] < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 70))]
        encoded = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image.astype(np.uint8, copy=False)


def small_side(rng: np.random.Generator) -> int:
    """The side of a small face in pixels, before it is enlarged; evenly by its logarithm."""
    return round(float(np.exp(rng.uniform(np.log(14), np.log(72)))))


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


def _shade(image: npt.NDArray[Any], rng: np.random.Generator) -> Crops:
    """Light from one side, along any direction."""
    turned, least = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.9)
    place = np.linspace(-1, 1, len(image))
    along = np.cos(turned) * place[None, :] + np.sin(turned) * place[:, None]
    gain = np.clip((1 + least) / 2 + (1 - least) / 2 * along, 0, 1)
    return np.asarray((image * gain[:, :, None]).round(), np.uint8)


def _darken(image: npt.NDArray[Any], rng: np.random.Generator) -> Crops:
    """Little light, and the noise of a sensor."""
    grain = rng.normal(0, rng.uniform(1, 8), image.shape)
    dark = image * rng.uniform(0.15, 0.7) + grain
    return np.clip(dark, 0, 255).round().astype(np.uint8)
