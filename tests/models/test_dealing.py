from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import numpy as np
import pytest

from models.dealing import Dealer, parts


def numbered(count: int) -> np.ndarray:
    """(count, 1, 1, 1)"""
    return np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)


def unused(crops: np.ndarray) -> np.ndarray:
    raise AssertionError("this run is not to be used")


@pytest.mark.parametrize(
    ("count", "threads", "sizes"),
    [
        (1, 1, [1]),
        (5, 1, [3, 2]),
        (2, 2, [1, 1]),
        (3, 2, [2, 1]),
        (9, 2, [3, 2, 2, 2]),
        (16, 2, [4, 4, 4, 4]),
        (3, 8, [1, 1, 1]),
        (33, 8, [3] + [2] * 15),
    ],
)
def test_parts_are_of_one_size_nearly_and_as_many_for_each_thread(count, threads, sizes):
    assert [len(part) for part in parts(numbered(count), threads)] == sizes


def test_results_are_in_the_order_of_the_crops():
    dealer = Dealer(unused, lambda crops: 2 * crops.reshape(-1, 1), threads=3)
    for count in (3, 5, 30):
        assert dealer.run(numbered(count)).ravel().tolist() == [2 * i for i in range(count)]
    dealer.close()


def test_fewer_crops_than_threads_are_run_by_all_together():
    dealer = Dealer(lambda crops: -crops, unused, threads=4)
    assert dealer.run(numbered(3)).ravel().tolist() == [0, -1, -2]
    dealer.close()


def test_threads_run_at_once():
    met = Barrier(2)

    def alone(crops: np.ndarray) -> np.ndarray:
        met.wait(timeout=20)  # for the other thread; raises when it does not come
        return crops

    dealer = Dealer(unused, alone, threads=2)
    assert len(dealer.run(numbered(2))) == 2
    dealer.close()


def test_callers_may_come_at_once():
    dealer = Dealer(unused, lambda crops: crops, threads=2)
    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(dealer.run, [numbered(i + 2) for i in range(20)]))
    assert [result.ravel().tolist() for result in results] == [
        numbered(i + 2).ravel().tolist() for i in range(20)
    ]
    dealer.close()


def test_an_error_is_raised_when_all_runs_have_ended():
    ended, lock = [], Lock()

    def alone(crops: np.ndarray) -> np.ndarray:
        with lock:
            ended.append(crops)
        if crops[0] == 0:
            raise ValueError("the first part")
        return crops

    dealer = Dealer(unused, alone, threads=2)
    with pytest.raises(ValueError, match="the first part"):
        dealer.run(numbered(16))
    assert sum(map(len, ended)) == 16
    assert dealer.run(numbered(16)[1:]).ravel().tolist() == list(range(1, 16))
    dealer.close()
