"""Pictures for requests: photographs inside installed packages, and what can be made of them."""

import struct
import zlib
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as Pil

from tests.doubles import picture


def inside(package: str, name: str) -> bytes:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / name).read_bytes()


def encoded(image: Pil.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def astronaut() -> Pil.Image:
    """One face."""
    return Pil.open(BytesIO(inside("skimage", "data/astronaut.png"))).crop((80, 0, 380, 280))


def one_face() -> bytes:
    return encoded(astronaut())


def same_face() -> bytes:
    """Another picture of that face: mirrored and a little darker."""
    turned = astronaut().transpose(Pil.Transpose.FLIP_LEFT_RIGHT)
    return encoded(turned.point(lambda value: value * 0.9), "JPEG", quality=90)


def six_faces() -> bytes:
    return inside("insightface", "data/images/t1.jpg")


def no_face() -> bytes:
    return encoded(Pil.fromarray(picture(96, 128)))


def huge_header() -> bytes:
    """A PNG that claims 60,000 x 60,000 pixels and has none."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return b"\x89PNG\r\n\x1a\n" + chunk


def animated() -> bytes:
    first, second = Pil.fromarray(picture(32, 32)), Pil.fromarray(picture(32, 32, seed=1))
    return encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)


def cmyk() -> bytes:
    return encoded(astronaut().convert("CMYK"), "JPEG", quality=95)


def grey_16_bit() -> bytes:
    grey = np.asarray(astronaut().convert("L"), np.uint16) * 257
    return encoded(Pil.fromarray(grey))


def truncated() -> bytes:
    whole = encoded(astronaut(), "JPEG", quality=90)
    return whole[: len(whole) // 3]
