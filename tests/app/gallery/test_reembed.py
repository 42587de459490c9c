"""A collection moves to another model: nothing is lost, nobody is unknown meanwhile, and back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.entities import Contract, Floats, Image, NewFace
from app.errors import Busy, Conflict, ContractMismatch, NotFound, Unavailable
from app.gallery import Gallery, ServedModel, reembed
from app.gallery.projection import stored_vectors
from app.gallery.reembed import Embed
from app.index.flat import FlatIndex
from app.store import journal
from app.store.store import Store, sqlite_url
from tests.doubles import embedder

OLD, NEW = Contract("c1", "old_model", 8), Contract("c2", "new_model", 12)
NETWORKS = {contract.id: embedder(contract.dim) for contract in (OLD, NEW)}
PEOPLE = 24
SECONDS = 60


def crop(seed: int) -> Image:
    """Blocks of one colour each, which a shrunken picture keeps."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return blocks.repeat(14, 0).repeat(14, 1)


def embed(crops: Sequence[Image], contract: Contract) -> Floats:
    return NETWORKS[contract.id].embed(np.stack(crops))


def seen(seed: int, contract: Contract) -> Floats:
    """(D,) of that person's crop."""
    return embed([crop(seed)], contract)[0]


def opened(folder: Path, main: Contract, previous: Contract | None = None) -> Gallery:
    before = previous and ServedModel(previous, 0.9)
    store = Store(sqlite_url(folder / "faces.db"))
    return Gallery(store, FlatIndex(), main, 0.9, previous=before)


def enrol(gallery: Gallery, seed: int) -> None:
    def work(contract: Contract) -> None:
        face = NewFace(seen(seed, contract), 0.5, crop(seed))
        gallery.enrol("default", f"p{seed}", [face], made_by=contract)

    gallery.by_model("default", work)


def found(gallery: Gallery, seed: int) -> tuple[str, str, str]:
    """The model that answered, its decision and the first person."""

    def work(contract: Contract) -> tuple[str, str, str]:
        probe = seen(seed, contract)[None]
        (answer,) = gallery.identify("default", probe, threshold=0.999, made_by=contract)
        return contract.model, answer.decision, answer.matches[0].person if answer.matches else ""

    return gallery.by_model("default", work)


def ended(gallery: Gallery) -> str | None:
    """What the run said when it was over."""
    deadline = time.monotonic() + SECONDS
    while gallery.reembed.progress("default").state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return gallery.reembed.progress("default").said


def moved(gallery: Gallery, with_: Embed = embed, *, back: bool = False) -> str | None:
    gallery.reembed.start("default", with_, back=back)
    return ended(gallery)


def stored(gallery: Gallery) -> list[bytes]:
    """The vectors that are searched, as they are written, in the order of their faces."""
    (step,) = stored_vectors(gallery._store, 1)
    return [vector.tobytes() for vector in step.embeddings]


def faults(gallery: Gallery) -> list[int]:
    return [finding.faults for finding in gallery.inspect()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Filled by the old model."""
    gallery = opened(tmp_path, OLD)
    gallery.update_collection("default", keep_crops=True, threshold=0.7)
    with gallery._changes.begin():  # one transaction for all
        for seed in range(PEOPLE):
            enrol(gallery, seed)
    gallery.close()
    return tmp_path


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    """Served by both."""
    made = opened(folder, NEW, OLD)
    yield made
    made.close()


def test_all_go_over_and_back(gallery: Gallery):
    before = gallery.collection("default")
    assert (before.contract, gallery.contract_of("default")) == (OLD.id, OLD)
    assert found(gallery, 3) == ("old_model", "match", "p3")
    assert moved(gallery) is None
    after = gallery.collection("default")
    # A threshold is for one model's scores.
    assert (after.contract, after.dim, after.threshold) == (NEW.id, NEW.dim, None)
    assert [found(gallery, seed) for seed in range(PEOPLE)] == [
        ("new_model", "match", f"p{seed}") for seed in range(PEOPLE)
    ]
    progress = gallery.reembed.progress("default")
    assert (progress.state, progress.other, progress.made) == ("moved", OLD, PEOPLE)
    assert faults(gallery) == [0] * 5
    with pytest.raises(ContractMismatch, match=r"new_model.*c2.*old_model.*c1"):
        gallery.identify("default", seen(3, OLD)[None], made_by=OLD)

    enrol(gallery, PEOPLE)  # by the new model alone; on the way back it gets its old vector
    assert moved(gallery, back=True) is None
    again = gallery.collection("default")
    assert (again.contract, again.dim, again.threshold) == (OLD.id, OLD.dim, 0.7)
    assert {found(gallery, seed)[:2] for seed in range(PEOPLE + 1)} == {("old_model", "match")}
    assert faults(gallery) == [0] * 5
    assert moved(gallery) is None  # and over again, with what was made before
    assert found(gallery, PEOPLE) == ("new_model", "match", f"p{PEOPLE}")


def test_nobody_is_unknown_while_it_serves(gallery: Gallery, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reembed, "BATCH", 2)
    wrong: list[tuple[str, str, str]] = []
    models: set[str] = set()
    stop = threading.Event()

    def ask() -> None:
        chance = np.random.default_rng()
        while not stop.is_set():
            seed = int(chance.integers(PEOPLE // 2))
            answer = found(gallery, seed)
            models.add(answer[0])
            if answer[1:] != ("match", f"p{seed}"):
                wrong.append(answer)

    def change() -> None:
        """Those of the second half come and go."""
        seed = PEOPLE
        while not stop.is_set():
            enrol(gallery, seed)
            gallery.delete_person("default", f"p{seed - PEOPLE // 2}")
            seed += 1

    threads = [threading.Thread(target=ask), threading.Thread(target=change)]
    for thread in threads:
        thread.start()
    try:
        for back in (False, True, False):
            assert moved(gallery, back=back) is None
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert models == {"old_model", "new_model"}
    assert faults(gallery) == [0] * 5
    for person in gallery.people("default", limit=500).items:
        assert found(gallery, int(person.id[1:])) == ("new_model", "match", person.id)


def test_without_the_old_model_it_answers_nobody_until_it_has_moved(folder: Path):
    gallery = opened(folder, NEW)
    with pytest.raises(ContractMismatch, match="face reembed"):
        gallery.contract_of("default")
    assert moved(gallery) is None
    assert found(gallery, 5) == ("new_model", "match", "p5")
    with pytest.raises(Conflict, match="FACE_PREVIOUS_MODEL"):
        gallery.reembed.start("default", embed, back=True)
    gallery.close()
    back = opened(folder, OLD)  # the old one alone, as it was before
    assert moved(back) is None
    assert found(back, 5) == ("old_model", "match", "p5")
    back.close()


def test_faces_without_a_crop_are_named_and_nothing_is_changed(gallery: Gallery):
    bare = NewFace(seen(77, OLD))
    (one,) = gallery.add_faces("default", "p7", [bare], made_by=OLD)[1]
    with pytest.raises(Conflict, match=rf"faces {one.id} of 'p7' in.*keep_crops"):
        gallery.reembed.start("default", embed)
    assert gallery.reembed.progress("default").state == "none"
    assert found(gallery, 77) == ("old_model", "match", "p7")
    gallery.delete_face("default", "p7", one.id)
    assert moved(gallery) is None


def test_a_face_without_a_crop_that_comes_meanwhile_stops_it(gallery: Gallery):
    def meanwhile(crops: Sequence[Image], contract: Contract) -> Floats:
        if gallery.person("default", "p7").faces == 1:
            gallery.add_faces("default", "p7", [NewFace(seen(77, OLD))], made_by=OLD)
        return embed(crops, contract)

    assert "'p7'" in str(moved(gallery, meanwhile))
    assert gallery.reembed.progress("default").state == "stopped"
    assert found(gallery, 77) == ("old_model", "match", "p7")
    assert faults(gallery) == [0] * 5


def counting(least_before: int, then: Callable[[], None]) -> tuple[list[int], Embed]:
    """The sizes of the batches; `then` is called before each beyond the first so many crops."""
    sizes: list[int] = []

    def counted(crops: Sequence[Image], contract: Contract) -> Floats:
        if sum(sizes) >= least_before:
            then()
        sizes.append(len(crops))
        return embed(crops, contract)

    return sizes, counted


def test_it_goes_on_where_it_was(gallery: Gallery, folder: Path):
    def fail() -> None:
        raise Unavailable("the network is broken")

    _, failing = counting(16, fail)
    assert moved(gallery, failing) == "the network is broken"
    progress = gallery.reembed.progress("default")
    assert (progress.state, progress.made, progress.faces) == ("stopped", 16, PEOPLE)
    assert found(gallery, 1)[0] == "old_model"
    gallery.close()

    again = opened(folder, NEW, OLD)
    assert again.reembed.progress("default").state == "stopped"
    sizes, counted = counting(10**9, fail)
    assert moved(again, counted) is None
    assert sizes[0] == PEOPLE - 16  # then the sample
    assert found(again, 1) == ("new_model", "match", "p1")
    again.close()


def test_it_waits_while_requests_fill_the_queue(gallery: Gallery):
    turns = iter([True, True, False])

    def busy() -> None:
        if next(turns, False):
            raise Busy("full")

    _, patient = counting(16, busy)
    assert moved(gallery, patient) is None


def test_closing_stops_it(gallery: Gallery):
    going, let_go = threading.Event(), threading.Event()

    def wait() -> None:
        going.set()
        let_go.wait(10)

    _, slow = counting(16, wait)
    gallery.reembed.start("default", slow)
    gallery.reembed.start("default", slow)  # is under way already
    assert going.wait(10)
    closing = threading.Thread(target=gallery.close)
    closing.start()
    let_go.set()
    closing.join(10)
    assert not closing.is_alive()


def test_a_network_that_does_not_repeat_itself_moves_nobody(gallery: Gallery):
    chance = np.random.default_rng(0)

    def moody(crops: Sequence[Image], contract: Contract) -> Floats:
        vectors = chance.standard_normal((len(crops), contract.dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    assert "other vectors" in str(moved(gallery, moody))
    assert found(gallery, 1) == ("old_model", "match", "p1")
    gallery.reembed.forget("default")
    assert moved(gallery) is None


def test_a_change_that_fails_half_way_is_none(gallery: Gallery, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(journal, "note_collection", fail)  # after the vectors changed places
        assert "log" in str(moved(gallery))
    assert gallery.collection("default").contract == OLD.id
    assert {found(gallery, seed)[:2] for seed in range(PEOPLE)} == {("old_model", "match")}
    assert faults(gallery) == [0] * 5
    assert moved(gallery) is None


def test_what_is_forgotten_is_in_no_file(gallery: Gallery, folder: Path):
    old = stored(gallery)
    assert moved(gallery) is None
    held = b"".join(file.read_bytes() for file in folder.iterdir())
    assert all(vector in held for vector in old)
    with pytest.raises(Conflict, match="already"):
        gallery.reembed.start("default", embed)
    gallery.reembed.forget("default")
    assert gallery.reembed.progress("default").state == "none"
    actions = [line.action for line in gallery.audit.lines() if "reembed" in line.action]
    assert actions == ["reembed", "reembedded", "forget_reembedding"]
    left = b"".join(file.read_bytes() for file in folder.iterdir())
    assert [vector for vector in old if vector in left] == []
    with pytest.raises(NotFound, match="one model only"):
        gallery.reembed.forget("default")
    with pytest.raises(Conflict, match="no model to go back to"):
        gallery.reembed.start("default", embed, back=True)


def test_the_deleted_leave_no_vector_of_either_model(gallery: Gallery, folder: Path):
    gone = stored(gallery)[3:4]
    assert moved(gallery) is None
    gone += stored(gallery)[3:4]
    gallery.delete_person("default", "p3")
    left = b"".join(file.read_bytes() for file in folder.iterdir())
    assert [vector for vector in gone if vector in left] == []
    assert gallery.reembed.progress("default").made == PEOPLE - 1


def test_a_third_model_waits_until_the_first_is_forgotten(gallery: Gallery, folder: Path):
    assert moved(gallery) is None
    gallery.close()
    third = opened(folder, Contract("c3", "third", 8), NEW)
    with pytest.raises(Conflict, match="--forget-old"):
        third.reembed.start("default", embed)
    third.close()


def test_a_given_threshold_comes_with_the_new_model(gallery: Gallery):
    gallery.reembed.start("default", embed, threshold=0.3)
    assert ended(gallery) is None
    assert gallery.collection("default").threshold == 0.3
