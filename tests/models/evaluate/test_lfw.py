import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import photos
from models.evaluate import faces, sheets
from models.evaluate.lfw import lfw
from tests.models.evaluate.drawn import colours, pattern, write_lfw

LFW = Path(__file__).parents[4] / "shared" / "data" / "lfw-pairs.zip"


@pytest.fixture
def pairs(tmp_path):
    """The small list's drawn people; no face was found in A's second photograph."""
    rng = np.random.default_rng(0)
    a, b = pattern(rng), pattern(rng)
    crops = photos.Crops(np.stack([a, a * 0, b, b]), np.array([True, False, True, True]))
    return faces.read_lfw(write_lfw(tmp_path), lambda _: crops)


def test_pairs_are_read_as_lfw_writes_them():
    pairs, same = faces.parse_pairs("1\t1\nAda_L\t1\t4\nAda_L\t2\tBob\t13\n")
    assert pairs == [
        ("lfw/Ada_L/Ada_L_0001.jpg", "lfw/Ada_L/Ada_L_0004.jpg"),
        ("lfw/Ada_L/Ada_L_0002.jpg", "lfw/Bob/Bob_0013.jpg"),
    ]
    assert same.tolist() == [True, False]


def test_a_line_that_is_no_pair_is_named():
    with pytest.raises(ValueError, match="line 3"):
        faces.parse_pairs("1\t1\nAda\t1\t2\nAda\t1\n")


def test_a_photograph_without_a_face_counts_against_its_pair(pairs):
    result = lfw(pairs, colours)
    assert result.scores[0] == -1
    assert result.figures["pairs"] == 4
    assert result.figures["faces_not_found"] == 1
    assert result.figures["tar_at_far_0.01"] == 0.5
    assert result.figures["accuracy"] < 1


def test_an_interval_holds_its_figure_and_is_not_empty(pairs):
    figures = lfw(pairs, colours).figures
    for key in ("accuracy", "tar_at_far_0.01", "tar_at_far_0.001"):
        low, high = figures[f"{key}_interval"]
        assert 0 <= low < figures[key] < high <= 1


def test_the_sheets_show_the_worst_first_and_are_never_committed(pairs, tmp_path):
    folder = tmp_path / "worst"
    missed, confused = sheets.write_worst(pairs, lfw(pairs, colours), folder)
    assert (folder / ".gitignore").read_text() == "*\n"
    first = cv2.imread(str(missed))[:, :, ::-1]
    shown = first[sheets.CAPTION : sheets.CAPTION + 112, 112:224]
    assert not shown.any()  # the photograph without a face, of the pair at -1
    assert cv2.imread(str(confused)).any()


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
    assert figures["accuracy"] >= 0.98
