import os

import pytest

from app.cpu import available_cpus

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("limit", "cpus"), [("max", CORES), ("50000", 1), ("9900000", CORES)])
def test_quota_of_cgroup_v2(tmp_path, limit, cpus):
    (tmp_path / "cpu.max").write_text(f"{limit} 100000\n")
    assert available_cpus(tmp_path) == cpus


def test_quota_of_cgroup_v1(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == 1


def test_without_a_cgroup_the_affinity_counts(tmp_path):
    assert available_cpus(tmp_path) == CORES
