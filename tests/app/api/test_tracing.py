import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from app import tracing
from app.metrics import stage
from app.settings import traces_to
from tests.app.api import photos
from tests.process import ROOT, environment_in, served

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def exported(act: Callable[[], None]) -> list:
    """The spans that were made meanwhile."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tracing.send_to(exporter)
    try:
        act()
    finally:
        tracing.stop()
    return list(exporter.get_finished_spans())


def test_a_request_is_a_span_with_its_stages_inside_the_callers_own(http):
    def identify() -> None:
        for name in ("secret-file", "other"):
            answer = http.post(
                "/identify",
                files={"image": (name, photos.one_face())},
                headers={"traceparent": CALLER, "x-request-id": "mine"},
            )
            assert answer.status_code == 200

    by_name: dict[str, list] = {}
    for span in exported(identify):
        by_name.setdefault(span.name, []).append(span)
    request = by_name["POST /identify"][0]
    assert f"{request.context.trace_id:032x}" == CALLER.split("-")[1]
    assert f"{request.parent.span_id:016x}" == CALLER.split("-")[2]
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/identify",
        "http.response.status_code": 200,
        "face.request_id": "mine",
    }
    for name in ("read", "wait", "decode", "detect", "align", "embed", "search"):
        assert by_name[name][0].parent.span_id == request.context.span_id, name
    assert by_name["store"][0].parent.span_id == by_name["search"][0].context.span_id
    assert "secret" not in "".join(span.to_json() for some in by_name.values() for span in some)


def test_an_error_is_no_part_of_a_span():
    def fail() -> None:
        with pytest.raises(ValueError, match="Secret"), stage("decode"):
            raise ValueError("Secret Name")

    (span,) = exported(fail)
    assert "Secret" not in span.to_json()


def test_nothing_is_made_where_nothing_was_started():
    assert tracing.answered("GET", "/", 200, "id") == {}
    with tracing.request([]) as span, tracing.stage("decode") as inner:
        assert span is inner is None


@pytest.mark.parametrize(
    ("given", "exporter"),
    [
        ({}, None),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_opentelemetrys_own_variables_say_where_spans_go(monkeypatch, given, exporter):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert traces_to() == exporter


def test_the_service_sends_its_spans_and_names_the_trace_in_its_log(tmp_path: Path):
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(
                self.path.encode() + self.rfile.read(int(self.headers["content-length"]))
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        Thread(target=collector.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{collector.server_port}"
        environment = environment_in(tmp_path) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        with served(environment, tmp_path / "log") as (url, process):
            httpx.get(f"{url}/health/live", headers={"traceparent": CALLER})
            process.terminate()
            process.wait(timeout=60)
        collector.shutdown()
    sent = b"".join(received)
    assert sent.startswith(b"/v1/traces")
    assert b"GET /health/live" in sent
    assert CALLER.split("-")[1] in (tmp_path / "log").read_text()


def test_serving_loads_nothing_that_makes_spans():
    probe = "import sys, app.main; print('opentelemetry.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
