"""Errors become RFC 9457 problems here, and only here: one table, exception -> status."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app import errors, metrics
from app.api.schemas import Problem, Refusal

STATUS: dict[type[errors.FaceError], int] = {
    errors.BadRequest: 400,
    errors.ImageTooLarge: 413,
    errors.UnsupportedImage: 415,
    errors.CorruptImage: 422,
    errors.NoFace: 422,
    errors.SeveralFaces: 422,
    errors.LowQuality: 422,
    errors.NothingAccepted: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.ContractMismatch: 409,
    errors.Busy: 503,
    errors.Unavailable: 503,
}

# What the web framework refuses by itself: status -> our code.
FRAMEWORK_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "image_too_large",
    429: "rate_limited",
    503: "busy",
}

# Every code that an answer may carry, with its status; the documentation lists them.
CODES: dict[str, int] = {
    **{FRAMEWORK_CODES[status]: status for status in FRAMEWORK_CODES},
    **{error.code: status for error, status in STATUS.items()},
    "internal": 500,
}

RETRY_AFTER_SECONDS = "1"
MEDIA_TYPE = "application/problem+json"

log = logging.getLogger("face.problems")


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.FaceError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _validation_error)


def problem(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    *,
    index: int | None = None,
    filename: str | None = None,
    refused: Sequence[Refusal] | None = None,
) -> Response:
    facts = {
        "type": f"/docs#{code}",
        "title": title(code),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        "index": index,
        "filename": filename,
        "refused": refused,
    }
    metrics.PROBLEMS.labels(code).inc()
    body = Problem.model_validate({key: fact for key, fact in facts.items() if fact is not None})
    headers = {"retry-after": RETRY_AFTER_SECONDS} if status == 503 else None
    content = body.model_dump_json(exclude_unset=True)
    return Response(content, status, headers=headers, media_type=MEDIA_TYPE)


def title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def internal(request_id: str) -> Response:
    """For what nobody foresaw: no text of the exception leaves the server."""
    detail = "the service failed on this request; its log has the reason under the request id"
    return problem(request_id, 500, "internal", detail)


def refusal(error: errors.ImageError, index: int, filename: str | None) -> Refusal:
    return Refusal(index=index, filename=filename, code=error.code, detail=str(error))


def refused(request_id: str, error: errors.FaceError | HTTPException) -> Response:
    """The problem of what the service refuses, wherever it was raised."""
    if isinstance(error, errors.FaceError):
        return _of_service(request_id, error)
    status, detail = error.status_code, str(error.detail)
    code = FRAMEWORK_CODES.get(status, "bad_request" if status < 500 else "internal")
    if detail == HTTPStatus(status).phrase:
        detail = "no such operation is offered here"
    answer = problem(request_id, status, code, detail)
    answer.headers.update(error.headers or {})
    return answer


def _of_service(request_id: str, error: errors.FaceError) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None or (status >= 500 and error.__cause__ is not None):
        _log_causes(request_id, error)
    if status is None:  # a SettingsError is for whoever starts the service, not for its callers
        return internal(request_id)
    code, index, filename, refused = error.code, None, None, None
    if isinstance(error, errors.ImageError):
        index, filename = error.index, error.filename
    elif isinstance(error, errors.NothingAccepted):
        codes = {fault.code for fault in error.refusals}
        code = codes.pop() if len(codes) == 1 else error.code
        refused = [refusal(fault, fault.index or 0, fault.filename) for fault in error.refusals]
        if len(refused) == 1:
            index, filename = refused[0].index, refused[0].filename
    return problem(
        request_id,
        status,
        code,
        str(error),
        index=index,
        filename=filename,
        refused=refused,
    )


def _log_causes(request_id: str, error: errors.FaceError) -> None:
    """What lay under it, by kind: the text of a database or an engine may hold what a log may not.

    SQLite has a name for each of its faults, e.g. SQLITE_FULL.
    """
    causes, cause = [], error.__cause__
    while cause is not None:
        causes.append(getattr(cause, "sqlite_errorname", type(cause).__name__))
        cause = cause.__cause__
    line = {"request_id": request_id, "error": type(error).__name__, "causes": causes}
    log.error("problem", extra={"facts": line})


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.FaceError | HTTPException)
    answer = refused(request.state.request_id, error)
    if answer.status_code == 405 and "route" in request.scope:
        # The router names the methods of one operation only, of several on the path.
        operations = request.app.openapi()["paths"].get(request.scope["route"].path, {})
        answer.headers["allow"] = ", ".join(sorted(method.upper() for method in operations))
    return answer


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(request.state.request_id, 400, "bad_request", sentence(error.errors()))


def sentence(faults: Sequence[Any]) -> str:
    """Pydantic's faults as one line that names each field: `top_k: Input should be ...`."""
    return "; ".join(_fault(fault) for fault in faults)


def _fault(fault: Any) -> str:
    if fault["type"] == "json_invalid":
        return "the body is not JSON"
    if fault["type"] == "extra_forbidden":
        return f"{_field(fault)}: there is no such option"
    return f"{_field(fault)}: {fault['msg'].removeprefix('Value error, ')}"


def _field(fault: Any) -> str:
    """The dotted name, without where FastAPI found it (body, query, path)."""
    location = [str(part) for part in fault["loc"]]
    if len(location) > 1 and location[0] in {"body", "query", "path", "header"}:
        location = location[1:]
    return ".".join(location) or "body"
