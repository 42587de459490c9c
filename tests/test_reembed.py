"""A real service moves a collection to another model, and is killed on the way again and again."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from app.cli import main
from app.client import FaceClient
from app.entities import Contract, Floats, Image, NewFace
from app.settings import Settings
from app.wiring import build_analyzer, build_gallery
from tests.process import environment_in, served
from tests.tiny_model import write_tiny_model

FACES = 400
PROBES = [0, 199, 399]
KILLS = 2


def crop(seed: int) -> Image:
    blocks = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return blocks.repeat(7, 0).repeat(7, 1)


def fill(folder: Path, model: Path) -> Contract:
    """A data folder of one person with many faces, by that model."""
    settings = Settings(data_dir=folder, model_file=model, threads=1)
    analyzer = build_analyzer(settings)
    gallery = build_gallery(settings, analyzer)
    gallery.update_collection("default", keep_crops=True)
    crops = [crop(seed) for seed in range(FACES)]
    vectors = analyzer.embed(crops, analyzer.contract)
    gallery.enrol(
        "default", "ada", [NewFace(v, 0.5, c) for v, c in zip(vectors, crops, strict=True)]
    )
    gallery.close()
    analyzer.close()
    return analyzer.contract


def probes(model: Path) -> Floats:
    analyzer = build_analyzer(Settings(model_file=model, threads=1))
    vectors = analyzer.embed([crop(seed) for seed in PROBES], analyzer.contract)
    analyzer.close()
    return vectors


def found(url: str, vectors: Floats, contract: str) -> list[float]:
    """Scores of the nearest faces."""
    body = {"embeddings": vectors.tolist(), "contract": contract}
    answer = httpx.post(f"{url}/identify", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return [each["faces"][0]["matches"][0]["score"] for each in answer.json()["results"]]


def status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return int(stopped.value.code or 0)


def test_killed_on_the_way_it_answers_by_the_old_model_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    old, new = (write_tiny_model(tmp_path / f"{seed}.onnx", seed) for seed in (1, 2))
    held = fill(tmp_path / "data", old).id
    by_old, by_new = probes(old), probes(new)
    environment = environment_in(tmp_path) | {
        "FACE_MODEL_FILE": str(new),
        "FACE_PREVIOUS_MODEL_FILE": str(old),
    }
    made = kills = 0
    while kills < KILLS:
        with served(environment, tmp_path / "log") as (url, process), FaceClient(url) as client:
            now = client.reembedding("default")
            assert now.made >= made  # nothing of what was made is lost
            if now.state == "moved":
                break
            assert min(found(url, by_old, held)) > 0.999
            now = client.reembed("default")
            while now.state == "running" and now.made <= made:
                now = client.reembedding("default")
            made = now.made
            process.kill()
            kills += 1
    assert made >= kills > 0
    with served(environment, tmp_path / "log") as (url, _), FaceClient(url) as client:
        if client.reembedding("default").state != "moved":
            assert status("reembed", "--url", url) == 0
        now = client.reembedding("default")
        assert (now.state, now.made, now.faces) == ("moved", FACES, FACES)
        assert min(found(url, by_new, now.held.id)) > 0.999
        assert all(finding.faults == 0 for finding in client.fsck().findings)
        refused = httpx.post(
            f"{url}/identify", json={"embeddings": by_old.tolist(), "contract": held}
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "contract_mismatch")

        assert status("reembed", "--back", "--url", url) == 0
        assert min(found(url, by_old, held)) > 0.999
        assert status("reembed", "--url", url) == 0
        assert status("reembed", "--forget-old", "--url", url) == 0
        assert client.reembedding("default").other is None
    said = capsys.readouterr().out
    assert f"{FACES} faces of default go by" in said
    assert "alone" in said


def test_in_a_folder_too_and_the_first_sentence_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    old, new = (write_tiny_model(tmp_path / f"{seed}.onnx", seed) for seed in (1, 2))
    fill(tmp_path / "data", old)
    monkeypatch.setenv("FACE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FACE_MODEL_FILE", str(new))
    by_new = probes(new)
    with served(environment_in(tmp_path) | {"FACE_MODEL_FILE": str(new)}, tmp_path / "log") as (
        url,
        process,
    ):
        answer = httpx.post(f"{url}/identify", json={"embeddings": by_new.tolist()}).json()
        assert answer["code"] == "contract_mismatch"
        assert "face reembed" in answer["detail"]
        process.kill()
        process.wait()
    assert status("reembed") == 0
    assert f"{FACES} faces" in capsys.readouterr().out
    assert status("reembed") == 1
    assert "already" in capsys.readouterr().err
    assert status("reembed", "--forget-old") == 0
