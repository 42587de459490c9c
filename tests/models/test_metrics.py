import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import metrics

cosines = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40)


@given(cosines, st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.99]))
def test_a_threshold_accepts_no_more_impostors_than_asked(scores, far):
    impostor = np.array(scores)
    threshold = metrics.threshold_at_far(impostor, far)
    assert np.mean(impostor >= threshold) <= far


def test_tar_at_far_on_a_case_done_by_hand():
    genuine = np.array([0.9, 0.8, 0.3, 0.1])
    impostor = np.array([0.85, 0.5, 0.2, 0.0])
    assert metrics.tar_at_far(genuine, impostor, 0.0) == 0.25  # only 0.9 is above every impostor
    assert metrics.tar_at_far(genuine, impostor, 0.25) == 0.5
    assert metrics.tar_at_far(genuine, impostor, 0.5) == 0.75


def test_the_roc_rises_from_strict_to_loose():
    rng = np.random.default_rng(0)
    far, tar, thresholds = metrics.roc(rng.normal(1, 1, 200), rng.normal(0, 1, 300))
    assert far[-1] == tar[-1] == 1
    assert (np.diff(thresholds) < 0).all()
    assert (np.diff(far) >= 0).all()
    assert (np.diff(tar) >= 0).all()


@given(st.lists(st.tuples(st.sampled_from([-0.5, 0.0, 0.2, 0.7]), st.booleans()), min_size=1))
def test_the_best_threshold_is_as_accurate_as_it_says_and_none_is_better(pairs):
    scores = np.array([score for score, _ in pairs])
    same = np.array([alike for _, alike in pairs])
    threshold, accuracy = metrics.best_threshold(scores, same)
    assert np.mean((scores >= threshold) == same) == pytest.approx(accuracy)
    tried = [np.mean((scores >= t) == same) for t in (-1, -0.2, 0.1, 0.5, 0.9)]
    assert accuracy == pytest.approx(max(tried))


def test_each_fold_is_judged_by_the_threshold_of_the_others():
    # Fold 1 alone would be perfect at 0.15; the other fold says 0.6 and costs it one pair.
    scores = np.array([0.7, 0.5, 0.2, 0.1])
    same = np.array([True, False, True, False])
    fold = np.array([0, 0, 1, 1])
    assert metrics.k_fold_accuracy(scores, same, fold).tolist() == [0.5, 0.5]


def test_open_set_counts_misses_and_strangers_apart():
    gallery, probe = np.array([0, 1]), np.array([0, 1, 1, 7, 8])
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.5, 0.4], [0.7, 0.0], [0.1, 0.3]])
    found = metrics.search(scores, gallery, probe)
    strict = metrics.open_set(found, 0.0)
    assert strict.rank1 == pytest.approx(2 / 3)
    assert strict.fpir == 0.0
    assert strict.fnir == pytest.approx(2 / 3)  # one is second, one is below the stranger's 0.7
    assert 0.7 < strict.threshold <= 0.9
    loose = metrics.open_set(found, 0.5)
    assert loose.fpir == 0.5
    assert loose.fnir == pytest.approx(1 / 3)
    fpir, fnir = metrics.open_set_det(found)
    assert fnir[-1] == pytest.approx(1 - strict.rank1)  # at no threshold does the second hit count
    points = set(zip(fpir.tolist(), fnir.round(4).tolist(), strict=True))
    assert {(0.0, round(strict.fnir, 4)), (0.5, round(loose.fnir, 4))} <= points


def test_a_weight_of_two_is_the_probe_twice_over():
    rng = np.random.default_rng(0)
    scores, gallery = rng.normal(size=(30, 4)), np.arange(4)
    probe, weight = rng.integers(0, 8, 30), rng.integers(1, 4, 30)
    weighted = metrics.open_set(metrics.search(scores, gallery, probe), 0.2, weight.astype(float))
    again = np.repeat(np.arange(30), weight)
    repeated = metrics.open_set(metrics.search(scores[again], gallery, probe[again]), 0.2)
    assert weighted.threshold == repeated.threshold
    assert weighted.fnir == pytest.approx(repeated.fnir)
    assert weighted.fpir == pytest.approx(repeated.fpir)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    # The Bayesian bootstrap of a mean has the standard deviation of the sample / sqrt(n + 1).
    sample = np.random.default_rng(0).normal(size=400)
    (low, high), (same_low, same_high) = metrics.interval(
        lambda weight: [np.average(sample, weights=weight), 3.0], len(sample)
    )
    assert low < sample.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * sample.std() / np.sqrt(401), rel=0.1)
    assert same_low == same_high == 3.0


def test_what_is_hard_for_both_cancels_in_the_interval_of_a_difference():
    rng = np.random.default_rng(0)
    first = rng.normal(size=200)
    other = first + rng.normal(0.1, 0.05, 200)

    def weighed(sample):
        return metrics.Weighed(["mean"], 200, lambda w: [np.average(sample, weights=w)])

    value, (low, high) = metrics.differences(weighed(first), weighed(other))["mean"]
    assert value == pytest.approx((other - first).mean())
    assert low < value < high
    assert high - low == pytest.approx(2 * 1.96 * (other - first).std() / np.sqrt(201), rel=0.1)
