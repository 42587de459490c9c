import numpy as np
import pytest

from models.evaluate import faces
from models.evaluate.conditions import MOST, conditions
from models.evaluate.identify import identify
from tests.models.evaluate.drawn import colours, pattern


def people(number=8, each=6):
    """Drawn people, all pictures of one alike but for noise."""
    rng = np.random.default_rng(0)
    drawn = np.repeat(np.stack([pattern(rng) for _ in range(number)]), each, 0).astype(int)
    noisy = np.clip(drawn + rng.integers(-15, 16, drawn.shape), 0, 255).astype(np.uint8)
    return faces.Faces(noisy, np.repeat(np.arange(number), each).astype(np.int32), {}, 0)


def test_a_picture_as_it_is_changes_nothing():
    figures, whole = conditions(people(), colours, ["as it is"]), identify(people(), colours)
    assert figures["threshold"] == whole.figures["threshold_at_fpir_0.01"]
    plain = figures["as it is"]
    assert plain["rank1"] == whole.figures["rank1"] == 1.0
    assert plain["fnir"] == pytest.approx(whole.figures["fnir_at_fpir_0.01"])
    assert plain["fpir"] <= 0.01
    assert plain["people"] == 8


def test_colours_survive_few_pixels_and_not_the_dark():
    figures = conditions(people(), colours, ["24 pixels wide", "dark and noisy"])
    assert figures["24 pixels wide"]["rank1"] == 1.0
    dark = figures["dark and noisy"]
    assert dark["rank1"] < 0.7
    assert dark["fnir"] >= 1 - dark["rank1"]
    assert dark["fpir"] > 0.3  # the threshold stays, and in the dark all look alike to it
    low, high = dark["fnir_interval"]
    assert low < dark["fnir"] < high


def test_faces_are_enrolled_as_they_are_and_only_so_many_are_embedded():
    source = people(number=10, each=200)
    seen = []

    def embed(crops):
        seen.append(crops)
        return colours(crops)

    figures = conditions(source, embed, ["grey"])
    assert figures["grey"]["people"] == 10
    assert [len(crops) for crops in seen] == [1000, 1000]
    assert len(source.people) > MOST
    assert np.array_equal(seen[0], source.crops[::2])
    assert (seen[1][..., 0] == seen[1][..., 1]).all()


def test_what_cannot_be_measured_is_said():
    with pytest.raises(LookupError, match="no condition 'fog'; there are: as it is, "):
        conditions(people(), colours, ["fog"])
    with pytest.raises(ValueError, match="at least two pictures"):
        conditions(people(each=1), colours)
