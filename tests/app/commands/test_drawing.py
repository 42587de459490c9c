from pathlib import Path

import numpy as np
import pytest

from app.commands.drawing import AMBER, GREEN, draw, label, output_paths, save
from app.commands.target import Found
from app.entities import Identification, Match
from app.errors import BadRequest
from app.pipeline.decode import ImageLimits, decode_image

PAPER = np.full((200, 300, 3), 120, np.uint8)


def face(name: str, decision: str, box: tuple[float, float, float, float]) -> Found:
    matches = (Match("id", name, 1, 0.8125),)
    return Found(box, 0.9, Identification(decision, 0.35, matches))  # type: ignore[arg-type]


def test_a_match_has_a_green_box_and_the_picture_stays_as_it_was():
    before = PAPER.copy()
    drawn = draw(PAPER, [face("Ada", "match", (50, 60, 120, 150))])
    assert (before == PAPER).all()
    assert tuple(drawn[150, 80]) == GREEN
    assert drawn.shape == PAPER.shape


def test_an_unknown_is_amber_and_not_named():
    unknown = face("Ada", "unknown", (50, 60, 120, 150))
    assert label(unknown) == "unknown"
    assert tuple(draw(PAPER, [unknown])[150, 80]) == AMBER


def test_a_label_holds_name_and_score():
    assert label(face("Ada", "match", (0, 0, 1, 1))) == "Ada 0.81"


@pytest.mark.parametrize(
    "pair", [("中村", "大輔"), ("Женя", "Жанна"), ("Zoë", "Zoé"), ("김", "박")]
)
def test_names_of_many_scripts_are_letters_not_boxes(pair: tuple[str, str]):
    one, other = (draw(PAPER, [face(name, "match", (50, 60, 120, 150))]) for name in pair)
    assert (one != other).any()


@pytest.mark.parametrize("box", [(-20, -20, 20, 20), (250, 150, 400, 300), (0, 0, 300, 200)])
def test_a_box_at_the_edge_is_drawn(box: tuple[float, float, float, float]):
    drawn = draw(PAPER, [face("a rather long name that is wider than it", "match", box)])
    assert (drawn != PAPER).any()


def test_where_drawings_go(tmp_path: Path):
    files = [Path("a/one.jpg"), Path("b/two.png")]
    assert output_paths(Path("out.png"), files[:1]) == [Path("out.png")]
    assert output_paths(Path("x/out.png"), files) == [Path("x/out-1.png"), Path("x/out-2.png")]
    assert output_paths(tmp_path, files) == [tmp_path / "1-one.png", tmp_path / "2-two.png"]


def test_a_saved_picture_reads_back_the_same(tmp_path: Path):
    drawn = draw(PAPER, [face("Ada", "match", (50, 60, 120, 150))])
    save(drawn, tmp_path / "new" / "out.png")
    data = (tmp_path / "new" / "out.png").read_bytes()
    assert (decode_image(data, ImageLimits()) == drawn).all()


def test_an_ending_that_is_no_picture_is_said(tmp_path: Path):
    with pytest.raises(BadRequest, match=r"must end in \.png"):
        save(PAPER, tmp_path / "out.txt")
