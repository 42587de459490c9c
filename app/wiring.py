"""Settings -> objects. Only this file names concrete back-ends; each choice is one `match`."""

import fcntl
import ipaddress
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

import cv2

from app import metrics
from app.cpu import available_cpus
from app.detectors.base import Detector
from app.detectors.centerface import CenterFaceDetector
from app.entities import Contract
from app.errors import SettingsError
from app.gallery import Gallery
from app.index.base import Index
from app.index.flat import FlatIndex
from app.pipeline.analyze import Analyzer
from app.pipeline.embed import Embedder
from app.pipeline.quality import QualityRules
from app.runtime.base import Runtime
from app.settings import Settings
from app.store.store import Store, sqlite_url
from models import weights
from models.catalog import ModelCard
from models.catalog import card as card_named

DETECTOR_FLOOR = 0.3  # what a detector reports at all, unless the setting asks for fainter faces
LOCK_FILE = "face.lock"


def build_analyzer(settings: Settings) -> Analyzer:
    """Raises SettingsError with a sentence when a choice cannot be had."""
    threads = settings.threads or available_cpus()
    cv2.setNumThreads(threads)
    embedder = _embedder(settings, threads)
    return Analyzer(
        _detector(settings, threads),
        embedder,
        rules=QualityRules(
            min_size=settings.min_face_size,
            min_sharpness=settings.min_sharpness,
            min_brightness=settings.min_brightness,
            max_brightness=settings.max_brightness,
            min_frontal=settings.min_frontal,
            min_score=settings.min_face_score,
        ),
        min_score=settings.min_face_score,
        max_batch=settings.batch_size,
        max_queue=settings.queue_size,
        observe=metrics.observe_batch,
    )


def build_gallery(settings: Settings, analyzer: Analyzer) -> Gallery:
    """Holds the data folder until the gallery is closed; a second process is refused."""
    lock = FolderLock(settings.data_dir)
    threshold = settings.threshold if settings.threshold is not None else analyzer.card.threshold
    index = FlatIndex(threads=settings.threads or available_cpus())
    with ExitStack() as opened:  # closed again when a later step fails
        opened.callback(lock.release)
        store = Store(sqlite_url(settings.database))
        opened.callback(store.close)
        keep = timedelta(hours=settings.idempotency_hours)
        gallery = _LockedGallery(store, index, analyzer.contract, threshold, keep, lock)
        opened.pop_all()
    return gallery


@contextmanager
def open_store(settings: Settings, *, create: bool = False) -> Iterator[Store]:
    """The store of a data folder alone, for what needs no networks."""
    if not create and not settings.database.is_file():
        raise SettingsError(f"FACE_DATA_DIR={settings.data_dir}: nothing is stored there")
    lock = FolderLock(settings.data_dir)
    try:
        store = Store(sqlite_url(settings.database))
        try:
            yield store
        finally:
            store.close()
    finally:
        lock.release()


def check_binding(settings: Settings) -> None:
    """Without keys, whoever reaches the port may read and change the gallery."""
    if settings.auth == "off" or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"FACE_HOST={settings.host} can be reached from other machines and no key is configured:"
        " use 127.0.0.1, or set FACE_AUTH=off if something else guards the port"
    )


class FolderLock:
    """The data folder belongs to one process: its index lives in that process's memory."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = (folder / LOCK_FILE).open("ab")
        except OSError as exc:
            raise SettingsError(f"FACE_DATA_DIR={folder}: {exc.strerror}") from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise SettingsError(
                f"the data folder {folder} is in use by another process;"
                " ask the running service (--url), or choose another FACE_DATA_DIR"
            ) from exc
        self._file = file

    def release(self) -> None:
        """May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _LockedGallery(Gallery):
    def __init__(
        self,
        store: Store,
        index: Index,
        contract: Contract,
        threshold: float,
        keep_replies: timedelta,
        lock: FolderLock,
    ) -> None:
        super().__init__(store, index, contract, threshold, keep_replies=keep_replies)
        self._lock = lock

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._lock.release()


def _detector(settings: Settings, threads: int) -> Detector:
    file, floor = settings.detector_file, min(DETECTOR_FLOOR, settings.min_face_score)
    match settings.detector.partition(":"):
        case ("centerface", "", ""):
            return CenterFaceDetector(file, threads=threads, min_score=floor)
        case ("yunet", "", ""):
            from app.detectors.yunet import YuNetDetector

            return YuNetDetector(file, min_score=floor)
        case ("insightface", ":", pack) if pack:
            from app.detectors.scrfd import ScrfdDetector, pack_file

            found = file or pack_file(pack, settings.packs_dir.expanduser())
            return ScrfdDetector(found, threads=threads, min_score=floor)
    raise SettingsError(
        f"FACE_DETECTOR={settings.detector}: it is centerface, yunet or insightface:PACK"
    )


def _embedder(settings: Settings, threads: int) -> Embedder:
    try:
        card = card_named(settings.model)
        if card.task != "embedder":
            raise SettingsError(f"FACE_MODEL={settings.model} is a {card.task}, not an embedder")
        runtime, sha256 = _runtime(settings, card, threads)
    except LookupError as exc:
        raise SettingsError(f"FACE_MODEL: {exc.args[0]}") from exc
    except weights.WeightsError as exc:
        raise SettingsError(str(exc)) from exc
    return Embedder(runtime, card, sha256)


def _runtime(settings: Settings, card: ModelCard, threads: int) -> tuple[Runtime, str]:
    """What runs the network, and the hash that its embeddings' contract is made of.

    A card's file and its PyTorch twin give the same numbers and so share the file's hash.
    """
    given = settings.model_file
    if given is not None and not given.is_file():
        raise SettingsError(f"FACE_MODEL_FILE={given} does not exist")
    match settings.runtime:
        case "onnxruntime":
            from app.runtime.ort import OrtRuntime

            file = given or weights.find(card)
            return OrtRuntime(file, threads=threads), weights.sha256_of(file)
        case "pytorch":
            from app.runtime.pytorch import PyTorchRuntime

            file = given or weights.find_checkpoint(card)
            sha256 = weights.sha256_of(given or weights.find(card))
            return PyTorchRuntime(file, threads=threads), sha256


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
