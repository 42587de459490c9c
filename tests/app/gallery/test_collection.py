"""Collections: made, changed, deleted, and bound to one model."""

from pathlib import Path

import pytest

from app.entities import Contract
from app.errors import BadRequest, Conflict, ContractMismatch, NotFound
from app.gallery import Gallery
from tests.app.gallery.made import CONTRACT, DIM, face, in_folder, open_gallery, vector

OTHER = Contract("c2", "second_model", DIM + 8)


def test_default_exists_from_the_start_and_cannot_be_deleted(gallery: Gallery):
    assert [one.name for one in gallery.collections()] == ["default"]
    gallery.enrol("default", "ann", [face(1)])
    with pytest.raises(Conflict, match="default"):
        gallery.delete_collection("default")
    assert gallery.counts() == (1, 1)


@in_folder
def test_a_collection_is_as_it_was_made_and_changed(gallery: Gallery, tmp_path: Path):
    made = gallery.create_collection("staff", threshold=0.3, keep_crops=True, description="us")
    assert (made.threshold, made.keep_crops, made.description) == (0.3, True, "us")
    assert (made.contract, made.dim) == (CONTRACT.id, DIM)
    assert gallery.update_collection("staff", threshold=None).threshold is None
    changed = gallery.update_collection("staff", keep_crops=False, description="")
    assert (changed.keep_crops, changed.description) == (False, "")
    assert gallery.update_collection("staff") == changed
    gallery.close()
    again = open_gallery(tmp_path)
    assert again.collection("staff") == changed
    again.close()


def test_a_second_one_of_that_name_is_a_conflict(gallery: Gallery):
    gallery.create_collection("staff")
    with pytest.raises(Conflict, match="staff"):
        gallery.create_collection("staff")


@pytest.mark.parametrize("threshold", [1.5, -1.01, float("nan")])
def test_a_threshold_is_a_cosine(gallery: Gallery, threshold: float):
    with pytest.raises(BadRequest, match="cosine"):
        gallery.create_collection("staff", threshold=threshold)
    with pytest.raises(BadRequest, match="cosine"):
        gallery.update_collection("default", threshold=threshold)
    assert len(gallery.collections()) == 1


def test_what_is_missing_is_named(gallery: Gallery):
    asks = [
        lambda: gallery.collection("nope"),
        lambda: gallery.contract_of("nope"),
        lambda: gallery.update_collection("nope"),
        lambda: gallery.delete_collection("nope"),
        lambda: gallery.people("nope"),
        lambda: gallery.enrol("nope", "ann", [face(1)]),
        lambda: gallery.identify("nope", vector(1)[None]),
        lambda: gallery.verify("nope", "ann", vector(1)),
    ]
    for ask in asks:
        with pytest.raises(NotFound, match="'nope'"):
            ask()


def test_a_deleted_collection_is_gone_with_its_people(gallery: Gallery):
    gallery.create_collection("staff")
    gallery.enrol("staff", "ann", [face(1)])
    gallery.enrol("default", "ann", [face(1)])
    gallery.delete_collection("staff")
    assert gallery.counts() == (1, 1)
    gallery.create_collection("staff")  # the same name, another collection
    assert gallery.people("staff").items == ()
    assert gallery.identify("staff", vector(1)[None])[0].matches == ()
    assert gallery.identify("default", vector(1)[None])[0].decision == "match"


def test_people_of_one_collection_are_not_those_of_another(gallery: Gallery):
    gallery.create_collection("staff")
    gallery.enrol("staff", "ann", [face(1)], name="Ann of staff")
    gallery.enrol("default", "ann", [face(2)])
    assert gallery.person("default", "ann").name == "ann"
    (answer,) = gallery.identify("default", vector(1)[None], threshold=0.99)
    assert answer.decision == "unknown"
    (staff_face,) = gallery.faces("staff", "ann")
    with pytest.raises(NotFound):
        gallery.delete_face("default", "ann", staff_face.id)


def test_vectors_of_two_models_never_meet(tmp_path: Path):
    first = open_gallery(tmp_path)
    first.create_collection("staff")
    first.enrol("staff", "ann", [face(1)])
    first.close()
    second = open_gallery(tmp_path, OTHER)
    probe = vector(1, OTHER.dim)
    asks = [
        lambda: second.identify("staff", probe[None]),
        lambda: second.verify("staff", "ann", probe),
        lambda: second.enrol("staff", "bob", [face(2)]),
        lambda: second.add_faces("staff", "ann", [face(2)]),
    ]
    for ask in asks:
        with pytest.raises(ContractMismatch, match=r"first_model.*c1.*second_model.*c2"):
            ask()
    assert second.counts() == (1, 1)  # and nobody new without a face
    second.delete_person("staff", "ann")
    second.close()


def test_a_collection_without_faces_goes_over_to_the_model_that_is_served(tmp_path: Path):
    first = open_gallery(tmp_path)
    first.enrol("default", "ann", [face(1)])
    first.close()
    second = open_gallery(tmp_path, OTHER)
    second.delete_person("default", "ann")
    assert second.identify("default", vector(1, OTHER.dim)[None])[0].matches == ()
    (one,) = second.enrol("default", "bob", [type(face(1))(vector(2, OTHER.dim))])[1]
    assert second.identify("default", vector(2, OTHER.dim)[None])[0].matches[0].face == one.id
    assert second.collection("default").contract == OTHER.id
    second.close()
    back = open_gallery(tmp_path)
    with pytest.raises(ContractMismatch):
        back.identify("default", vector(1)[None])
    back.close()
