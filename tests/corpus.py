"""Real picture files of every accepted format, and how they are spoilt.

The pictures are photographs inside installed packages and drawings; each is written by the encoders
of Pillow, OpenCV and libheif with several options, so that their files differ in structure too.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Pil
from PIL import ImageDraw

from app.pipeline.formats import Kind
from tests.photographs import file_in

KINDS: tuple[Kind, ...] = ("JPEG", "PNG", "WEBP", "BMP", "AVIF", "HEIC")
PHOTOGRAPHS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/retina.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("insightface", "data/images/t1.jpg"),
)
SIDES = (9, 33, 64, 120)  # pixels, longer side
MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "RGBA", "L", "P", "1"),
    "AVIF": ("RGB", "RGBA"),
    "HEIC": ("RGB", "RGBA", "L"),
}
OPTIONS: dict[str, tuple[dict[str, object], ...]] = {
    "JPEG": ({}, {"progressive": True}, {"subsampling": 0, "restart_marker_blocks": 1}),
    "PNG": ({}, {"compress_level": 0}, {"optimize": True}),
    "WEBP": ({}, {"lossless": True}, {"method": 0, "quality": 20}),
    "BMP": ({},),
    "AVIF": ({"speed": 10}, {"speed": 10, "subsampling": "4:0:0"}),
    "HEIC": ({"quality": 50},),
}
OPENCV = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp"}


@cache
def corpus(kind: Kind) -> tuple[bytes, ...]:
    """Some dozens of sound files."""
    files = [
        encoded(picture.convert("L" if mode == "I;16" else mode), kind, mode, options)
        for picture in _pictures()
        for mode in MODES[kind]
        for options in OPTIONS[kind]
    ]
    if kind in OPENCV:
        for picture in _pictures():
            _, file = cv2.imencode(OPENCV[kind], np.asarray(picture))
            files.append(file.tobytes())
    return tuple(files)


def encoded(picture: Pil.Image, kind: Kind, mode: str, options: dict[str, object]) -> bytes:
    file = BytesIO()
    exif = Pil.Exif()
    exif[0x0112] = 6
    if mode == "I;16":
        picture = Pil.fromarray(np.asarray(picture, np.uint16) * 257)
    if kind == "HEIC":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(file, exif=exif.tobytes(), **options)
        return file.getvalue()
    if kind != "BMP":
        options = {**options, "exif": exif, "icc_profile": bytes(64)}
    picture.save(file, kind, **options)
    return file.getvalue()


def _pictures() -> Iterator[Pil.Image]:
    for number, (package, name) in enumerate(PHOTOGRAPHS):
        with Pil.open(file_in(package, name)) as photograph:
            picture = photograph.convert("RGB")
        side = SIDES[number % len(SIDES)]
        picture.thumbnail((side, side))
        yield picture
    drawing = Pil.new("RGB", (48, 40), "navy")
    ImageDraw.Draw(drawing).ellipse((4, 4, 40, 30), "orange", "white")
    yield drawing


# Spoiling. Each takes a file and gives another.

SIZES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
STARTS = (
    b"%PDF-1.7\n",
    b"<?php ?>",
    b"GIF89a",
    b"PK\x03\x04",
    b"\xff\xd8\xff\xe0",
    b"BM",
    b"\0" * 8,
)


def spoilt(kind: Kind, number: int, seed: int) -> bytes:
    """The file of this number: the same each time."""
    chance = random.Random(f"{seed} {kind} {number}")
    data = chance.choice(corpus(kind))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        data = chance.choice(WAYS)(data, chance)
    # A spoilt checksum alone would end most PNG files before the decoder.
    return _checksummed(data) if kind == "PNG" and chance.random() < 0.7 else data


def _place(data: bytes, chance: random.Random) -> int:
    """Half of them in the head, where the structure is."""
    return chance.randrange(max(1, min(len(data), chance.choice((64, 600, len(data))))))


def _bits(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 4, 32))):
        if out:
            out[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _numbers(data: bytes, chance: random.Random) -> bytes:
    """A size of the structure replaced by a telling one."""
    form = chance.choice(("<H", ">H", "<I", ">I"))
    value = chance.choice(SIZES) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    place = _place(data, chance)
    return data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: _place(data, chance)]


def _taken_out(data: bytes, chance: random.Random) -> bytes:
    place = _place(data, chance)
    return data[:place] + data[place + chance.randrange(1, 64) :]


def _repeated(data: bytes, chance: random.Random) -> bytes:
    place = _place(data, chance)
    piece = data[place : place + chance.randrange(1, 256)]
    return data[:place] + piece * chance.choice((2, 3, 200)) + data[place:]


def _filled(data: bytes, chance: random.Random) -> bytes:
    place, count = _place(data, chance), chance.choice((1, 16, 4096))
    return data[:place] + chance.choice((b"\0", b"\xff")) * count + data[place + count :]


def _joined(data: bytes, chance: random.Random) -> bytes:
    """The head of one with the rest of another, of any kind."""
    other = chance.choice(corpus(chance.choice(KINDS)))
    return data[: _place(data, chance)] + other[_place(other, chance) :]


def _two_kinds(data: bytes, chance: random.Random) -> bytes:
    """A polyglot: another kind's file in front, behind, or in the middle."""
    other = chance.choice((chance.choice(STARTS), chance.choice(corpus(chance.choice(KINDS)))))
    place = chance.choice((0, len(data), _place(data, chance)))
    return data[:place] + other + data[place:]


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_bits, _bits, _numbers, _numbers),
    *(_cut, _taken_out, _repeated, _filled, _joined, _two_kinds),
)


def _checksummed(data: bytes) -> bytes:
    """A PNG whose chunks all have their right checksum again."""
    out, place = bytearray(data), 8
    while place + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, place)
        end = place + 8 + length
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[place + 4 : end]))
        place = end + 4
    return bytes(out)
