"""What a file is and how large it claims to be, told from its first bytes alone.

Nothing here decodes or allocates: it stands in front of the decoder, so that a file of another kind
or of absurd dimensions never reaches one.
"""

import struct
from typing import Literal

Kind = Literal["JPEG", "PNG", "WEBP", "BMP", "AVIF", "HEIC"]

_PNG = b"\x89PNG\r\n\x1a\n"
_BRANDS: dict[bytes, Kind] = {  # of the container that pictures share with video
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIC",
}
_REFUSED = {  # kinds worth a word of their own, by how they begin
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "ICO",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"<svg": "SVG",
    b"<?xml": "SVG",
}
_ORIENTATION = 0x0112  # EXIF tag
_SHORT = 3  # EXIF type of an unsigned 16-bit number


def kind_of(data: bytes) -> Kind | None:
    """The kind of picture, or None when it is none that is read."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_PNG):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    return None


def refused_name(data: bytes) -> str | None:
    """What to call a file that is known and not read, e.g. GIF."""
    for start, name in _REFUSED.items():
        if data.startswith(start):
            return name
    return "video" if data[4:8] == b"ftyp" else None


def claimed_size(kind: Kind, data: bytes) -> tuple[int, int] | None:
    """(width, height) where the header's fixed place tells it; None leaves it to the parser.

    PNG and WebP need this: the parser of the one reads on to the first pixels, that of the other
    allocates its canvas before it can be asked.
    """
    if kind == "PNG" and len(data) >= 24 and data[12:16] == b"IHDR":
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if kind == "WEBP" and len(data) >= 30:
        return _webp_size(data)
    return None


def orientation_of(exif: bytes) -> int:
    """The EXIF turn, 1 to 8; 1 (none) where it is absent or broken.

    Read by hand: one number is wanted, and a broken EXIF block must not spoil a sound picture.
    """
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(
                order + "HHIH", tiff, directory + 2 + 12 * entry
            )
            if tag == _ORIENTATION and kind == _SHORT:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """VP8X has a canvas of 24 bits less one, VP8L has 14 bits less one, VP8 has 14 bits."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
