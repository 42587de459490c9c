"""Two ways of the same work, taking turns within one process.

Whatever else the machine does meets both alike: read the ratio.
"""

import statistics
import time
from collections.abc import Callable

Work = Callable[[], object]


def beside(first: Work, second: Work, rounds: int, *, per: int) -> tuple[float, float, float]:
    """Milliseconds of each over `per`, medians of the rounds, and the median of their ratios."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for work, times in zip((first, second), taken, strict=True):
            began = time.perf_counter()
            work()
            times.append((time.perf_counter() - began) * 1e3 / per)
    # The first round also lays out memory.
    one, other = taken[0][1:], taken[1][1:]
    ratio = statistics.median(a / b for a, b in zip(one, other, strict=True))
    return statistics.median(one), statistics.median(other), ratio
