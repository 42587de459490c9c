import threading
from collections.abc import Sequence

import numpy as np
import pytest

from app.entities import Face, Floats, Image
from app.errors import Busy, LowQuality, NoFace, SeveralFaces, Unavailable
from app.pipeline.align import CROP_SIZE
from app.pipeline.analyze import Analyzer
from app.pipeline.embed import Embedder
from app.pipeline.quality import QualityRules
from tests.doubles import ListedDetector, PixelRuntime, embedder, embedder_card, face, picture


def test_detect_measures_and_keeps_the_order():
    analyzer = Analyzer(ListedDetector(face(score=0.9), face(100, 50, 80, 0.7)), embedder())
    (found,) = analyzer.detect([picture()])
    assert [one.score for one in found] == [0.9, 0.7]
    assert [one.quality.size for one in found if one.quality] == [112, 80]
    assert all(one.crop is None and one.embedding is None for one in found)
    analyzer.close()


def test_detect_can_ask_for_surer_or_fewer_faces():
    faces = (face(score=0.9), face(100, score=0.6), face(0, 90, score=0.4))
    analyzer = Analyzer(ListedDetector(*faces), embedder(), min_score=0.5)
    image = picture()
    assert len(analyzer.detect([image])[0]) == 2
    assert len(analyzer.detect([image], min_score=0.3)[0]) == 3
    assert len(analyzer.detect([image], min_score=0.8)[0]) == 1
    assert [one.score for one in analyzer.detect([image], max_faces=1)[0]] == [0.9]
    analyzer.close()


def test_align_gives_crops_and_analyze_embeddings_of_them():
    image = picture()
    analyzer = Analyzer(ListedDetector(face(30, 20), face(150, 60)), embedder())
    aligned, analysed = analyzer.align([image]), analyzer.analyze([image, picture(seed=1)])
    assert np.array_equal(aligned[0][0].crop, image[20:132, 30:142])
    assert [len(group) for group in analysed] == [2, 2]
    vectors = np.stack([one.embedding for group in analysed for one in group])
    assert vectors.shape == (4, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    crops = np.stack([one.crop for group in analysed for one in group])
    assert np.allclose(vectors, embedder().embed(crops), atol=1e-5)
    analyzer.close()


def test_pictures_without_faces_and_no_pictures_at_all():
    analyzer = Analyzer(ListedDetector(), embedder())
    assert analyzer.analyze([picture(), picture()]) == [[], []]
    assert analyzer.analyze([picture()], faces="largest") == [[]]
    assert analyzer.analyze([]) == []
    analyzer.close()


def test_largest_is_by_area_and_not_by_score():
    analyzer = Analyzer(ListedDetector(face(0, 0, 60, 0.99), face(100, 0, 120, 0.7)), embedder())
    ((largest,),) = analyzer.analyze([picture()], faces="largest")
    assert largest.score == 0.7
    assert analyzer.for_enrolment(picture(), faces="largest").score == 0.7
    analyzer.close()


@pytest.mark.parametrize("side", [112, 50, 300])
def test_an_aligned_picture_is_its_own_crop(side):
    analyzer = Analyzer(ListedDetector(), embedder())
    image = picture(side, side)
    ((whole,),) = analyzer.analyze([image], aligned=True)
    assert whole.box.tolist() == [0, 0, side, side]
    assert whole.score == 1
    assert whole.crop is not None
    assert whole.crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert np.allclose(whole.embedding, embedder().embed(whole.crop[None])[0], atol=1e-5)
    assert np.allclose(analyzer.for_enrolment(image, aligned=True).embedding, whole.embedding)
    analyzer.close()


def test_enrolment_wants_one_good_face():
    image = picture()
    none, two = ListedDetector(), ListedDetector(face(), face(120))
    poor = ListedDetector(face(side=10))
    with pytest.raises(NoFace):
        Analyzer(none, embedder()).for_enrolment(image)
    with pytest.raises(SeveralFaces, match="2 faces"):
        Analyzer(two, embedder()).for_enrolment(image)
    with pytest.raises(LowQuality, match="too small: 10 pixels"):
        Analyzer(poor, embedder()).for_enrolment(image)
    lenient = Analyzer(poor, embedder(), rules=QualityRules(min_size=5, min_sharpness=0))
    assert lenient.for_enrolment(image).embedding is not None


def test_a_picture_of_more_faces_than_the_queue_holds_is_served_in_portions():
    runtime = PixelRuntime()
    detector = ListedDetector(*[face(left, 0, 40) for left in range(0, 230, 10)])
    analyzer = Analyzer(
        detector, Embedder(runtime, embedder_card(), "0" * 64), max_batch=8, max_queue=5
    )
    (found,) = analyzer.analyze([picture()])
    assert len(found) == 23
    assert max(runtime.batches) <= 5
    analyzer.close()


def test_only_so_many_pictures_are_in_the_detector_at_once():
    class Counting(ListedDetector):
        inside = most = 0
        lock = threading.Lock()
        both_in = threading.Barrier(2)

        def detect(self, images: Sequence[Image]) -> list[list[Face]]:
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            self.both_in.wait(timeout=10)  # two are let in, for else nobody would come out
            with self.lock:
                self.inside -= 1
            return super().detect(images)

    detector = Counting(face())
    analyzer = Analyzer(detector, embedder(), max_detections=2)
    threads = [threading.Thread(target=analyzer.detect, args=([picture()],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)
    assert detector.most == 2
    analyzer.close()


class Held(PixelRuntime):
    """Holds each batch after the first, the embedder's own check, until told."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.proceed = threading.Semaphore(0), threading.Semaphore(0)

    def run(self, batch: Floats) -> Floats:
        if self.batches:
            self.started.release()
            assert self.proceed.acquire(timeout=10)
        return super().run(batch)


def test_crops_of_several_callers_share_a_batch_and_a_full_queue_is_busy():
    runtime = Held()
    analyzer = Analyzer(
        ListedDetector(face()), Embedder(runtime, embedder_card(), "0" * 64), max_queue=3
    )
    images = [picture(seed=seed) for seed in range(4)]
    answers: dict[int, Floats | None] = {}

    def ask(number: int) -> None:
        answers[number] = analyzer.analyze([images[number]])[0][0].embedding

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    threads[0].start()
    assert runtime.started.acquire(timeout=10)
    for thread in threads[1:]:
        thread.start()
    while analyzer.queue_depth < 3:
        threads[1].join(0.001)
    with pytest.raises(Busy):
        analyzer.analyze([picture()])
    runtime.proceed.release(2)
    for thread in threads:
        thread.join(timeout=10)
    assert runtime.batches[1:] == [1, 3]
    runtime.proceed.release(4)
    for number, image in enumerate(images):
        assert np.allclose(answers[number], analyzer.analyze([image])[0][0].embedding, atol=1e-5)
    analyzer.close()


def test_a_failing_network_is_heard_and_the_next_picture_is_served():
    class Breaking(PixelRuntime):
        broken = False

        def run(self, batch: Floats) -> Floats:
            if self.broken:
                raise Unavailable("broken")
            return super().run(batch)

    runtime = Breaking()
    analyzer = Analyzer(ListedDetector(face()), Embedder(runtime, embedder_card(), "0" * 64))
    runtime.broken = True
    with pytest.raises(Unavailable, match="broken"):
        analyzer.analyze([picture()])
    runtime.broken = False
    assert analyzer.analyze([picture()])[0][0].embedding is not None
    analyzer.close()


def test_close_closes_the_parts_and_may_be_called_twice():
    runtime, detector = PixelRuntime(), ListedDetector()
    analyzer = Analyzer(detector, Embedder(runtime, embedder_card(), "0" * 64))
    analyzer.close()
    analyzer.close()
    assert (runtime.closed, detector.closed) == (True, True)
    with pytest.raises(Unavailable):
        analyzer.analyze([picture(112, 112)], aligned=True)
