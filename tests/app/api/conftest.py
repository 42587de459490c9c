from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from app.settings import MIB, Settings
from tests.app.api.service import running
from tests.tiny_model import write_tiny_model

NUMBERS = count(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def settings(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Small limits, so that a test need not send tens of megabytes to exceed them."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        model_file=tiny_model,
        threads=1,
        max_images=4,
        max_image_bytes=1 * MIB,
        max_request_bytes=3 * MIB,
    )


@pytest.fixture(scope="session")
def url(settings: Settings) -> Iterator[str]:
    with running(settings) as address:
        yield address


@pytest.fixture(scope="session")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
def collection(http: httpx.Client) -> str:
    """A new one, so that tests share a service and nothing else."""
    name = f"test-{next(NUMBERS)}"
    assert http.post("/collections", json={"name": name, "keep_crops": True}).status_code == 201
    return name


@pytest.fixture
def stored(http: httpx.Client) -> Callable[[], list[str]]:
    """All that the service holds, of which nothing may change when a request is refused."""

    def look() -> list[str]:
        collections = http.get("/collections").json()["items"]
        people = [
            str(person)
            for each in collections
            for person in http.get(f"/collections/{each['name']}/people").json()["items"]
        ]
        return [str(each) for each in collections] + people

    return look
