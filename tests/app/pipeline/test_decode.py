import struct
import sys
import tracemalloc
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image as Pil
from PIL import features

from app.errors import CorruptImage, ImageTooLarge, UnsupportedImage
from app.pipeline.decode import ImageLimits, decode_image
from tests.doubles import picture

LIMITS = ImageLimits()


def encoded(image: Pil.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def ramp() -> Pil.Image:
    """Three colours on a slope, 48 x 32: gentle enough that JPEG keeps it within a few levels."""
    y, x = np.mgrid[:32, :48]
    return Pil.fromarray(np.stack([x * 5, y * 7, 255 - x * 5], 2).astype(np.uint8))


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_header(width: int, height: int) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_kinds_keep_every_pixel(kind):
    image = ramp()
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_image(encoded(image, kind, **options), LIMITS)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_lossy_kinds_come_close(kind):
    image = ramp()
    decoded = decode_image(encoded(image, kind, quality=95), LIMITS)
    assert decoded.shape == (32, 48, 3)
    assert np.abs(decoded.astype(int) - np.asarray(image)).mean() < 4


def test_the_picture_can_be_written_to_and_is_contiguous():
    decoded = decode_image(encoded(ramp(), "JPEG"), LIMITS)
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


def test_a_progressive_jpeg_and_opencvs_own_files_are_read():
    assert decode_image(encoded(ramp(), "JPEG", progressive=True), LIMITS).shape == (32, 48, 3)
    ok, data = cv2.imencode(".jpg", picture(20, 30))
    assert ok
    assert decode_image(data.tobytes(), LIMITS).shape == (20, 30, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_exif_turn_is_applied(orientation, kind):
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:8, :8] = 255  # a white corner, top left
    upright[:8, 32:] = (255, 0, 0)  # a red one, top right
    stored = {  # how a camera of that orientation stores the upright picture
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Pil.Exif()
    exif[0x0112] = orientation
    data = encoded(Pil.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, quality=95)
    decoded = decode_image(data, LIMITS)
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).mean() < 6


def test_a_broken_exif_block_leaves_the_picture_as_it_is():
    for exif in (
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01",
    ):
        assert decode_image(encoded(ramp(), "JPEG", exif=exif), LIMITS).shape == (32, 48, 3)


def test_cmyk_becomes_rgb():
    cmyk = Pil.new("CMYK", (16, 16), (0, 255, 255, 0))  # full magenta and yellow print red
    decoded = decode_image(encoded(cmyk, "JPEG", quality=95), LIMITS)
    red, green, blue = decoded.reshape(-1, 3).mean(0)
    assert red > 240
    assert green < 15
    assert blue < 15


def test_16_bits_are_scaled_and_not_clipped():
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    decoded = decode_image(encoded(Pil.fromarray(grey), "PNG"), LIMITS)
    assert decoded[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]
    colour = np.zeros((4, 4, 3), np.uint16)
    colour[..., 2] = 0x8000  # red, in OpenCV's order
    ok, data = cv2.imencode(".png", colour)
    assert ok
    assert decode_image(data.tobytes(), LIMITS)[0, 0].tolist() == [128, 0, 0]


def test_palettes_grey_and_single_bits_become_rgb():
    image = ramp()
    assert decode_image(encoded(image.convert("P"), "PNG"), LIMITS).shape == (32, 48, 3)
    grey = decode_image(encoded(image.convert("L"), "JPEG"), LIMITS)
    assert np.array_equal(grey[..., 0], grey[..., 2])
    bits = decode_image(encoded(image.convert("1"), "PNG"), LIMITS)
    assert set(np.unique(bits)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode):
    clear = Pil.new("RGBA", (4, 4), (0, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 0, 255))
    decoded = decode_image(encoded(clear.convert(mode), "PNG"), LIMITS)
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[2, 2].tolist() == [255, 255, 255]


def test_an_enormous_png_header_is_refused_without_allocation():
    body = png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")
    tracemalloc.start()
    for data in (png_header(60_000, 60_000) + body, png_header(60_000, 60_000)):
        with pytest.raises(ImageTooLarge, match="60000 x 60000"):
            decode_image(data, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_enormous_headers_of_the_other_kinds_are_refused():
    jpeg = bytearray(encoded(Pil.new("RGB", (8, 8)), "JPEG"))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    bmp = bytearray(encoded(Pil.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\x3f\x3f\0" + b"\x3f\x3f\0"
    extended_webp = b"RIFF" + struct.pack("<I", len(extended) + 4) + b"WEBP" + extended
    lossless = bytearray(encoded(Pil.new("RGB", (8, 8)), "WEBP", lossless=True))
    lossless[21:25] = struct.pack("<I", 16_000 | 16_000 << 14)
    lossy = bytearray(encoded(Pil.new("RGB", (8, 8)), "WEBP"))
    lossy[26:30] = struct.pack("<HH", 16_000, 16_000)
    for data in (jpeg, bmp, extended_webp, lossless, lossy):
        with pytest.raises(ImageTooLarge):
            decode_image(bytes(data), LIMITS)


def test_the_limits_count_bytes_and_pixels_exactly():
    data = encoded(Pil.new("RGB", (10, 10)), "PNG")
    assert decode_image(data, ImageLimits(len(data), 100)).shape == (10, 10, 3)
    with pytest.raises(ImageTooLarge, match="bytes"):
        decode_image(data, ImageLimits(len(data) - 1, 100))
    with pytest.raises(ImageTooLarge, match="10 x 10 pixels, the limit is 99"):
        decode_image(data, ImageLimits(len(data), 99))


def test_an_empty_file_says_so():
    with pytest.raises(UnsupportedImage, match="the file is empty"):
        decode_image(b"", LIMITS)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PDF", "ICO"])
def test_other_kinds_are_named(kind):
    with pytest.raises(UnsupportedImage, match=kind):
        decode_image(encoded(ramp(), kind), LIMITS)


@pytest.mark.parametrize(
    "data", [b"hello, this is no picture", b"\0" * 64, b"{}", b"\x89PN", b"RIFF\0\0\0\0WAVE"]
)
def test_what_is_no_picture_is_unsupported(data):
    with pytest.raises(UnsupportedImage, match="not a picture"):
        decode_image(data, LIMITS)


def heic(image: Pil.Image, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, **options)
    return file.getvalue()


def test_heic_is_read_and_turned_where_its_library_is_installed():
    decoded = decode_image(heic(ramp(), quality=95), LIMITS)
    assert decoded.shape == (32, 48, 3)
    assert np.abs(decoded.astype(int) - np.asarray(ramp())).mean() < 4
    exif = Pil.Exif()
    exif[0x0112] = 6
    turned = decode_image(heic(ramp(), quality=95, exif=exif.tobytes()), LIMITS)
    assert turned.shape == (48, 32, 3)
    assert np.abs(turned.astype(int) - np.rot90(np.asarray(ramp()), -1)).mean() < 6
    with pytest.raises(ImageTooLarge):
        decode_image(heic(ramp()), ImageLimits(max_pixels=1000))
    with pytest.raises(CorruptImage, match="HEIC"):
        decode_image(heic(ramp())[:-200], LIMITS)


def test_heic_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(UnsupportedImage, match="the extra `heic`"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(32), LIMITS)


def test_avif_without_its_library_is_unsupported_and_not_corrupt(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(UnsupportedImage, match="no AVIF"):
        decode_image(encoded(ramp(), "AVIF"), LIMITS)


def test_a_video_is_named():
    with pytest.raises(UnsupportedImage, match="video"):
        decode_image(b"\0\0\0\x18ftypisom" + bytes(32), LIMITS)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_animations_are_refused(kind):
    frames = [Pil.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    with pytest.raises(UnsupportedImage, match="animated"):
        decode_image(data, LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "AVIF"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_truncated_files_are_corrupt(kind, part):
    data = encoded(Pil.fromarray(picture(64, 64)), kind)
    with pytest.raises(CorruptImage, match=kind):
        decode_image(data[: int(len(data) * part)], LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "AVIF"])
def test_damaged_files_give_a_picture_or_an_error_of_ours(kind):
    data = encoded(Pil.fromarray(picture(48, 48)), kind)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(12, min(len(data), 400), 4):
            damaged[place] = rng.integers(256)
        try:
            decoded = decode_image(bytes(damaged), ImageLimits(max_pixels=1_000_000))
        except (CorruptImage, UnsupportedImage, ImageTooLarge):
            continue
        assert decoded.ndim == 3
        assert decoded.shape[2] == 3


def test_a_picture_without_pixels_is_corrupt():
    with pytest.raises(CorruptImage, match="0 x 10"):
        decode_image(png_header(0, 10) + png_chunk(b"IEND", b""), LIMITS)
