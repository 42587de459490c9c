"""Photographs as a caller sends them: JPEG files of several sizes.

The large ones are enlarged from those of installed packages. Archives of others, LFW's say, are
only read.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from app.commands.demo import jpeg
from app.commands.samples import astronaut, group
from app.entities import Image

QUALITY = 90
GROUP_SIDES = (640, 1280, 4000)  # the last is that of a phone's 12 megapixels


@dataclass(frozen=True)
class Photograph:
    name: str
    data: bytes  # JPEG


def photographs(archive: Path | None = None, count: int = 8) -> list[Photograph]:
    """One of a person, three of six people, and of a zip of photographs so many."""
    made = [Photograph("one face, 512 x 512", jpeg(astronaut(), QUALITY))]
    for side in GROUP_SIDES:
        image = resized(group(), side)
        height, width = image.shape[:2]
        made.append(Photograph(f"six faces, {width} x {height}", jpeg(image, QUALITY)))
    return made if archive is None else [*made, *_of_archive(archive, count)]


def resized(image: Image, side: int) -> Image:
    """With its longer side that long."""
    scale = side / max(image.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=way), np.uint8)


def _of_archive(archive: Path, count: int) -> list[Photograph]:
    with zipfile.ZipFile(archive) as opened:
        names = sorted(n for n in opened.namelist() if n.lower().endswith((".jpg", ".jpeg")))
        chosen = names[:: max(1, len(names) // count)][:count]
        return [Photograph(archive.stem, opened.read(name)) for name in chosen]
