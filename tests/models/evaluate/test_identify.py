import numpy as np
import pytest

from models.evaluate import faces
from models.evaluate.identify import identify
from models.evaluate.strangers import false_matches
from tests.models.evaluate.drawn import colours, pattern


def people(number=6, each=8, dull=()):
    """Drawn people; those in `dull` are grey from picture to picture, and so hard to know."""
    rng = np.random.default_rng(0)
    crops, labels = [], []
    for person in range(number):
        face = pattern(rng).astype(int)
        for _ in range(each):
            other = pattern(rng).astype(int) if person in dull else face
            noisy = other + rng.integers(-20, 20, face.shape)
            crops.append(np.clip(noisy, 0, 255).astype(np.uint8))
            labels.append(person)
    labels = np.array(labels, np.int32)
    groups = {"sex": np.where(np.isin(labels, dull), "dull", "bright")}
    return faces.Faces(np.stack(crops), labels, groups, 0)


def test_an_embedder_of_colours_knows_drawn_people():
    figures = identify(people(), colours).figures
    assert figures["people"] == figures["strangers"] == 3
    assert figures["rank1"] == 1.0
    assert figures["fnir_at_fpir_0.001"] == 0.0
    assert figures["rank1_interval"] == (1.0, 1.0)


def test_an_embedder_of_noise_knows_nobody():
    noise = np.random.default_rng(0)

    def blind(crops):
        return noise.normal(size=(len(crops), 8)).astype(np.float32)

    figures = identify(people(), blind).figures
    assert figures["rank1"] < 0.7
    low, high = figures["rank1_interval"]
    assert low < figures["rank1"] < high


def test_groups_are_told_apart_at_one_threshold():
    by = identify(people(dull=(3, 4, 5)), colours, ["sex"]).figures["by_sex"]
    assert by["bright"]["people"] == by["dull"]["people"] == 3
    assert by["bright"]["rank1"] == 1.0
    assert by["dull"]["rank1"] < 0.7
    assert by["dull"]["fnir"] >= 1 - by["dull"]["rank1"]


def test_a_grouping_without_labels_is_refused_by_name():
    with pytest.raises(LookupError, match="'age'; they have: sex"):
        identify(people(), colours, ["age"])


def test_people_with_one_picture_each_cannot_be_searched():
    with pytest.raises(ValueError, match="at least two pictures"):
        identify(people(each=1), colours)


def test_false_matches_are_counted_within_a_group_and_without_the_same_person():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(200, 32))
    near = spread[:200] * 0.5 + rng.normal(size=32) * 0.8  # a group whose strangers look alike
    points = np.concatenate([spread, near, near[:10] + 0.001]).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels = np.array(["spread"] * 200 + ["near"] * 210)
    teacher = rng.normal(size=(410, 64)).astype(np.float32)
    teacher[400:] = teacher[200:210]  # the last ten are people seen before
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    found = false_matches(points, teacher, labels)
    rate = {label: row["false_match_rate"] for label, row in found["groups"].items()}
    assert rate["spread"] == 0.0
    low, high = found["groups"]["near"]["false_match_rate_interval"]
    assert 0.001 < low < rate["near"] < high
    # By hand: every pair within the group above the threshold, but for the ten of one person.
    scores = points[200:] @ points[200:].T
    pairs = np.argwhere(np.triu(scores >= found["threshold"], 1))
    strangers = [pair for pair in pairs if pair[1] - pair[0] != 200]
    assert rate["near"] == pytest.approx(len(strangers) / (210 * 209 / 2 - 10), rel=1e-3)
