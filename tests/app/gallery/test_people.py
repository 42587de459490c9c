"""People and their faces: made, listed, changed, deleted."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.entities import NewFace
from app.errors import BadRequest, Conflict, NotFound
from app.gallery import Gallery
from tests.app.gallery.made import DIM, face, in_folder, open_gallery, vector


def test_enrolling_makes_the_person_once(gallery: Gallery):
    person, faces, created = gallery.enrol("default", "ann", [face(1), face(2)], name="Ann")
    assert created
    assert (person.id, person.name, person.faces) == ("ann", "Ann", 2)
    assert [one.person for one in faces] == ["ann", "ann"]
    person, (third,), created = gallery.enrol("default", "ann", [NewFace(vector(3), 0.7)])
    assert not created
    assert (person.name, person.faces) == ("Ann", 3)
    assert third.quality == 0.7
    assert [one.id for one in gallery.faces("default", "ann")] == [faces[0].id, faces[1].id, 3]


def test_enrolling_again_with_a_name_renames(gallery: Gallery):
    gallery.enrol("default", "ann", [face(1)], metadata={"desk": "4"})
    person, _, _ = gallery.enrol("default", "ann", [face(2)], name="Ann Lee")
    assert (person.name, person.metadata) == ("Ann Lee", {"desk": "4"})


def test_creating_someone_known_is_a_conflict_and_stores_nothing(gallery: Gallery):
    gallery.create_person("default", "ann", "Ann", [face(1)])
    with pytest.raises(Conflict, match="'ann'"):
        gallery.create_person("default", "ann", "Other", [face(2)])
    assert gallery.counts() == (1, 1)


def test_a_person_may_wait_for_the_first_face(gallery: Gallery):
    person, faces = gallery.create_person("default", "ann", None)
    assert (person.name, person.faces, faces) == ("ann", 0, ())
    with pytest.raises(NotFound, match="no face"):
        gallery.verify("default", "ann", vector(1))
    gallery.add_faces("default", "ann", [face(1)])
    assert gallery.person("default", "ann").faces == 1


def test_faces_of_nobody_are_refused(gallery: Gallery):
    with pytest.raises(NotFound, match="'ann'"):
        gallery.add_faces("default", "ann", [face(1)])
    for add in (gallery.add_faces, gallery.enrol):
        with pytest.raises(BadRequest, match="at least one"):
            add("default", "ann", [])
    assert gallery.counts() == (0, 0)


@pytest.mark.parametrize(
    "embedding",
    [
        np.full(DIM, np.nan),
        np.append(vector(1)[1:], np.inf),
        np.zeros(DIM),
        vector(1, DIM + 1),
        np.float32(1),
        vector(1)[None],
    ],
)
def test_one_bad_embedding_stores_none_of_them(gallery: Gallery, embedding):
    with pytest.raises(BadRequest, match="embedding"):
        gallery.enrol("default", "ann", [face(1), NewFace(embedding)])
    assert gallery.counts() == (0, 0)
    assert gallery.identify("default", vector(1)[None])[0].matches == ()


def test_an_embedding_of_any_length_is_stored_as_a_direction(gallery: Gallery):
    gallery.enrol("default", "ann", [NewFace(vector(1) * 40)])
    gallery.enrol("default", "bob", [NewFace(vector(2).astype(np.float64) * 1e200)])
    assert gallery.verify("default", "bob", vector(2)).score == pytest.approx(1, abs=1e-6)
    assert gallery.verify("default", "ann", vector(1) * 0.01).score == pytest.approx(1, abs=1e-6)


def test_changing_a_person(gallery: Gallery):
    before, _ = gallery.create_person("default", "ann", "Ann", metadata={"a": "1"})
    named = gallery.update_person("default", "ann", name="Ann Lee")
    assert (named.name, named.metadata) == ("Ann Lee", {"a": "1"})
    noted = gallery.update_person("default", "ann", metadata={})
    assert (noted.name, noted.metadata) == ("Ann Lee", {})
    assert noted.updated_at > before.updated_at
    assert noted.created_at == before.created_at
    assert gallery.update_person("default", "ann") == noted
    with pytest.raises(NotFound):
        gallery.update_person("default", "bob", name="Bob")


def test_a_deleted_person_is_found_no_more(gallery: Gallery):
    gallery.enrol("default", "ann", [face(1), face(2)])
    gallery.enrol("default", "bob", [face(3)])
    gallery.delete_person("default", "ann")
    assert gallery.counts() == (1, 1)
    (answer,) = gallery.identify("default", vector(1)[None], threshold=0.9)
    assert (answer.decision, [match.person for match in answer.matches]) == ("unknown", ["bob"])
    with pytest.raises(NotFound, match="'ann'"):
        gallery.delete_person("default", "ann")


def test_a_deleted_face_is_found_no_more_and_its_id_stays_unused(gallery: Gallery):
    _, (one, two), _ = gallery.enrol("default", "ann", [face(1), face(2)])
    gallery.delete_face("default", "ann", two.id)
    assert gallery.verify("default", "ann", vector(2)).face == one.id
    assert gallery.identify("default", vector(2)[None], threshold=0.9)[0].decision == "unknown"
    with pytest.raises(NotFound, match=str(two.id)):
        gallery.delete_face("default", "ann", two.id)
    _, (three,) = gallery.add_faces("default", "ann", [face(2)])
    assert three.id > two.id


def test_crops_are_kept_only_where_the_collection_says_so(gallery: Gallery):
    crop = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)
    gallery.create_collection("kept", keep_crops=True)
    for collection in ("kept", "default"):
        gallery.enrol(collection, "ann", [NewFace(vector(1), 0.5, crop)])
    (kept,), (bare,) = gallery.faces("kept", "ann"), gallery.faces("default", "ann")
    assert (kept.has_crop, bare.has_crop) == (True, False)
    png = gallery.crop("kept", "ann", kept.id)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(png))), crop)
    with pytest.raises(NotFound):
        gallery.crop("default", "ann", bare.id)
    gallery.delete_face("kept", "ann", kept.id)
    with pytest.raises(NotFound):
        gallery.crop("kept", "ann", kept.id)


@pytest.mark.parametrize("face_id", [0, -1, 99, 2**63, 10**30])
def test_a_face_that_is_not_there_is_not_found(gallery: Gallery, face_id: int):
    gallery.enrol("default", "ann", [face(1)])
    for ask in (gallery.delete_face, gallery.crop):
        with pytest.raises(NotFound, match=str(face_id)):
            ask("default", "ann", face_id)
    assert gallery.counts() == (1, 1)


def test_pages_hold_everyone_once_while_people_come_and_go(gallery: Gallery):
    for number in range(10, 30):
        gallery.create_person("default", f"p{number}", None)
    seen, cursor = [], None
    while True:
        page = gallery.people("default", cursor=cursor, limit=7)
        seen += [person.id for person in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        gallery.create_person("default", f"a{len(seen)}", None)  # before the place reached
        gallery.delete_person("default", seen[-1])  # the very one the cursor names
    assert seen == [f"p{number}" for number in range(10, 30)]


def test_a_last_page_that_is_full_has_no_next(gallery: Gallery):
    for name in ("ann", "bob"):
        gallery.create_person("default", name, None)
    assert gallery.people("default", limit=2).next_cursor is None
    assert gallery.people("default", limit=1).next_cursor is not None


def test_search_goes_on_over_pages(gallery: Gallery):
    for number in range(6):
        gallery.create_person("default", f"p{number}", "Even" if number % 2 == 0 else "Odd")
    first = gallery.people("default", search="EVEN", limit=2)
    rest = gallery.people("default", search="EVEN", limit=2, cursor=first.next_cursor)
    assert [person.id for person in first.items + rest.items] == ["p0", "p2", "p4"]


@pytest.mark.parametrize("cursor", ["é", "%%%", "_w", "A"])
def test_a_cursor_that_no_page_gave_is_refused(gallery: Gallery, cursor: str):
    with pytest.raises(BadRequest, match="cursor"):
        gallery.people("default", cursor=cursor)


def test_a_page_has_its_limits(gallery: Gallery):
    for limit in (0, -1, 501):
        with pytest.raises(BadRequest, match="limit"):
            gallery.people("default", limit=limit)


def test_one_spelling_of_an_id_is_one_person(gallery: Gallery):
    gallery.enrol("default", "Jose\u0301", [face(1)])  # decomposed, as some file systems say it
    assert gallery.person("default", "Jos\u00e9").faces == 1


@in_folder
def test_nothing_of_a_deleted_person_is_in_the_folder(gallery: Gallery, tmp_path: Path):
    name, embedding = "Wilhelmina Quux", vector(7)
    gallery.enrol("default", "ann", [face(1)])
    gallery.enrol("default", "w.quux", [NewFace(embedding)], name=name, metadata={"k": "xyzzy"})
    traces = [name.encode(), name.casefold().encode(), b"xyzzy", embedding.tobytes()]

    def found() -> list[bytes]:
        files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        return [trace for trace in traces if trace in files]

    assert found() == traces  # the id alone stays, in the audit log
    gallery.delete_person("default", "w.quux")
    assert found() == []
    gallery.close()
    again = open_gallery(tmp_path)
    assert again.counts() == (1, 1)
    again.close()
