"""Pictures and options of a request, whether it came as a form or as JSON."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from app.api.handlers import sentence
from app.api.multipart import FormLimits, Part, read_form
from app.api.options import Options
from app.errors import BadRequest

IMAGE_FIELDS = ("image", "images")
MAX_FILENAME = 255

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Picture:
    """One picture as it was sent; of one that is too large, one byte more than the limit."""

    index: int
    filename: str | None
    data: bytes


@dataclass(frozen=True)
class Ask(Generic[OptionsT]):
    """What a caller asks of an operation."""

    pictures: tuple[Picture, ...]
    options: OptionsT


@dataclass(frozen=True)
class ReadLimits:
    max_images: int
    max_image_bytes: int


@dataclass(frozen=True)
class _Content:
    """A request's pictures (filename or None, data) and its other fields."""

    pictures: list[tuple[str | None, bytes]]
    fields: dict[str, Any]


async def read_ask(request: Request, model: type[OptionsT], limits: ReadLimits) -> Ask[OptionsT]:
    """Raises BadRequest with a sentence that names the field."""
    content = await _content(request, limits)
    for name, value in request.query_params.multi_items():
        _put(content.fields, name, value)
    pictures = tuple(
        Picture(index, filename and filename[:MAX_FILENAME], data)
        for index, (filename, data) in enumerate(content.pictures)
    )
    try:
        return Ask(pictures, model.model_validate(content.fields))
    except ValidationError as exc:
        raise BadRequest(sentence(exc.errors())) from exc


async def _content(request: Request, limits: ReadLimits) -> _Content:
    content_type = request.headers.get("content-type", "")
    match content_type.partition(";")[0].strip().lower():
        case "multipart/form-data":
            form = FormLimits(frozenset(IMAGE_FIELDS), limits.max_images, limits.max_image_bytes)
            return _of_form(await read_form(content_type, request.stream(), form))
        case "application/json":
            body = await request.body()
            # Tens of megabytes of JSON and base64 would hold up every other request.
            return await run_in_threadpool(_of_json, body, limits)
        case "" if not await request.body():
            return _Content([], {})
    raise BadRequest("the content type must be multipart/form-data or application/json")


def _of_form(parts: Iterable[Part]) -> _Content:
    content = _Content([], {})
    for part in parts:
        if part.is_file:
            content.pictures.append((part.filename, bytes(part.data)))
            part.data.clear()  # one copy in memory is enough
        else:
            _put(content.fields, part.name, part.data.decode("utf-8", errors="replace"))
    return content


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    if name in fields:
        raise BadRequest(f"{name}: given more than once")
    fields[name] = value


def _of_json(body: bytes, limits: ReadLimits) -> _Content:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadRequest("the body is not JSON") from exc
    if not isinstance(fields, dict):
        raise BadRequest("the body must be a JSON object")
    texts = list(_texts(fields))
    if len(texts) > limits.max_images:
        raise BadRequest(f"images: a request takes at most {limits.max_images} pictures")
    pictures = [(None, _decoded(name, text, limits.max_image_bytes)) for name, text in texts]
    others = {
        name: value
        for name, value in fields.items()
        if name not in IMAGE_FIELDS and value is not None
    }
    return _Content(list(pictures), others)


def _texts(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The base64 texts of `image` and `images`, each a text or a list of texts."""
    for name in IMAGE_FIELDS:
        value = fields.get(name)
        if value is None:
            continue
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise BadRequest(f"{name}: a picture in JSON is a text of base64")
            yield name, text


def _decoded(name: str, text: str, max_bytes: int) -> bytes:
    """Base64, a `data:` URL's too; of a picture that is too large only its beginning."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if "\n" in text:  # encoders of the shell break their lines
        text = "".join(text.split())
    enough = (max_bytes // 3 + 1) * 4  # characters that decode to more than max_bytes
    try:
        return base64.b64decode(text[:enough], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadRequest(f"{name}: not base64") from exc
