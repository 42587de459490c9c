"""OpenTelemetry: a span for each request and one for each of its stages; nothing unless started.

Needs the extra `otel`. Where spans go is said by OpenTelemetry's own variables, e.g.
OTEL_EXPORTER_OTLP_ENDPOINT. No span carries a person, a collection or an address.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE = "face"  # the name under which spans are filed, unless OTEL_SERVICE_NAME gives one
SCOPE = "face"  # the name of what makes the spans

_provider: "TracerProvider | None" = None  # one for the process, as OpenTelemetry has it


def start(exporter: str) -> None:
    """`exporter` is otlp or console. Raises ImportError where the extra is not installed."""
    if exporter == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        send_to(ConsoleSpanExporter())
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        send_to(OTLPSpanExporter())


def send_to(exporter: "SpanExporter") -> None:
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _provider
    given = OTELResourceDetector().detect()
    provider = TracerProvider(resource=Resource({SERVICE_NAME: SERVICE}).merge(given))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _provider = provider


def stop() -> None:
    """Sends what waits. May be called twice, and without a start."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def stage(name: str) -> AbstractContextManager[object]:
    """A span inside the one that this thread or task is in."""
    if _provider is None:
        return nullcontext()
    # An error's text may hold what a trace may not; the answer's status tells enough.
    return _provider.get_tracer(SCOPE).start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    )


def request(headers: Iterable[tuple[bytes, bytes]]) -> AbstractContextManager[object]:
    """The span of a request, inside the caller's own where `traceparent` names one."""
    if _provider is None:
        return nullcontext()
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return _provider.get_tracer(SCOPE).start_as_current_span(
        "request",
        extract(carrier),
        kind=SpanKind.SERVER,
        record_exception=False,
        set_status_on_exception=False,
    )


def answered(method: str, path: str, status: int, request_id: str) -> dict[str, str]:
    """Names the request's span when its route is known; gives what finds it from a log line."""
    if _provider is None:
        return {}
    from opentelemetry.trace import StatusCode, format_trace_id, get_current_span

    span = get_current_span()
    span.update_name(f"{method} {path}")
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": path,
            "http.response.status_code": status,
            "face.request_id": request_id,
        }
    )
    if status >= 500:
        span.set_status(StatusCode.ERROR)
    return {"trace_id": format_trace_id(span.get_span_context().trace_id)}
