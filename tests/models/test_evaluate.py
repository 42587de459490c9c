import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import evaluate, photos
from tests.models.packs import write_pack
from tests.photographs import astronaut

SHARED = Path(__file__).parents[3] / "shared"
LFW = SHARED / "data" / "lfw-pairs.zip"


def colours(crops):
    """An embedder of drawn crops: their coarse colours about the mean."""
    small = np.stack([cv2.resize(crop, (6, 6), interpolation=cv2.INTER_AREA) for crop in crops])
    flat = small.reshape(len(crops), -1).astype(np.float32) - 127.5
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def test_pairs_are_read_as_lfw_writes_them():
    pairs, same = evaluate.read_pairs("1\t1\nAda_L\t1\t4\nAda_L\t2\tBob\t13\n")
    assert pairs == [
        ("lfw/Ada_L/Ada_L_0001.jpg", "lfw/Ada_L/Ada_L_0004.jpg"),
        ("lfw/Ada_L/Ada_L_0002.jpg", "lfw/Bob/Bob_0013.jpg"),
    ]
    assert same.tolist() == [True, False]


def test_a_line_that_is_no_pair_is_named():
    with pytest.raises(ValueError, match="line 3"):
        evaluate.read_pairs("1\t1\nAda\t1\t2\nAda\t1\n")


def test_lfw_counts_a_photograph_without_a_face_against_the_pair(tmp_path):
    # Two folds, each one pair of one person and one of two; person A's second photograph is lost.
    text = "2\t1\nA\t1\t2\nA\t1\tB\t1\nB\t1\t2\nB\t2\tA\t1\n"
    with zipfile.ZipFile(tmp_path / "lfw.zip", "w") as archive:
        archive.writestr("pairs.txt", text)
    rng = np.random.default_rng(0)
    a, b = (cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (112, 112)) for _ in "ab")
    crops = np.stack([a, a * 0, b, b])  # in the order of the names: A1, A2, B1, B2
    np.savez(tmp_path / "crops.npz", crops=crops, found=np.array([True, False, True, True]))
    figures = evaluate.lfw(tmp_path / "lfw.zip", colours, tmp_path / "crops.npz")
    assert figures["pairs"] == 4
    assert figures["faces_not_found"] == 1
    assert figures["tar_at_far_0.01"] == 0.5
    assert figures["accuracy"] < 1


def test_identification_on_a_pack_of_drawn_people_is_perfect_for_an_embedder_of_colours(tmp_path):
    figures = evaluate.identify(write_pack(tmp_path / "identify.npz"), colours)
    assert figures["people"] == figures["strangers"] == 3
    assert figures["rank1"] == 1.0
    assert figures["fnir_at_fpir_0.001"] == 0.0
    noise = np.random.default_rng(0)

    def blind(crops):
        return noise.normal(size=(len(crops), 8)).astype(np.float32)

    assert evaluate.identify(tmp_path / "identify.npz", blind)["rank1"] < 0.7


def test_photographs_become_the_crop_nearest_to_the_middle_through_a_service():
    found = cv2.imencode(".png", astronaut()[:, :, ::-1])[1].tobytes()
    nobody = cv2.imencode(".png", np.full((200, 200, 3), 90, np.uint8))[1].tobytes()
    with photos.service() as url:
        crops = photos.aligned_crops([found, nobody], url)
        alone = photos.aligned_crops([nobody], url)
    assert crops.found.tolist() == [True, False]
    assert crops.crops.shape == (2, 112, 112, 3)
    assert crops.crops[0].std() > 20
    assert not crops.crops[1].any()
    assert alone.found.tolist() == [False]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not LFW.exists(), reason="needs ../shared/data/lfw-pairs.zip")
@pytest.mark.timeout(1800)
def test_the_product_passes_its_bar_on_lfw_photographs():
    command = [sys.executable, "-m", "models.evaluate", "lfw", str(LFW), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(answer.stdout)
    print(figures)
    assert figures["pairs"] == 6000
    assert figures["accuracy"] >= 0.88
