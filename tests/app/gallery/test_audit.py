"""What the gallery writes into the audit log, and that tampering with it is seen."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from app.errors import BadRequest, NotFound
from app.gallery import Gallery
from tests.app.gallery.made import face, in_folder, vector


def lines(gallery: Gallery) -> list[tuple]:
    return [
        (line.action, line.collection, line.people, line.shown) for line in gallery.audit.lines()
    ]


def enrolled(gallery: Gallery, *people: str) -> None:
    for seed, person in enumerate(people):
        gallery.enrol("default", person, [face(seed)])


def test_every_change_has_its_line(gallery: Gallery):
    gallery.create_collection("staff")
    gallery.update_collection("staff", description="Main building")
    gallery.create_person("staff", "ada", "Ada Lovelace", [face(1)])
    gallery.update_person("staff", "ada", name="Countess")
    _, (stored,) = gallery.add_faces("staff", "ada", [face(2)])
    gallery.delete_face("staff", "ada", stored.id)
    gallery.delete_person("staff", "ada")
    gallery.enrol("staff", "bob", [face(3)])
    gallery.delete_collection("staff")
    of_ada = ("staff", ("ada",), ())
    assert lines(gallery) == [
        ("create_collection", "staff", (), ()),
        ("update_collection", "staff", (), ()),
        ("create_person", *of_ada),
        ("update_person", *of_ada),
        ("add_faces", *of_ada),
        ("delete_face", *of_ada),
        ("delete_person", *of_ada),
        ("enrol", "staff", ("bob",), ()),
        ("delete_collection", "staff", (), ()),
    ]
    assert gallery.audit.verify().fault is None


def test_what_was_refused_or_only_read_has_no_line(gallery: Gallery):
    with pytest.raises(NotFound):
        gallery.delete_person("default", "nobody")
    gallery.people("default")
    gallery.collections()
    assert lines(gallery) == []


def test_an_identification_tells_the_recognised_from_the_ranked(gallery: Gallery):
    enrolled(gallery, "ada", "bob", "cleo")
    probes = np.stack([vector(0), vector(1), vector(0), -vector(2)])
    answers = gallery.identify("default", probes, top_k=3)
    assert [answer.decision for answer in answers] == ["match", "match", "match", "unknown"]
    gallery.identify("default", -vector(0)[None], top_k=1)
    gallery.verify("default", "cleo", vector(2))
    all_three, only_ranked, verified = lines(gallery)[3:]
    assert all_three == ("identify", "default", ("ada", "bob"), ("cleo",))
    (named,) = only_ranked[3]  # to be ranked first below the threshold is no recognition
    assert only_ranked[:3] == ("identify", "default", ())
    assert named in {"bob", "cleo"}
    assert verified == ("verify", "default", ("cleo",), ())


@in_folder
def test_nothing_of_a_person_but_the_id_is_in_the_log(gallery: Gallery, tmp_path: Path):
    gallery.create_person("default", "p-1", "Ada Lovelace", [face(1)], metadata={"team": "blue"})
    gallery.delete_person("default", "p-1")
    gallery.close()
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"p-1" in left
    assert b"Ada Lovelace" not in left
    assert b"blue" not in left
    assert vector(1).tobytes()[:16] not in left


def forge(folder: Path, statement: str) -> None:
    """By someone who may do anything to the database, but does not know how the chain is made."""
    engine = create_engine(f"sqlite:///{folder}/faces.db")
    with engine.begin() as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        assert connection.execute(text(statement)).rowcount > 0
    engine.dispose()


@in_folder
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit SET actor = 'key:other' WHERE seq = 2", "line 2 was changed"),
        ("UPDATE audit SET people = '[\"eve\"]' WHERE seq = 2", "line 2 was changed"),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE seq = 3", "line 3 was changed"),
        ("DELETE FROM audit WHERE seq = 1", "line 1 is missing"),
        ("DELETE FROM audit WHERE seq = 2", "line 2 is missing"),
    ],
)
def test_tampering_is_seen(gallery: Gallery, tmp_path: Path, statement: str, said: str):
    enrolled(gallery, "ada", "bob", "cleo")
    assert gallery.audit.verify().fault is None
    forge(tmp_path, statement)
    fault = gallery.audit.verify().fault
    assert fault is not None
    assert said in fault


@in_folder
def test_a_noted_head_shows_a_log_that_was_cut(gallery: Gallery, tmp_path: Path):
    enrolled(gallery, "ada", "bob", "cleo")
    noted = gallery.audit.verify().head
    assert gallery.audit.verify(noted).fault is None
    forge(tmp_path, "DELETE FROM audit WHERE seq = 3")
    assert gallery.audit.verify().fault is None  # a chain alone does not show that it was longer
    assert gallery.audit.verify(noted).fault == "it ends at line 2, and line 3 was noted"
    gallery.enrol("default", "dora", [face(9)])
    assert gallery.audit.verify(noted).fault == "line 3 has not the hash that was noted"


@pytest.mark.parametrize("noted", ["", "3", "x:" + "0" * 64, "1:short"])
def test_what_is_no_head_is_refused(gallery: Gallery, noted: str):
    with pytest.raises(BadRequest, match="NUMBER:HASH"):
        gallery.audit.verify(noted)
