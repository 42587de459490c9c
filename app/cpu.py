"""How many CPUs this process may use: the container's quota, not the host's core count."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """The least of the affinity mask and the cgroup's quota (v2, else v1), rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota(cgroup)
    return max(1, min(cores or 1, math.ceil(quota))) if quota else max(1, cores or 1)


def quieten_numpy() -> None:
    """One thread for NumPy's products in this process. The others wait for the next product
    spinning, some tens of milliseconds on a core that a search or a network could have."""
    from threadpoolctl import ThreadpoolController

    ThreadpoolController().select(threading_layer="pthreads").limit(limits=1)


def _quota(cgroup: Path) -> float | None:
    """CPUs that the cgroup allows, e.g. 1.5; None without a limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if limit in {"max", "-1"}:
        return None
    return int(limit) / int(period)
