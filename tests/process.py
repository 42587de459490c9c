"""The service as a process of its own, which a test may kill."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.tiny_model import write_tiny_model

ROOT = Path(__file__).parents[1]


def environment_in(folder: Path) -> dict[str, str]:
    """Of a service that keeps its data in `folder/data`, with a light embedder."""
    return {
        **os.environ,
        "FACE_DATA_DIR": str(folder / "data"),
        "FACE_MODEL_FILE": str(write_tiny_model(folder / "tiny.onnx")),
        "FACE_PORT": "0",
        "FACE_THREADS": "1",
        "FACE_MAX_WAIT_SECONDS": "10",  # however slow the machine is
    }


@contextmanager
def served(
    environment: Mapping[str, str], log: Path
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields the address and the process; kills it if nobody has."""
    with (
        log.open("a") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = re.search(r"http://[\d.:]+", process.stdout.readline())
            assert said, log.read_text()
            yield said[0], process
        finally:
            process.kill()
