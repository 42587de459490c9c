"""Batches of views where the network is: made by OpenCV on the host, or on the GPU itself."""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from models import augment, catalog
from models.data import Batch, Pack, make_batch, view_indices

CARD = catalog.card("scsc_faceresnet")  # how pixels become the network's input
AHEAD = 4  # batches that the host prepares while the network works


@dataclass(frozen=True)
class Views:
    """A batch as the network takes it, and what it shall learn of it; all on its device."""

    pixels: torch.Tensor  # (B, 3, S, S) float32 in -1..1, channels-last
    teacher: torch.Tensor  # (B, D) of unit length
    label: torch.Tensor  # (B,) int64; -1 where unknown


def to_input(pixels: torch.Tensor) -> torch.Tensor:
    """(B, 3, S, S) of 0..255 -> the network's input, channels-last."""
    x = pixels.float().sub(CARD.mean).div(CARD.std)
    return x.contiguous(memory_format=torch.channels_last)


def host_views(
    pack: Pack,
    batches: Iterator[tuple[int, int]],
    number: int,
    seed: int,
    hard_share: float,
    threads: int = os.cpu_count() or 2,
) -> Iterator[Views]:
    """`number` views from each (first view, size); some batches are prepared ahead."""
    with ThreadPoolExecutor(threads) as workers, ThreadPoolExecutor(1) as ahead:

        def submit(first: int, size: int) -> Future[Batch]:
            return ahead.submit(make_batch, pack, first, number, size, seed, workers, hard_share)

        waiting = [submit(*batch) for batch in itertools.islice(batches, AHEAD)]
        while waiting:
            made = waiting.pop(0).result()
            waiting.extend(submit(*batch) for batch in itertools.islice(batches, 1))
            crops = torch.from_numpy(made.crops).permute(0, 3, 1, 2)  # a view: channels stay last
            teacher, label = torch.from_numpy(made.teacher), torch.from_numpy(made.label)
            yield Views(to_input(crops), teacher, label.long())


def device_views(
    pack: Pack,
    batches: Iterator[tuple[int, int]],
    number: int,
    seed: int,
    hard_share: float,
    device: torch.device,
) -> Iterator[Views]:
    """The same on a GPU, which holds the whole pack: 37.6 KB a crop.

    The changes are drawn once for a batch, so here a view is a function of (seed, number of the
    batch's first view) and its place in the batch.
    """
    crops = torch.from_numpy(pack.crops).to(device)
    teacher = torch.from_numpy(pack.teacher).to(device)
    label = torch.from_numpy(pack.label).to(device).long()
    for first, size in batches:
        rows = torch.from_numpy(view_indices(len(pack.crops), first, number, seed)).to(device)
        rng = np.random.default_rng((seed, 2, first))
        pixels = augment.enhance(augment.augment(crops[rows], size, rng, hard_share))
        yield Views(to_input(pixels), teacher[rows], label[rows])
