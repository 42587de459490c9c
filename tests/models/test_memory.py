import platform
import subprocess
import sys

import pytest

# Page faults of making the same tensors again, 40 to 64 MB each, when they have been made before.
FAULTS = """
import resource, sys, torch
from models.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        tensors = [torch.full((millions * 1_000_000,), 1.0) for millions in (16, 10, 12)]
        del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep their ways")
def test_memory_given_back_is_taken_again_without_page_faults():
    assert faults("default") > 10_000
    assert faults("keep") < 1000
