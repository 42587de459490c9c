"""What FastAPI cannot tell by itself: bodies of two content types, and problems."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.callers import OPEN_PATHS
from app.api.handlers import CODES, MEDIA_TYPE
from app.api.options import Options
from app.api.roles import needed
from app.api.schemas import Problem, Refusal

TINY_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
DESCRIPTION = """\
A photo goes in, a person or an honest `unknown` comes out.

Pictures are sent as multipart fields `image` (repeat it, or use `images`), or base64 in a JSON
body under the same names. Options are form fields, JSON keys or query parameters. Of several
pictures each has its own entry in `results`, with its faces or its error; only when all failed is
the answer the first one's problem. A picture without a face is an empty list for /detect and
/identify, and `no_face` for /align, /embed and /verify.
"""


def body(model: type[Options], example: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """`openapi_extra` of an operation that takes pictures and these options."""
    options = model.model_json_schema()
    properties, needed = options.get("properties", {}), options.get("required", [])
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    text = {"type": "string", "contentEncoding": "base64"}
    some = {"type": "array", "minItems": 1}
    form = _schema(properties, needed, {**some, "items": file})
    texts = _schema(properties, needed, {"anyOf": [text, {**some, "items": text}]})
    return {
        "requestBody": {
            "required": required,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": texts, "example": example},
            },
        }
    }


def _schema(properties: dict[str, Any], needed: list[str], image: dict[str, Any]) -> dict[str, Any]:
    image = image | {"description": "JPEG, PNG, WebP, BMP or AVIF; may be called `images` too"}
    return {"type": "object", "properties": {"image": image, **properties}, "required": needed}


def install(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=f"{DESCRIPTION}\n{_codes()}",
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    for model in (Problem, Refusal):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _problem_response()
            role = needed(operation["operationId"])
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}]
            operation["description"] = f"{operation.get('description', '')}\n\nRole: `{role}`."
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document


def _problem_response() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": schema}}}


def _codes() -> str:
    rows = [f"| `{code}` | {status} |" for code, status in sorted(CODES.items())]
    return "\n".join(["Codes of problems:", "", "| code | status |", "| --- | --- |", *rows])
