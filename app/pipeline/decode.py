"""Bytes -> picture: (H, W, 3) RGB uint8, turned as its EXIF says, within limits.

The order is the safety: bytes are counted, the kind is told from the content, the claimed pixels
are counted, and only then is anything decoded. Each format's own parser is called directly, because
`PIL.Image.open` tries every format it knows and answers large sizes with process-wide warnings.

A JPEG can be decoded at a half, a quarter or an eighth of its size for much less time and memory:
that is enough to find faces in, and mostly to cut them from.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from threading import BoundedSemaphore
from typing import NoReturn

import numpy as np
from PIL import Image as Pil
from PIL import features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.entities import Image
from app.errors import CorruptImage, ImageTooLarge, UnsupportedImage
from app.pipeline.formats import (
    Kind,
    claimed_size,
    excess,
    kind_of,
    orientation_of,
    refused_name,
)


class _Jpeg(JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Not wanted here, and of a broken EXIF block it would warn."""


def _avif(file: BytesIO) -> ImageFile:
    if not features.check("avif"):
        raise UnsupportedImage("this installation reads no AVIF; send JPEG or PNG")
    return AvifImageFile(file)


def _heic(file: BytesIO) -> ImageFile:
    try:
        from pi_heif import HeifImageFile  # late: an extra
    except ImportError as exc:
        raise UnsupportedImage(
            "this installation reads no HEIC (the extra `heic`); send JPEG or PNG"
        ) from exc
    parser: Callable[[BytesIO], ImageFile] = HeifImageFile
    return parser(file)


_READ = "JPEG, PNG, WebP, BMP, AVIF and HEIC are read"
_PARSERS: dict[Kind, Callable[[BytesIO], ImageFile]] = {
    "JPEG": _Jpeg,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "AVIF": _avif,
    "HEIC": _heic,
}
_TURNS = {  # EXIF orientation -> what undoes it
    2: Pil.Transpose.FLIP_LEFT_RIGHT,
    3: Pil.Transpose.ROTATE_180,
    4: Pil.Transpose.FLIP_TOP_BOTTOM,
    5: Pil.Transpose.TRANSPOSE,
    6: Pil.Transpose.ROTATE_270,
    7: Pil.Transpose.TRANSVERSE,
    8: Pil.Transpose.ROTATE_90,
}
_FACTORS = (8, 4, 2)  # by which libjpeg decodes a picture smaller
_LYING = 5  # EXIF orientations from here on swap width and height
# The largest pictures go two at a time: one of 40 megapixels takes 0.4 to 0.7 GB while decoded.
_LARGE = 16_000_000  # pixels
_FEW = BoundedSemaphore(2)


@dataclass(frozen=True)
class ImageLimits:
    """Refused beyond these: bytes of the file, and pixels (width x height) that it claims."""

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 40_000_000


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture, maybe decoded at a fraction of its size.

    A pixel of `image` stands for `factor` x `factor` of the whole; those at the right and the
    bottom edge may stand for fewer.
    """

    image: Image
    width: int  # pixels of the whole, turned
    height: int
    factor: int  # 1, 2, 4 or 8
    whole: Callable[[], Image]  # decodes it at its full size; raises as decode_image


def decode_image(data: bytes, limits: ImageLimits) -> Image:
    """Raises ImageTooLarge, UnsupportedImage or CorruptImage, each with a sentence."""
    return decode_photo(data, limits, None).image


def decode_photo(data: bytes, limits: ImageLimits, side: int | None) -> Photo:
    """A JPEG as small as libjpeg makes it with the longer side still `side` pixels or more; other
    pictures, and with None all, in full. The limits count the full size. Raises as decode_image."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the file has {len(data)} bytes, the limit is {limits.max_bytes}")
    kind = kind_of(data)
    if kind is None:
        _refuse(data)
    size = claimed_size(kind, data)
    if size is not None:
        _check_pixels(size, limits)
    if excessive := excess(kind, data):
        raise UnsupportedImage(f"the {kind} file has {excessive}, which is not read")
    try:
        return _decoded(kind, data, limits, side)
    except (ImageTooLarge, UnsupportedImage, CorruptImage):
        raise
    except Exception as exc:  # a parser fed with hostile bytes may raise nearly anything
        raise CorruptImage(f"the file begins as {kind} and cannot be decoded") from exc


def _decoded(kind: Kind, data: bytes, limits: ImageLimits, side: int | None) -> Photo:
    picture = _PARSERS[kind](BytesIO(data))
    _check_pixels(picture.size, limits)
    # A HEIC file may hold several stills, of which the parser takes the primary one.
    if kind != "HEIC" and getattr(picture, "n_frames", 1) > 1:
        raise UnsupportedImage(f"the {kind} file is animated; send a still picture")
    width, height = picture.size
    # By the full size also where less is decoded: a progressive JPEG keeps all of it meanwhile.
    with _FEW if width * height > _LARGE else nullcontext():
        factor = 1 if side is None or kind != "JPEG" else _reduce(picture, side)
        picture.load()
        orientation = orientation_of(_exif(picture))
        turn = _TURNS.get(orientation)
        pixels = _rgb(picture)
        image = np.array(pixels if turn is None else pixels.transpose(turn), np.uint8)
    if orientation >= _LYING:
        width, height = height, width
    return Photo(image, width, height, factor, partial(decode_image, data, limits))


def _reduce(picture: ImageFile, side: int) -> int:
    """Asks libjpeg for a smaller picture; the factor that it agrees to."""
    width, height = picture.size
    upright = orientation_of(_exif(picture)) == 1
    for factor in _FACTORS:
        # A turn may bring the edge whose pixels stand for fewer to the left or the top, and all of
        # the picture would be shifted.
        even = width % factor == height % factor == 0
        if max(width, height) // factor >= side and min(width, height) >= factor:
            if not (upright or even):
                continue
            drafted = picture.draft(None, (width // factor, height // factor))
            return 1 if drafted is None else factor
    return 1


def _refuse(data: bytes) -> NoReturn:
    if not data:
        raise UnsupportedImage("the file is empty")
    name = refused_name(data)
    if name is None:
        raise UnsupportedImage(f"the file is not a picture; {_READ}")
    raise UnsupportedImage(f"{name} is not read; {_READ}")


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise CorruptImage(f"the picture claims to be {width} x {height} pixels")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the picture is {width} x {height} pixels, the limit is {limits.max_pixels} in all"
        )


def _rgb(picture: Pil.Image) -> Pil.Image:
    """Any mode -> RGB. CMYK follows the plain formula: profiles of print are not consulted."""
    if picture.mode.startswith("I"):
        return _from_16_bit(picture)
    if picture.has_transparency_data:
        # What lies under full transparency is arbitrary, often black; paper is white.
        layer = picture.convert("RGBA")
        paper = Pil.new("RGBA", layer.size, "white")
        return Pil.alpha_composite(paper, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # which would copy


def _from_16_bit(picture: Pil.Image) -> Pil.Image:
    """Grey of 16 bits is scaled: Pillow's own conversion would clip all above 255 to white."""
    grey = np.asarray(picture).astype(np.uint32)
    return Pil.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")


def _exif(picture: Pil.Image) -> bytes:
    exif = picture.info.get("exif", b"")
    return exif if isinstance(exif, bytes) else b""
