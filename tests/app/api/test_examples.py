"""docs/api.md against a service: its operations, and its commands run in their order."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as Pil

from app.settings import Settings
from tests.app.api import photos
from tests.app.api.service import running

PAGE = Path(__file__).parents[3] / "docs/api.md"
# An indented command, and the answer below it where there is one.
EXAMPLE = re.compile(r"((?:^ {4}.+\n)+)(?:\n```json\n((?:(?!```).*\n)+)```)?", re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"


def shape(value: Any) -> Any:
    """The keys of an answer, without its numbers and texts; of a list its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key != "metadata"}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else []
    return None


@pytest.fixture
def service(tiny_model: Path, tmp_path: Path) -> Iterator[str]:
    with running(Settings(data_dir=tmp_path / "data", model_file=tiny_model, threads=1)) as url:
        yield url


def test_every_operation_has_a_section(http: httpx.Client):
    paths = http.get("/openapi.json").json()["paths"]
    offered = {f"{method.upper()} {path}" for path, found in paths.items() for method in found}
    assert set(re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)) == offered


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is absent")
def test_the_examples_answer_as_the_page_says(service: str, tmp_path: Path):
    photos.astronaut().convert("RGB").save(tmp_path / "ada-1.jpg", quality=92)
    (tmp_path / "ada-2.jpg").write_bytes(photos.same_face())
    (tmp_path / "team.jpg").write_bytes(photos.six_faces())
    examples = EXAMPLE.findall(PAGE.read_text())
    assert len(examples) > 25
    for command, said in examples:
        done = subprocess.run(
            command.replace(ADDRESS, service),
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        if said:
            assert shape(json.loads(done.stdout)) == shape(json.loads(said)), command
        else:  # it is written to a file, or there is none
            assert done.stdout == "", command
    for written in ("crop.png", "face.png"):
        with Pil.open(tmp_path / written) as picture:
            assert picture.size == (112, 112)
    assert "face_requests_total" in (tmp_path / "metrics.txt").read_text()
