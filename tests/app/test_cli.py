"""The commands as a shell runs them, in a data folder and against a running service."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.commands import samples
from app.commands.background import running_service
from app.commands.demo import altered, jpeg
from app.pipeline.decode import ImageLimits, decode_image
from app.wiring import FolderLock
from tests.app.commands.people_folder import write_people
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environment = {**os.environ, "FACE_MODEL_FILE": str(model)}
    with running_service(tmp_path_factory.mktemp("service"), environment) as url:
        yield url


@pytest.fixture(params=["local", "remote"])
def place(
    request: pytest.FixtureRequest, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The options that say where to work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACE_MODEL_FILE", str(model))
    if request.param == "local":
        return ["--data", str(tmp_path / "data")]
    return ["--url", request.getfixturevalue("service")]


@pytest.fixture
def local(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("FACE_MODEL_FILE", str(model))
    return ["--data", str(tmp_path / "data")]


def status(*arguments: str | Path) -> int:
    """The exit status of `face ARGUMENTS`."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_enroll_people_and_identify(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    people = write_people(tmp_path / "people")
    enroll = ("enroll", people, "--faces", "largest", "--report", tmp_path / "no.csv", *place)
    assert status(*enroll) == 0
    assert "3 pictures enrolled, 0 were before, 2 refused" in capsys.readouterr().err
    assert status(*enroll) == 0
    assert "0 pictures enrolled, 3 were before, 2 refused" in capsys.readouterr().err

    assert status("people", "--json", *place) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {p["person"]: p["faces"] for p in listed} == {"Eileen": 2, "Tom Hånks": 1}
    assert status("people", "--search", "håNKS", *place) == 0
    said = capsys.readouterr().out
    assert "Tom Hånks" in said
    assert "Eileen" not in said

    probe, drawn = people / "Tom Hånks" / "1.jpg", tmp_path / "drawn.png"
    assert status("identify", probe, "--json", "--top-k", "2", "--draw", drawn, *place) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    (face,) = answer["faces"]
    assert face["decision"] == "match"
    assert [match["person"] for match in face["matches"]] == ["Tom Hånks", "Eileen"]
    assert face["matches"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert face["margin"] == pytest.approx(
        face["matches"][0]["score"] - face["matches"][1]["score"], abs=1e-5
    )
    before = decode_image(probe.read_bytes(), ImageLimits())
    after = decode_image(drawn.read_bytes(), ImageLimits())
    assert after.shape == before.shape
    assert (after != before).any()


def test_identify_says_unknown_and_why_a_file_is_no_picture(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "group.jpg").write_bytes(jpeg(samples.group(), 90))
    (tmp_path / "broken.jpg").write_bytes(jpeg(samples.group(), 90)[:5000])
    (tmp_path / "drawn").mkdir()
    files = [tmp_path / "group.jpg", tmp_path / "broken.jpg", tmp_path / "absent.jpg"]
    options = ("--threshold", "0.99", "--draw", tmp_path / "drawn", *place)
    assert status("identify", *files, *options) == 1
    said = capsys.readouterr().out
    assert ["unknown" in line for line in said.splitlines() if "group.jpg" in line] == [True] * 6
    assert "cannot be decoded" in said
    assert "No such file" in said
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["1-group.png"]


def test_doctor_finds_all_well(place: list[str], capsys: pytest.CaptureFixture[str]):
    assert status("doctor", *place) == 0
    said = capsys.readouterr().out
    assert "self test" in said
    assert "fail" not in said


def test_an_absent_collection_is_one_sentence(
    place: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert status("people", "--collection", "nobody", *place) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "nobody" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_folder_in_use_points_to_the_service(
    local: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    lock = FolderLock(tmp_path / "data")
    try:
        assert status("people", *local) == 1
        assert "--url" in capsys.readouterr().err
        assert status("doctor", *local) == 1
        assert "in use" in capsys.readouterr().out
    finally:
        lock.release()


def test_a_service_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert status("people", "--url", "http://127.0.0.1:9") == 1
    said = capsys.readouterr().err
    assert "does not answer" in said
    assert len(said.splitlines()) == 1
    assert status("doctor", "--url", "http://127.0.0.1:9") == 1
    assert status("people", "--url", "127.0.0.1:8000") == 1
    assert "not the address of a service" in capsys.readouterr().err


def test_the_command_line_wins_over_the_environment(
    local: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FACE_URL", "http://127.0.0.1:9")
    assert status("people") == 1
    assert status("people", *local) == 0
    capsys.readouterr()
    assert status("people", "--url", "http://127.0.0.1:9", *local) == 1
    assert "not both" in capsys.readouterr().err


def test_a_key_of_the_environment_is_taken_for_a_setting_by_nobody(
    local: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FACE_KEY", "secret")
    assert status("people", *local) == 0


def test_an_absent_model_shows_no_stack(tmp_path: Path):
    """In a process of its own: this is what a user sees."""
    environment = {**os.environ, "FACE_MODEL_FILE": str(tmp_path / "absent.onnx")}
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "people", "--data", str(tmp_path / "data")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FACE_MODEL_FILE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_option_is_status_2(capsys: pytest.CaptureFixture[str]):
    assert status("identify") == 2
    assert status("identify", "x.jpg", "--top-k", "0") == 2
    assert status("enrol", "x") == 2
    capsys.readouterr()


def test_the_altered_astronaut_is_drawn_for_each_of_several_files(
    local: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(altered(samples.astronaut()), 80))
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert status("identify", *files, "--draw", tmp_path / "out.png", *local) == 0
    assert (tmp_path / "out-1.png").is_file()
    assert (tmp_path / "out-2.png").is_file()
    assert "out-2.png" in capsys.readouterr().out
