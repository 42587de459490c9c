"""A data folder that the first release wrote, opened by this one; `make.py` made it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.errors import Unavailable
from app.gallery import Gallery
from app.gallery.once import Mark
from app.index.flat import FlatIndex
from app.store.store import Store, sqlite_url
from tests.process import ROOT, served
from tests.upgrade import make

KEPT = Path(__file__).parent / "first_release"
SCHEMA = "0002"
AT_ONCE = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "data"))


def opened(folder: Path) -> Gallery:
    store = Store(sqlite_url(folder / "face.db"))
    return Gallery(store, FlatIndex(), make.CONTRACT, 0.5, keep_replies=timedelta(days=36500))


def schema(file: Path) -> str:
    with closing(sqlite3.connect(file)) as plain:
        return str(plain.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def content(file: Path) -> list[str]:
    """Every row and every table of the database, as SQL."""
    with closing(sqlite3.connect(file)) as plain:
        return list(plain.iterdump())


def test_the_fixture_is_of_the_first_release():
    assert schema(KEPT / "face.db") == SCHEMA


def test_everything_is_as_the_first_release_said(folder: Path):
    gallery = opened(folder)
    told = make.said(gallery)
    crop = gallery.crop("staff", "emmy", told["people"]["staff"][0]["stored"][0]["id"])
    reply = gallery.answered(Mark("k" * 64, "r" * 64, "staff", "emmy"))
    findings = gallery.inspect()
    gallery.close()
    assert told == json.loads((KEPT / "said.json").read_text())
    assert reply == make.REPLY
    assert np.array_equal(decoded(crop), make.crop())
    assert all(finding.ok for finding in findings)


def decoded(png: bytes) -> np.ndarray:
    from app.pipeline.decode import ImageLimits, decode_image

    return decode_image(png, ImageLimits())


def test_it_is_brought_up_to_date_and_goes_on(folder: Path):
    gallery = opened(folder)
    gallery.enrol("default", "new", [make.NewFace(make.vector(500))])
    gallery.delete_person("default", "ada")
    gallery.close()
    gallery = opened(folder)  # by the release that wrote it last
    assert [person.id for person in gallery.people("default").items] == ["new", "sophie"]
    gallery.close()
    assert schema(folder / "face.db") > SCHEMA


def test_processes_that_start_at_once_migrate_once(folder: Path):
    script = f"from app.store.store import Store; Store({sqlite_url(folder / 'face.db')!r}).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(AT_ONCE)
    ]
    faults = [process.communicate()[1].decode() for process in processes]
    assert faults == [""] * AT_ONCE  # a step that ran twice would find its tables there
    gallery = opened(folder)
    assert make.said(gallery) == json.loads((KEPT / "said.json").read_text())
    gallery.close()


def test_a_step_that_fails_leaves_everything_as_it_was(folder: Path):
    """A table of the name that a later step wants stops it after the steps before."""
    file = folder / "face.db"
    with closing(sqlite3.connect(file)) as plain, plain:
        plain.execute("CREATE TABLE api_keys (somebody_elses INTEGER)")
    before = content(file)
    with pytest.raises(Unavailable):
        Store(sqlite_url(file))
    assert content(file) == before
    with closing(sqlite3.connect(file)) as plain, plain:
        plain.execute("DROP TABLE api_keys")
    gallery = opened(folder)
    assert make.said(gallery) == json.loads((KEPT / "said.json").read_text())
    gallery.close()


def test_the_command_refuses_a_newer_schema_with_a_sentence(folder: Path):
    file = folder / "face.db"
    with closing(sqlite3.connect(file)) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '7777'")
    before = file.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "written by a newer version (schema 7777" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert file.read_bytes() == before


def test_the_service_serves_it(folder: Path, tmp_path: Path):
    environment = {**os.environ, "FACE_DATA_DIR": str(folder), "FACE_PORT": "0"}
    with served(environment, tmp_path / "log") as (url, _process):
        people = httpx.get(f"{url}/collections/default/people").json()["items"]
        assert [(person["id"], person["name"]) for person in people] == [
            ("ada", make.PEOPLE["ada"]),
            ("sophie", make.PEOPLE["sophie"]),
        ]
        assert httpx.post(f"{url}/fsck", timeout=30).json()["ok"]
