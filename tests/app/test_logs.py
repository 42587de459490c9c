import json
import logging
import re
from pathlib import Path

import httpx
import pytest

from app.logs import JsonLines, TextLines
from tests.app.api import photos
from tests.process import environment_in, served

NAMES = ("secret-person", "Secret Name", "secret-file.png", "secret-collection", "secret-note")


def record(event: str, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("face", logging.INFO, "file.py", 1, event, (), None)
    made.created = 0
    made.facts = facts
    return made


def test_a_json_line_is_an_object_with_the_facts_key_by_key():
    line = JsonLines().format(record("request", request_id="a1", ms=1.5))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00Z",
        "level": "info",
        "event": "request",
        "request_id": "a1",
        "ms": 1.5,
    }


def test_a_text_line_reads_well():
    line = TextLines().format(record("request", request_id="a1", path="/detect", at=["a:1"], ms=1))
    assert line == '1970-01-01T00:00:00Z info request request_id=a1 path=/detect at=["a:1"] ms=1'


@pytest.mark.parametrize("form", [JsonLines(), TextLines()])
@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nlevel=error", "a\x1b[2Jb", "a\u2028b", 'a" b=1'])
def test_nothing_that_is_logged_can_make_a_line_of_its_own(form, hostile):
    line = form.format(record(hostile, fact=hostile))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert " b=1" not in line.replace('" b=1', "")


def test_an_exception_is_logged_by_its_kind_alone():
    try:
        raise ValueError("Secret Name")
    except ValueError as error:
        made = record("failed")
        made.exc_info = (ValueError, error, error.__traceback__)
    assert json.loads(JsonLines().format(made))["error"] == "ValueError"
    assert "Secret" not in JsonLines().format(made) + TextLines().format(made)


def test_no_name_no_vector_and_no_picture_is_logged_as_text(tmp_path: Path):
    """tests/test_privacy.py looks at the JSON."""
    environment = environment_in(tmp_path) | {"FACE_LOG_FORMAT": "text", "FACE_LOG_LEVEL": "debug"}
    person, name, file, collection, note = NAMES
    log, path = tmp_path / "log", f"/collections/{collection}/people"
    with served(environment, log) as (url, _), httpx.Client(base_url=url, timeout=30) as http:
        http.post("/collections", json={"name": collection})
        data = {"id": person, "name": name, "metadata": json.dumps({"note": note})}
        files = {"image": (file, photos.one_face())}
        answers = [
            http.post(path, data=data, files=files),
            http.post(path, data=data, files=files),  # a conflict
            http.get(path, params={"search": name}),
            http.get(f"{path}/{person}%0a%7B%22level%22:%22error%22%7D"),
            http.get(f"/{person}", headers={"x-request-id": f'{person}" level=error'}),
            http.post("/identify", files={"image": (file, b"no picture")}, data={"top_k": name}),
            http.post(
                "/identify",
                files={"image": (file, photos.one_face())},
                data={"collection": collection},
                headers={"x-request-id": "mine-1"},
            ),
        ]
        assert [answer.status_code for answer in answers] == [201, 409, 200, 400, 404, 400, 200]
        embedding = http.post("/embed", files=files).json()["results"][0]["faces"][0]["embedding"]
    lines = log.read_text().splitlines()
    assert not [line for line in lines if any(secret in line for secret in NAMES)]
    assert not [line for line in lines if str(embedding[0])[:7] in line]
    assert len([line for line in lines if "mine-1" in line]) == 1
    assert all(
        re.match(r"\d{4}-\d\d-\d\dT[\d:]+Z (debug|info|warning|error) ", line) for line in lines
    )
    requests = [line for line in lines if "/collections/{collection}/people" in line]
    assert len(requests) == 4
