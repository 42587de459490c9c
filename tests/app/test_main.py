import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.app.api import photos
from tests.process import environment_in

ROOT = Path(__file__).parents[2]
SERVE = "from app.main import serve; from app.settings import read_settings; serve(read_settings())"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_in(tmp_path_factory.mktemp("serve"))


@contextmanager
def served(environment: dict[str, str], log: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields the address of its one printed line, and the process."""
    command = [sys.executable, "-W", "error", "-c", SERVE]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[\d.:]+", line)
            assert found, f"{line!r}, {log.read_text()}"
            yield found[0], process
        finally:
            if process.poll() is None:
                process.kill()


def test_what_was_acknowledged_outlives_a_kill(environment, tmp_path):
    with served(environment, tmp_path / "log") as (url, process):
        form = {"data": {"person": "lovelace"}, "files": {"image": photos.one_face()}}
        assert httpx.post(f"{url}/enroll", **form, timeout=30).status_code == 201
        process.kill()
    with served(environment, tmp_path / "log") as (url, process):
        answer = httpx.post(f"{url}/identify", files=form["files"], timeout=30).json()
        (face,) = answer["results"][0]["faces"]
        assert face["matches"][0]["person"] == "lovelace"
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (logged,) = [line for line in lines if line["event"] == "request"]
    assert (logged["path"], logged["status"]) == ("/identify", 200)
    assert logged["request_id"]
    assert "lovelace" not in (tmp_path / "log").read_text()


def test_two_services_do_not_share_a_folder_or_a_port(environment, tmp_path):
    command = [sys.executable, "-c", SERVE]
    with served(environment, tmp_path / "log") as (url, _):
        other = environment | {"FACE_DATA_DIR": str(tmp_path), "FACE_PORT": url.rsplit(":", 1)[1]}
        for clashing, said in ((environment, "in use by another process"), (other, "FACE_PORT=")):
            done = subprocess.run(
                command, cwd=ROOT, env=clashing, capture_output=True, text=True, check=False
            )
            assert done.returncode != 0
            assert said in done.stderr.splitlines()[-1]


def test_an_open_address_is_refused_before_anything_is_loaded(environment, tmp_path):
    exposed = environment | {"FACE_HOST": "0.0.0.0", "FACE_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        cwd=ROOT,
        env=exposed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FACE_AUTH=off" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()
