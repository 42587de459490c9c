import subprocess
import sys

from app.memory import ARENAS

COUNT = """
import ctypes, sys, threading
from app.memory import settle_memory

if sys.argv[1] == "shared":
    settle_memory()
all_there = threading.Barrier(12)

def work():
    all_there.wait()
    kept.append([bytearray(5000) for _ in range(100)])
    all_there.wait()

kept = []
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def arenas(how: str, tmp_path) -> int:
    said = tmp_path / how
    subprocess.run([sys.executable, "-c", COUNT, how, str(said)], check=True)
    return said.read_text().count("<heap nr=")


def test_threads_settle_memory(tmp_path):
    assert arenas("alone", tmp_path) > ARENAS
    assert arenas("shared", tmp_path) == ARENAS
