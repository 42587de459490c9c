from pathlib import Path

import numpy as np
import pytest

from app.commands import samples
from app.commands.demo import Probe, altered, cut, framed, run, table
from app.commands.target import Found
from app.entities import Identification, Match
from app.errors import Unavailable
from app.pipeline.decode import ImageLimits, decode_image


def found(decision: str, person: str) -> Found:
    matches = (Match(person, person, 1, 0.5),)
    answer = Identification(decision, 0.35, matches)  # type: ignore[arg-type]
    return Found((0, 0, 1, 1), 0.9, answer)


@pytest.mark.parametrize(
    ("expected", "face", "right"),
    [
        ("Ada", found("match", "Ada"), True),
        ("Ada", found("match", "Alan"), False),  # taken for another
        ("Ada", found("unknown", "Ada"), False),  # missed
        ("Ada", None, False),  # not even a face
        (None, found("unknown", "Ada"), True),
        (None, found("match", "Ada"), False),  # a stranger named
        (None, None, False),
    ],
)
def test_what_counts_as_right(expected: str | None, face: Found | None, right: bool):
    probe = Probe("a picture", expected, face)
    assert probe.right is right
    assert table([probe]).row_count == 1


def test_a_cut_stays_inside_the_picture():
    image = np.zeros((100, 200, 3), np.uint8)
    assert cut(image, (0, 0, 50, 50)).shape == (80, 80, 3)
    assert cut(image, (150, 60, 190, 100)).shape == (64, 74, 3)


def test_an_altered_picture_is_another_one():
    before = samples.astronaut()
    after = altered(before)
    assert after.shape == (410, 410, 3)
    assert after.mean() < 0.8 * before.mean()
    assert framed(samples.close_up()).shape == (448, 448, 3)


def test_a_sample_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.commands.samples.find_spec", lambda _: None)
    with pytest.raises(Unavailable, match="skimage/data/astronaut"):
        samples.astronaut_file()


def test_the_demo_names_everyone_enrolled_and_no_stranger(tmp_path: Path):
    """With the project's own weights, over HTTP, as `make demo` does."""
    assert run(tmp_path / "out")
    drawn = decode_image((tmp_path / "out" / "demo.png").read_bytes(), ImageLimits())
    assert drawn.shape == (709, 1024, 3)
