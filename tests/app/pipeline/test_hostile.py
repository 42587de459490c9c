"""Files that are made to keep a decoder busy: small, within all limits, and refused at once."""

import random
import struct
import tracemalloc
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image as Pil

from app.errors import CorruptImage, ImageError, UnsupportedImage
from app.pipeline.decode import ImageLimits, decode_image
from app.pipeline.formats import MAX_PADDING, MAX_PARTS, MAX_SCANS
from tests.app.pipeline.test_decode import encoded, png_chunk
from tests.corpus import KINDS, WAYS, corpus, spoilt
from tests.doubles import picture
from tests.fuzz import OUTCOMES, fuzz, outcome

LIMITS = ImageLimits()
SMALL = Pil.fromarray(picture(40, 60))


def jpeg(**options: object) -> bytes:
    return encoded(SMALL, "JPEG", **options)


def with_scans(extra: int, *, hidden: bool = False) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    whole = jpeg(progressive=True)
    last = whole.rindex(b"\xff\xda")
    # The comment holds what looks like the end, behind which nobody would count on.
    comment = b"\xff\xfe\0\x06\xff\xd9\xff\xd9" if hidden else b""
    return whole[:last] + comment + whole[last:-2] * (extra + 1) + whole[-2:]


def bmp(compression: int) -> bytes:
    """1 x 39,000,000 pixels in a kilobyte, of which run lengths would have to make each one."""
    runs, palette = b"\1\1\0\0" * 3, bytes(1024)
    start = 14 + 40 + len(palette)
    head = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start)
    form = (40, 39_000_000, 1, 1, 8, compression, len(runs), 0, 0, 256, 0)
    return head + struct.pack("<IiiHHIIiiII", *form) + palette + runs


def after_start(whole: bytes, inserted: bytes) -> bytes:
    return whole[:2] + inserted + whole[2:]


def png_with(chunks: bytes) -> bytes:
    whole = encoded(SMALL, "PNG")
    return whole[:33] + chunks + whole[33:]  # behind IHDR


BOMBS = {
    "scans": (with_scans(5000), f"{MAX_SCANS} scans"),
    "scans behind a false end": (with_scans(5000, hidden=True), f"{MAX_SCANS} scans"),
    "segments": (after_start(jpeg(), b"\xff\xe5\0\2" * 100_000), f"{MAX_PARTS} segments"),
    "comments": (after_start(jpeg(), b"\xff\xfe\0\2" * 100_000), f"{MAX_PARTS} segments"),
    "padding": (after_start(jpeg(), b"\xff" * 10**6), f"{MAX_PADDING} bytes between"),
    "chunks": (png_with(png_chunk(b"teSt", b"") * 100_000), "chunks"),
    "run lengths of 8 bits": (bmp(1), "run-length"),
    "run lengths of 4 bits": (bmp(2), "run-length"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_structure_beyond_reason_is_refused(kind):
    data, said = BOMBS[kind]
    with pytest.raises(UnsupportedImage, match=said):
        decode_image(data, LIMITS)


def test_what_real_files_have_is_read():
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 300) + b"\xff\xda" * 150
    video = np.random.default_rng(0).bytes(100) + b"\xff\xda" * 500  # behind the end, of phones
    for data in (
        jpeg(progressive=True),
        with_scans(MAX_SCANS // 2),
        after_start(jpeg(), thumbnail),
        after_start(jpeg(), b"\xff\xe2\0\x20" + bytes(30) + b"\xff" * 20),
        jpeg(restart_marker_blocks=1) + video,
        png_with(png_chunk(b"teSt", b"") * 100),
    ):
        assert decode_image(data, LIMITS).shape == (40, 60, 3)


def test_compressed_text_of_a_png_stays_compressed():
    bomb = b"name\0\0" + zlib.compress(bytes(20_000_000))
    tracemalloc.start()
    for name in (b"zTXt", b"iCCP"):
        with pytest.raises(CorruptImage):
            decode_image(png_with(png_chunk(name, bomb)), LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_huge_exif_block_is_no_matter():
    directory = b"II*\0\x08\0\0\0\xff\xff" + bytes(9_000_000)
    assert decode_image(png_with(png_chunk(b"eXIf", directory)), LIMITS).shape == (40, 60, 3)
    segments = (b"\xff\xe1\xff\xffExif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(65_517)) * 100
    assert decode_image(after_start(jpeg(), segments), LIMITS).shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("other", [b"GIF89a", b"%PDF-1.7\n", b"<svg", b"PK\3\4"])
def test_a_polyglot_is_what_it_begins_as(kind, other):
    whole = encoded(SMALL, kind)
    assert decode_image(whole + other, LIMITS).shape == (40, 60, 3)
    with pytest.raises(UnsupportedImage):
        decode_image(other + whole, LIMITS)


def test_a_container_that_lies_about_what_is_inside():
    avif = encoded(SMALL, "AVIF")
    for brand in (b"heic", b"mif1", b"avis", b"isom"):
        with pytest.raises(ImageError):
            decode_image(avif[:8] + brand + avif[12:40] + avif[60:], LIMITS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_corpus_is_sound_and_every_way_spoils_it(kind):
    chance = random.Random(0)
    for data in corpus(kind):
        assert decode_image(data, LIMITS).shape[2] == 3
    whole = corpus(kind)[0]
    for way in WAYS:
        assert any(way(whole, chance) != whole for _ in range(20))


@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_files_give_a_picture_or_an_error_of_ours(kind):
    outcomes = Counter(outcome(spoilt(kind, number, seed=2)) for number in range(100))
    assert set(outcomes) <= set(OUTCOMES)
    assert outcomes["picture"] > 0
    assert outcomes["corrupt_image"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_fuzz_finds_no_fault(kind):
    tally = fuzz(kind, range(3000), seed=3)
    assert tally.faults == []
    assert tally.counts.total() == 3000
