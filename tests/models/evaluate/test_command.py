import json
import re
import sys

import cv2
import numpy as np
import pytest

from models import catalog, photos, weights
from models.evaluate import __main__ as command
from models.evaluate import faces
from models.evaluate.embedders import onnx_embedder, service_embedder
from tests.models.evaluate.drawn import write_lfw
from tests.models.packs import write_pack
from tests.photographs import astronaut
from tests.tiny_model import write_tiny_model

PNG = b"\x89PNG"


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["models.evaluate", *map(str, arguments)])
        command.main()
        return capsys.readouterr().out

    return run


def test_identification_by_json_and_as_a_table_of_several_embedders(run, tmp_path):
    pack = write_pack(tmp_path / "identify.npz")
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    other = write_tiny_model(tmp_path / "other.onnx")
    figures = json.loads(run("identify", pack, "--model", tiny, "--json"))
    assert figures["embedder"] == "tiny"
    assert {"rank1", "fnir_at_fpir_0.01", "fnir_at_fpir_0.001", "people", "strangers"} <= set(
        figures
    )
    several = ("identify", pack, "--model", tiny, "--model", other)
    rows = json.loads(run(*several, "--json"))
    assert [row["embedder"] for row in rows] == ["tiny", "other"]
    plots = tmp_path / "plots"
    assert "| figure | tiny | other |" in run(*several, "--plots", plots)
    drawn = {path.name: path.read_bytes()[:4] for path in plots.iterdir()}
    assert drawn == dict.fromkeys(["identify-det.png", "identify-scores.png"], PNG)


def test_a_file_that_is_absent_is_named(run, capsys):
    with pytest.raises(SystemExit):
        run("lfw", "nowhere.zip")
    assert "nowhere.zip does not exist" in capsys.readouterr().err


def test_every_engine_gives_the_same_embeddings(tmp_path):
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    crops = np.random.default_rng(0).integers(0, 256, (19, 112, 112, 3)).astype(np.uint8)
    mine = onnx_embedder(tiny).embed(crops)
    assert mine.shape == (19, 256)
    for engine, least in (("openvino", 0.99999), ("openvino-bf16", 0.999)):
        theirs = onnx_embedder(tiny, engine)
        assert theirs.name == f"tiny, {engine}"
        assert (mine * theirs.embed(crops)).sum(1).min() > least


def test_photographs_and_embeddings_come_through_a_running_service():
    found = cv2.imencode(".png", astronaut()[:, :, ::-1])[1].tobytes()
    nobody = cv2.imencode(".png", np.full((200, 200, 3), 90, np.uint8))[1].tobytes()
    with photos.own_service() as service:
        photographs = photos.reader(None, service)
        crops, alone = photographs([found, nobody]), photographs([nobody])
        served = service_embedder(service)
        theirs = served.embed(crops.crops[:1])
    assert crops.found.tolist() == [True, False]
    assert crops.crops.shape == (2, 112, 112, 3)
    assert crops.crops[0].std() > 20
    assert not crops.crops[1].any()
    assert alone.found.tolist() == [False]
    assert served.name == service.url
    file = onnx_embedder(weights.find(catalog.card("scsc_faceresnet")))
    assert np.allclose(theirs, file.embed(crops.crops[:1]), atol=1e-3)


def test_lfw_by_several_embedders_draws_curves_and_sheets(run, tmp_path):
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    other = write_tiny_model(tmp_path / "other.onnx")
    crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)
    np.savez(tmp_path / "crops.npz", crops=crops, found=np.ones(4, bool))
    out = run(
        *("lfw", write_lfw(tmp_path), "--crops", tmp_path / "crops.npz", "--model", tiny),
        *("--model", other, "--plots", tmp_path / "plots", "--worst", tmp_path / "worst"),
    )
    assert "| figure | tiny | other |" in out
    assert re.search(r"\| accuracy \| [\d.]+ \[[\d.]+, [\d.]+\] \|", out)
    drawn = {path.name: path.read_bytes()[:4] for path in (tmp_path / "plots").iterdir()}
    kinds = ("roc", "det", "scores", "cost")
    assert drawn == dict.fromkeys([f"lfw-{kind}.png" for kind in kinds], PNG)
    assert {path.name for path in (tmp_path / "worst").iterdir()} == {
        *(".gitignore", "missed.png", "confused.png")
    }


@pytest.mark.parametrize("protocol", ["lfw", "identify"])
def test_what_an_embedder_gains_on_the_first_is_told(run, tmp_path, protocol, capsys):
    (tmp_path / "of-another-run").mkdir()
    first = write_tiny_model(tmp_path / "tiny.onnx")
    other = write_tiny_model(tmp_path / "of-another-run" / "tiny.onnx", seed=1)
    crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)
    np.savez(tmp_path / "crops.npz", crops=crops, found=np.ones(4, bool))
    pack = write_pack(tmp_path / "identify.npz")
    source = pack if protocol == "identify" else write_lfw(tmp_path)
    asked = (protocol, source, "--crops", tmp_path / "crops.npz", "--differences", "--model")
    base, row = json.loads(run(*asked, first, "--model", other, "--json"))
    assert [base["embedder"], row["embedder"]] == [str(first), str(other)]
    assert "difference" not in base
    gained = row["difference"]
    assert gained.pop("from") == str(first)
    figures = [key for key in gained if not key.endswith("_interval")]
    assert len(figures) == 3
    for key in figures:
        assert gained[key] == pytest.approx(row[key] - base[key])
        low, high = gained[f"{key}_interval"]
        assert low <= gained[key] <= high
    assert f"| difference {figures[0]} |  | " in run(*asked, first, "--model", other)
    with pytest.raises(SystemExit):
        run(*asked, first)
    assert "--differences needs two embedders" in capsys.readouterr().err


def test_thresholds_are_told_by_the_size_of_the_gallery(run, tmp_path):
    pack = write_pack(tmp_path / "identify.npz", people=30, each=3)
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    asked = ("--people", 10, "--people", 20, "--threshold", 0.43)
    figures = json.loads(run("thresholds", pack, "--model", tiny, *asked, "--json"))
    assert figures["people"] == 30
    for size in (10, 20):
        rows = figures[f"gallery_{size}"]
        assert set(rows["at_0.43"]) == set(rows["at_fpir_0.01"])
        low, high = rows["rank1_interval"]
        assert low <= rows["rank1"] <= high


def test_lfw_can_be_searched_like_a_folder(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)
    made = photos.Crops(crops, np.array([True, False, True, True]))
    source = faces.read(write_lfw(tmp_path), lambda _: made)
    assert source.people.tolist() == [0, 1, 1]
    assert (source.crops == crops[[0, 2, 3]]).all()
    assert source.not_found == 1


def test_false_matches_are_told_by_the_labels_a_pack_has(run, tmp_path):
    pack = write_pack(tmp_path / "plain.npz", people=10, each=4)
    with np.load(pack) as arrays:
        np.savez(pack, **arrays, sex=np.arange(40, dtype=np.int8) % 3 - 1)
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    figures = json.loads(run("strangers", pack, "--model", tiny, "--json"))
    assert set(figures) == {"embedder", "by_sex"}
    groups = figures["by_sex"]["groups"]
    assert {label: row["crops"] for label, row in groups.items()} == {"male": 13, "female": 13}


def test_conditions_are_told_by_name(run, tmp_path):
    pack = write_pack(tmp_path / "identify.npz", people=6, each=3)
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    asked = ("--condition", "a mask", "--condition", "grey")
    figures = json.loads(run("conditions", pack, "--model", tiny, *asked, "--json"))
    assert {name for name, row in figures.items() if isinstance(row, dict)} == {"a mask", "grey"}
    assert set(figures["a mask"]) >= {"rank1", "fnir", "fpir", "fnir_interval"}
    assert "a mask rank1" in run("conditions", pack, "--model", tiny, "--condition", "a mask")
