import asyncio
from collections.abc import AsyncIterator

import pytest

from app.api.multipart import FormLimits, read_form
from app.errors import BadRequest

LIMITS = FormLimits(frozenset({"image"}), max_files=2, max_file_bytes=10)
TYPE = "multipart/form-data; boundary=cut"


def part(head: str, body: bytes) -> bytes:
    return (
        b"--cut\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
    )


def read(body: bytes, step: int = 1 << 16, content_type: str = TYPE):
    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    return asyncio.run(read_form(content_type, stream(), LIMITS))


BODY = (
    part('name="image"; filename="ä.png"', b"\r\n--cu\x00t")
    + part('name="person"', "Zoë".encode())
    + part('name="image"', b"")
    + b"--cut--\r\n"
)


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_parts_are_the_same_in_whatever_pieces_they_come(step):
    first, person, second = read(BODY, step)
    assert (first.filename, bytes(first.data), first.is_file) == ("ä.png", b"\r\n--cu\x00t", True)
    assert (person.name, bytes(person.data), person.is_file) == ("person", "Zoë".encode(), False)
    assert (second.filename, bytes(second.data), second.is_file) == (None, b"", True)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_of_a_file_beyond_the_limit_one_byte_more_is_kept(step):
    body = part('name="image"', bytes(1000)) + part('name="image"', b"small") + b"--cut--\r\n"
    large, small = read(body, step)
    assert (len(large.data), bytes(small.data)) == (11, b"small")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (part('name="image"', b"") * 3 + b"--cut--\r\n", "at most 2 pictures"),
        (part('name="person"; filename="x"', b"") + b"--cut--\r\n", "person"),
        (part('filename="x"', b"") + b"--cut--\r\n", "no name"),
        (part('name="a"', bytes(1024 * 1024 + 1)) + b"--cut--\r\n", "a: the field is too long"),
        (part('name="a"', b"") * 101 + b"--cut--\r\n", "100 fields"),
        (BODY[:-20], "well-formed"),
        (b"not a form", "well-formed"),
        (b"", "well-formed"),
    ],
)
def test_a_wrong_form_is_refused_with_a_reason(body, said):
    with pytest.raises(BadRequest, match=said):
        read(body)


def test_a_form_without_a_boundary():
    with pytest.raises(BadRequest, match="boundary"):
        read(BODY, content_type="multipart/form-data")
