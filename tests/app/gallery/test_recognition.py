"""Identify and verify: decisions, thresholds, margins, ranked people."""

import numpy as np
import pytest

from app.entities import NewFace
from app.errors import BadRequest, NotFound
from app.gallery import Gallery
from tests.app.gallery.made import DIM, THRESHOLD, at_angle, face, vector

PROBE = at_angle(1.0)


def enrol(gallery: Gallery, **cosines: float) -> None:
    """People by the cosine of their face with PROBE."""
    for axis, (person, cosine) in enumerate(cosines.items(), start=1):
        gallery.enrol("default", person, [NewFace(at_angle(cosine, axis))], name=person.title())


def test_people_are_ranked_by_their_best_face(gallery: Gallery):
    enrol(gallery, cat=0.3, ann=0.9, bob=0.7)
    gallery.add_faces("default", "cat", [NewFace(at_angle(0.8, 5))])
    (answer,) = gallery.identify("default", PROBE[None])
    assert [match.person for match in answer.matches] == ["ann", "cat", "bob"]
    assert [match.name for match in answer.matches] == ["Ann", "Cat", "Bob"]
    assert [match.face for match in answer.matches] == [2, 4, 3]
    assert [match.score for match in answer.matches] == pytest.approx([0.9, 0.8, 0.7], abs=1e-6)
    assert (answer.decision, answer.threshold) == ("match", THRESHOLD)
    assert answer.margin == pytest.approx(0.1, abs=1e-6)


def test_below_the_threshold_is_unknown_and_still_ranked(gallery: Gallery):
    enrol(gallery, ann=0.4, bob=-0.2)
    (answer,) = gallery.identify("default", PROBE[None])
    assert answer.decision == "unknown"
    assert [match.person for match in answer.matches] == ["ann", "bob"]


def test_exactly_the_threshold_is_a_match(gallery: Gallery):
    enrol(gallery, ann=0.4)
    score = gallery.verify("default", "ann", PROBE).score
    assert gallery.identify("default", PROBE[None], threshold=score)[0].decision == "match"
    assert gallery.verify("default", "ann", PROBE, threshold=score).same
    above = np.nextafter(score, 1.0)
    assert gallery.identify("default", PROBE[None], threshold=above)[0].decision == "unknown"
    assert not gallery.verify("default", "ann", PROBE, threshold=above).same


def test_the_call_s_threshold_goes_before_the_collection_s_before_the_model_s(gallery: Gallery):
    enrol(gallery, ann=0.4)
    for own, of_call, used in ((None, None, THRESHOLD), (0.3, None, 0.3), (0.3, 0.0, 0.0)):
        gallery.update_collection("default", threshold=own)
        (answer,) = gallery.identify("default", PROBE[None], threshold=of_call)
        checked = gallery.verify("default", "ann", PROBE, threshold=of_call)
        assert answer.threshold == checked.threshold == used
        assert checked.same is (answer.decision == "match") is (used <= 0.4)


def test_an_empty_collection_knows_nobody(gallery: Gallery):
    for answer in gallery.identify("default", np.stack([PROBE, vector(1)])):
        assert (answer.decision, answer.matches, answer.margin) == ("unknown", (), None)


def test_one_person_has_no_margin(gallery: Gallery):
    enrol(gallery, ann=0.9)
    gallery.add_faces("default", "ann", [face(1)])
    assert gallery.identify("default", PROBE[None])[0].margin is None


def test_top_k_cuts_the_list_and_leaves_the_margin(gallery: Gallery):
    enrol(gallery, ann=0.9, bob=0.5)
    (answer,) = gallery.identify("default", PROBE[None], top_k=1)
    assert [match.person for match in answer.matches] == ["ann"]
    assert answer.margin == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("top_k", [0, -1, 101])
def test_top_k_has_its_limits(gallery: Gallery, top_k: int):
    with pytest.raises(BadRequest, match="top_k"):
        gallery.identify("default", PROBE[None], top_k=top_k)


def test_each_probe_has_its_own_answer_in_order(gallery: Gallery):
    seeds = range(30)
    for seed in seeds:
        gallery.enrol("default", f"p{seed}", [face(seed)])
    answers = gallery.identify("default", np.stack([vector(seed) for seed in reversed(seeds)]))
    assert [answer.matches[0].person for answer in answers] == [f"p{s}" for s in reversed(seeds)]
    assert gallery.identify("default", np.empty((0, DIM), np.float32)) == []


def test_someone_with_very_many_faces_does_not_hide_the_others(gallery: Gallery):
    near = [NewFace(at_angle(0.9 + step / 10_000, 2)) for step in range(400)]
    gallery.enrol("default", "many", near)
    enrol(gallery, ann=0.5, bob=0.3, cat=0.1)
    far = at_angle(1.0) * -1
    answers = gallery.identify("default", np.stack([PROBE, far]), top_k=4)
    assert [match.person for match in answers[0].matches] == ["many", "ann", "bob", "cat"]
    assert answers[0].matches[0].face == 400
    assert [match.person for match in answers[1].matches] == ["cat", "bob", "ann", "many"]


@pytest.mark.parametrize(
    "embeddings", [vector(1), vector(1, DIM + 1)[None], np.full((1, DIM), np.nan)]
)
def test_probes_that_are_no_embeddings_are_refused(gallery: Gallery, embeddings):
    with pytest.raises(BadRequest, match="embedding"):
        gallery.identify("default", embeddings)


def test_verify_takes_the_person_s_best_face(gallery: Gallery):
    enrol(gallery, ann=0.2, bob=1.0)
    _, (better,) = gallery.add_faces("default", "ann", [NewFace(at_angle(0.6, 3))])
    answer = gallery.verify("default", "ann", PROBE)
    assert (answer.face, answer.same) == (better.id, True)
    assert answer.score == pytest.approx(0.6, abs=1e-6)
    with pytest.raises(NotFound, match="'zoe'"):
        gallery.verify("default", "zoe", PROBE)
