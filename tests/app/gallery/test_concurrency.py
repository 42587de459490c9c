"""Many threads at one gallery."""

import threading
from collections.abc import Callable

import numpy as np

from app.errors import Conflict, NotFound, Unavailable
from app.gallery import Gallery
from tests.app.gallery.made import DEFAULT_INDEX, face, vector


def at_once(*jobs: Callable[[], None]) -> list[BaseException]:
    """Run all together; what they raised."""
    start, raised = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], None]) -> None:
        start.wait(10)
        try:
            job()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_enrolling_one_id_from_many_threads_makes_one_person(gallery: Gallery):
    created = []

    def enrol(seed: int) -> Callable[[], None]:
        return lambda: created.append(gallery.enrol("default", "ann", [face(seed)])[2])

    assert at_once(*(enrol(seed) for seed in range(8))) == []
    assert sorted(created) == [False] * 7 + [True]
    assert gallery.counts() == (1, 8)
    assert gallery.person("default", "ann").faces == 8


def test_of_many_who_create_one_id_one_succeeds(gallery: Gallery):
    jobs = [lambda: gallery.create_person("default", "ann", None, [face(1)]) for _ in range(6)]
    raised = at_once(*jobs)
    assert [type(error) for error in raised] == [Conflict] * 5
    assert gallery.counts() == (1, 1)


def test_answers_stay_right_while_others_change_the_collection(gallery: Gallery):
    """The steady person is always found, and whoever was acknowledged is found at once."""
    gallery.enrol("default", "steady", [face(0)])

    def change(worker: int) -> Callable[[], None]:
        def run() -> None:
            for step in range(8):
                seed, person = 100 * worker + step, f"p{worker}"
                gallery.enrol("default", person, [face(seed), face(seed + 50)])
                probes = np.stack([vector(0), vector(seed)])
                steady, own = gallery.identify("default", probes, threshold=0.99)
                assert (steady.decision, own.decision) == ("match", "match")
                assert own.matches[0].person == person
                gallery.delete_person("default", person)
                assert gallery.identify("default", probes[1:])[0].matches[0].person != person

        return run

    def look() -> None:
        for _ in range(60):
            (answer,) = gallery.identify("default", vector(0)[None])
            assert answer.matches[0].person == "steady"
            gallery.people("default")
            gallery.collections()

    assert at_once(change(1), change(2), look, look) == []
    assert gallery.counts() == (1, 1)
    assert gallery._index.count(DEFAULT_INDEX) == 1


def test_deleting_while_enrolling_leaves_index_and_store_equal(gallery: Gallery):
    def enrol() -> None:
        for seed in range(15):
            gallery.enrol("default", "ann", [face(seed)])

    def delete() -> None:
        for _ in range(15):
            try:
                gallery.delete_person("default", "ann")
            except NotFound:
                continue

    assert at_once(enrol, delete, enrol) == []
    assert gallery._index.count(DEFAULT_INDEX) == gallery.counts()[1]


def test_closing_under_a_search_never_turns_a_known_face_into_an_unknown_one(gallery: Gallery):
    gallery.enrol("default", "ann", [face(1)])
    decisions = set()

    def look() -> None:
        while True:
            decisions.add(gallery.identify("default", vector(1)[None])[0].decision)

    raised = at_once(look, look, look, gallery.close)
    assert [type(error) for error in raised] == [Unavailable] * 3
    assert decisions <= {"match"}
