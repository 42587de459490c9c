"""A multipart/form-data body read as it streams in: pictures stay in memory, and within limits.

The web framework's own parser spools larger files to disk; faces of people do not belong there.
"""

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import BadRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FIELD_BYTES = 1024 * 1024
MAX_FIELDS = 100


@dataclass
class Part:
    """One part: a file when it has a filename or is one of the file fields, else a text field."""

    name: str = ""
    filename: str | None = None
    is_file: bool = False
    data: bytearray = field(default_factory=bytearray)


@dataclass
class FormLimits:
    file_fields: frozenset[str]  # whose parts are files even without a filename
    max_files: int
    max_file_bytes: int


async def read_form(
    content_type: str, stream: AsyncIterable[bytes], limits: FormLimits
) -> list[Part]:
    """The parts in their order.

    Of a file beyond `max_file_bytes` one byte more is kept and the rest thrown away, so that this
    picture alone can be refused and the others of the request be answered.
    """
    form = _Form(limits)
    _, options = parse_options_header(content_type)
    if not (boundary := options.get(b"boundary")):
        raise BadRequest("the content type multipart/form-data lacks its boundary")
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in stream:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as exc:
        raise BadRequest("the body is not well-formed multipart/form-data") from exc
    if not form.ended:
        raise BadRequest("the body is not well-formed multipart/form-data: it ends too early")
    return form.parts


class _Form:
    """What the parser calls back, one part after the other."""

    def __init__(self, limits: FormLimits) -> None:
        self._limits = limits
        self._part = Part()
        self._header = bytearray()
        self._value = bytearray()
        self.parts: list[Part] = []
        self.ended = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._part = Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._part.name = _text(options.get(b"name", b""))
            if b"filename" in options:
                self._part.filename = _text(options[b"filename"])
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        part, limits = self._part, self._limits
        if not part.name:
            raise BadRequest("a part of the form has no name")
        part.is_file = part.filename is not None or part.name in limits.file_fields
        if part.is_file and part.name not in limits.file_fields:
            raise BadRequest(f"{part.name}: this field takes no file; pictures go into image")
        files = sum(other.is_file for other in self.parts)
        if part.is_file and files >= limits.max_files:
            raise BadRequest(f"image: a request takes at most {limits.max_files} pictures")
        if not part.is_file and len(self.parts) - files >= MAX_FIELDS:
            raise BadRequest(f"a form takes at most {MAX_FIELDS} fields")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.is_file:
            room = self._limits.max_file_bytes + 1 - len(part.data)
            part.data += data[start : min(end, start + room)]
        elif len(part.data) + end - start > MAX_FIELD_BYTES:
            raise BadRequest(f"{part.name}: the field is too long")
        else:
            part.data += data[start:end]

    def _end(self) -> None:
        self.parts.append(self._part)

    def _finish(self) -> None:
        self.ended = True


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
