import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.api import access
from app.main import create_app, listen, server_of
from app.metrics import REGISTRY
from app.settings import Settings
from tests.app.api import photos
from tests.app.api.service import thread_of


@pytest.fixture
def full(tiny_model: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a service whose every place is taken."""
    settings = Settings(
        data_dir=tmp_path, model_file=tiny_model, threads=1, port=0, workers=1, max_waiting=1
    )
    app, listening = create_app(settings), listen(settings)
    door = app.state.services.door
    with thread_of(server_of(app, settings), listening), door.enter(), door.enter():
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def answered(path: str) -> float:
    labels = {"method": "POST", "path": path, "status": "503"}
    return REGISTRY.get_sample_value("face_requests_total", labels) or 0


@pytest.mark.parametrize("path", sorted(access.WITH_PICTURES))
def test_a_full_house_refuses_at_the_door_and_says_which(full: str, path: str):
    before = answered(path)
    answer = httpx.post(full + path, files={"image": photos.one_face()})
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    until = time.monotonic() + 10
    while answered(path) == before and time.monotonic() < until:
        time.sleep(0.01)  # it counts what it has sent
    assert answered(path) == before + 1


def test_a_full_house_answers_what_needs_no_place(full: str):
    assert httpx.get(f"{full}/health/live").status_code == 200
    assert httpx.get(f"{full}/collections/default/people").status_code == 200
    assert httpx.get(f"{full}/identify").status_code == 405


def test_they_are_all_operations_with_pictures_that_have_no_name_in_their_path(full: str):
    paths = httpx.get(f"{full}/openapi.json").json()["paths"]
    with_pictures = {
        path
        for path, operations in paths.items()
        if "multipart/form-data" in json.dumps(operations) and "{" not in path
    }
    assert with_pictures == access.WITH_PICTURES
