"""Photographs become aligned crops in the product's own way: through a running service's /align.

The figures of an embedder are then figures of the whole row: photograph, detector, alignment,
embedding. Nothing of the service is imported; it runs in a process of its own, or elsewhere. Its
/embed turns crops into embeddings, so that a service can be measured like a file.
"""

import base64
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

PER_REQUEST = 16
START_SECONDS = 60.0
CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Service:
    url: str
    key: str = ""  # API key, where it asks for one


@dataclass(frozen=True, eq=False)
class Crops:
    """Aligned crops of photographs. Where no face was found the crop is black."""

    crops: npt.NDArray[np.uint8]  # (N, 112, 112, 3) RGB
    found: npt.NDArray[np.bool_]  # (N,)


@contextmanager
def own_service() -> Iterator[Service]:
    """A service of our own on an empty data folder, on loopback, with the product's settings."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "app.cli", "serve", "--data", folder]
        log = Path(folder) / "service.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", "0"],
                stdout=output,
                stderr=output,
                cwd=CHECKOUT,
            )
        try:
            yield Service(_address(process, log))
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if address := re.search(r"is at (http://\S+)", log.read_text(errors="replace")):
            try:
                with urllib.request.urlopen(f"{address[1]}/health/ready"):
                    return address[1]
            except urllib.error.URLError:
                pass
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{log.read_text(errors='replace')}")


def reader(cache: Path | None, service: Service | None) -> Callable[[Sequence[bytes]], Crops]:
    """What makes crops of photographs: that service, or one of our own; `cache` keeps them.

    Raises ValueError when the file holds crops of another number of photographs.
    """

    def read(photographs: Sequence[bytes]) -> Crops:
        if cache is not None and cache.exists():
            with np.load(cache) as arrays:
                crops = Crops(arrays["crops"], arrays["found"])
            if len(crops.found) != len(photographs):
                raise ValueError(f"{cache} has {len(crops.found)} crops, not {len(photographs)}")
            return crops
        with nullcontext(service) if service else own_service() as door:
            crops = aligned_crops(photographs, door)
        if cache is not None:
            np.savez(cache, crops=crops.crops, found=crops.found)
        return crops

    return read


def aligned_crops(photographs: Sequence[bytes], service: Service, threads: int = 4) -> Crops:
    """The crop of each photograph's subject: of several faces, the one nearest to the middle."""
    chunks = [photographs[i : i + PER_REQUEST] for i in range(0, len(photographs), PER_REQUEST)]
    with ThreadPoolExecutor(threads) as pool:
        subjects = [
            crop for part in pool.map(lambda c: _align(c, service), chunks) for crop in part
        ]
    crops = np.zeros((len(subjects), 112, 112, 3), np.uint8)
    for i, crop in enumerate(subjects):
        if crop is not None:
            crops[i] = crop
    return Crops(crops, np.array([crop is not None for crop in subjects]))


def _align(photographs: Sequence[bytes], service: Service) -> list[npt.NDArray[np.uint8] | None]:
    try:
        results = _post(service, "/align", photographs)
    except urllib.error.HTTPError as error:
        if error.code != 422:  # 422: no photograph of the request had a face
            raise
        return [None] * len(photographs)
    return [
        _subject(result.get("faces") or [], photograph)
        for result, photograph in zip(results, photographs, strict=True)
    ]


def embeddings(crops: npt.NDArray[np.uint8], service: Service) -> npt.NDArray[np.float32]:
    """(N, 112, 112, 3) RGB -> (N, D), by a service's own network."""
    rows = []
    for i in range(0, len(crops), PER_REQUEST):
        pictures = [encoded(crop) for crop in crops[i : i + PER_REQUEST]]
        for result in _post(service, "/embed", pictures, aligned=True, encoding="base64"):
            (face,) = result["faces"]
            rows.append(np.frombuffer(base64.b64decode(face["embedding"]), "<f4"))
    return np.stack(rows)


def encoded(crop: npt.NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB -> PNG, which loses nothing."""
    return cv2.imencode(".png", crop[:, :, ::-1])[1].tobytes()


def _post(
    service: Service, path: str, pictures: Sequence[bytes], **options: bool | str
) -> list[dict[str, Any]]:
    body = {"images": [base64.b64encode(picture).decode() for picture in pictures], **options}
    headers = {"content-type": "application/json"}
    if service.key:
        headers["authorization"] = f"Bearer {service.key}"
    request = urllib.request.Request(
        f"{service.url.rstrip('/')}{path}", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request) as answer:
        results: list[dict[str, Any]] = json.load(answer)["results"]
    return results


def _subject(faces: list[dict[str, Any]], photograph: bytes) -> npt.NDArray[np.uint8] | None:
    if not faces:
        return None
    picture = np.asarray(cv2.imdecode(np.frombuffer(photograph, np.uint8), cv2.IMREAD_COLOR))
    height, width = picture.shape[:2]

    def distance(face: dict[str, Any]) -> float:
        x1, y1, x2, y2 = face["box"]
        return float(np.hypot((x1 + x2 - width) / 2, (y1 + y2 - height) / 2))

    png = np.frombuffer(base64.b64decode(min(faces, key=distance)["crop"]), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]
