import numpy as np
import pytest

from models.evaluate import faces
from models.evaluate.thresholds import thresholds


def described(people):
    """Faces of the given people, whose crops hold nothing but their row's number."""
    crops = np.zeros((len(people), 112, 112, 3), np.uint8)
    crops[:, 0, 0, 0], crops[:, 0, 0, 1] = np.divmod(np.arange(len(people)), 256)
    return faces.Faces(crops, np.array(people, np.int32), {}, 0)


def embed_as(vectors):
    """An embedder that gives each face of `described` its row of (N, D), as unit vectors."""

    def embed(crops):
        rows = vectors[crops[:, 0, 0, 0].astype(int) * 256 + crops[:, 0, 0, 1]]
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return embed


def test_people_who_look_alike_to_an_embedder_are_counted_at_each_threshold():
    # 40 people with two pictures at a cosine of 0.8, all of them strangers to each other but for
    # one with a double, who has one picture alone and so is never enrolled before the others.
    own = np.repeat(np.eye(81)[:40], 2, 0)
    own[1::2] = 0.8 * own[1::2] + 0.6 * np.eye(81)[40:80]
    double = 0.7 * np.eye(81)[:1] + np.sqrt(1 - 0.49) * np.eye(81)[80:]
    source = described([*np.repeat(np.arange(40), 2), *range(40, 60)])
    others = np.zeros((19, 81))
    others[:, 80] = -1
    vectors = np.concatenate([own, double, others])
    found = thresholds(source, embed_as(vectors), sizes=[40], at=[0.5, 0.75, 0.9])
    gallery = found["gallery_40"]
    assert gallery["rank1"] == 1.0
    named = {key: row["named_rightly"] for key, row in gallery.items() if key.startswith("at_0")}
    assert named == {"at_0.50": 1.0, "at_0.75": 1.0, "at_0.90": 0.0}
    # The double is one of 20 strangers. It is at 0.7 of one of its pictures and 0.56 of the other.
    assert gallery["at_0.50"]["strangers_named"] == pytest.approx(1 / 20)
    assert gallery["at_0.75"]["strangers_named"] == 0.0
    low, high = gallery["at_0.50"]["strangers_named_interval"]
    assert low < 1 / 20 < high
    assert found["people"] == 60


def test_a_larger_gallery_names_more_strangers():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(300), 2)
    vectors = rng.normal(size=(600, 8))
    found = thresholds(described(people), embed_as(vectors), sizes=[20, 200], at=[0.8, 0.801])
    small, large = (found[f"gallery_{size}"]["at_0.80"]["strangers_named"] for size in (20, 200))
    assert 0 < small < large / 3
    finer = found["gallery_200"]["at_0.801"]["strangers_named"]  # told apart from 0.80
    assert 0 < finer < large
    reached = [found[f"gallery_{size}"]["threshold_at_fpir_0.01"] for size in (20, 200)]
    assert reached[0] < reached[1]


def test_sizes_that_leave_no_strangers_are_left_out():
    people = np.repeat(np.arange(40), 2)
    vectors = np.random.default_rng(0).normal(size=(80, 8))
    found = thresholds(described(people), embed_as(vectors), sizes=[20, 35])
    assert "gallery_20" in found
    assert "gallery_35" not in found


def test_too_few_people_and_people_with_one_picture_are_refused():
    vectors = np.random.default_rng(0).normal(size=(40, 8))
    with pytest.raises(ValueError, match="20 people are too few for galleries of 50"):
        thresholds(described(np.repeat(np.arange(20), 2)), embed_as(vectors), sizes=[50])
    with pytest.raises(ValueError, match="nobody has a second picture"):
        thresholds(described(np.arange(40)), embed_as(vectors), sizes=[20])
