"""What a file is and how large it claims to be, told from its first bytes alone.

Nothing here decodes or allocates: it stands in front of the decoder, so that a file of another kind
or of absurd dimensions never reaches one.
"""

import re
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
# Far more than any real picture has, and few enough to be walked in a moment.
MAX_SCANS = 50  # of a JPEG: each passes over every pixel, and needs but 60 bytes of the file
MAX_PARTS = 1000  # segments of a JPEG, and chunks of a PNG beside those that hold pixels
MAX_PADDING = 65536  # bytes between the segments of a JPEG
PIXEL_CHUNK = 1024  # bytes; PNG files cut their pixels into larger pieces than this

# A JPEG segment's begin. Pixel data has none of these, only restarts (D0 to D7) and FF00.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_ALONE = {b"\xff\x01", b"\xff\xd8"}  # markers without a length behind them
_RUN_LENGTHS = {1, 2}  # ways to compress a BMP
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


def excess(kind: Kind, data: bytes) -> str | None:
    """What in the file's structure would keep a decoder busy out of all proportion, or None.

    Such a file is small, and passes every limit of bytes and pixels.
    """
    match kind:
        case "JPEG":
            return _jpeg_excess(data)
        case "PNG":
            return _png_excess(data)
        case "BMP" if int.from_bytes(data[30:34], "little") in _RUN_LENGTHS:
            return "run-length compression"  # undone pixel by pixel, 5 s for a file of 1 kB
        case _:
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


def _jpeg_excess(data: bytes) -> str | None:
    place, scans, padding = 2, 0, 0
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, place)
        if found is None or found[0] == _END_OF_IMAGE:  # what follows that is not decoded
            return None
        padding += 0 if scans else found.start() - place
        scans += found[0] == _START_OF_SCAN
        if padding > MAX_PADDING:
            return f"more than {MAX_PADDING} bytes between its segments"
        if scans > MAX_SCANS:
            return f"more than {MAX_SCANS} scans"
        place = found.end()
        if found[0] not in _ALONE:
            place += int.from_bytes(data[place : place + 2])
    return f"more than {MAX_PARTS} segments"


def _png_excess(data: bytes) -> str | None:
    most = MAX_PARTS + len(data) // PIXEL_CHUNK
    place = len(_PNG)
    for _ in range(most):
        if place >= len(data):
            return None
        place += 12 + int.from_bytes(data[place : place + 4])  # length, name and checksum too
    return f"more than {most} chunks"


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
