"""A batch dealt out: each thread runs a few crops at a time by itself.

A runtime with all threads at one large batch has them wait for each other behind every layer,
writes maps that no cache holds, and keeps memory for every size of batch that it ever met. Crops
have nothing to do with each other, so none of it need be; docs/load.md has the figures.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Floats]  # (n, C, H, W) -> (n, D)
MOST = 4  # crops of one run


class Dealer:
    """Runs batches of a network, large ones on threads of its own. Thread-safe as its runs are.

    `together` uses all threads at once and gets what is fewer crops than threads, which is soonest
    done so. `alone` uses the thread that calls it, and several call it at once, with up to four.
    """

    def __init__(self, together: Run, alone: Run, threads: int) -> None:
        self._together = together
        self._alone = alone
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "network")

    def run(self, batch: Floats) -> Floats:
        """(N, C, H, W) -> (N, D). A run's error is raised when all have ended."""
        if len(batch) < self._threads:
            return self._together(batch)
        runs = [self._pool.submit(self._alone, part) for part in parts(batch, self._threads)]
        wait(runs)
        return np.concatenate([run.result() for run in runs])

    def close(self) -> None:
        self._pool.shutdown()


def parts(batch: Floats, threads: int) -> list[Floats]:
    """The batch in parts as equal as can be, of at most four crops, and as many for each thread."""
    rounds = -(-len(batch) // (threads * MOST))
    return np.array_split(batch, min(len(batch), threads * rounds))
