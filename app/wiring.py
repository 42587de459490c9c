"""Settings -> objects. Only this file names concrete back-ends; each choice is one `match`."""

import fcntl
import ipaddress
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

import cv2
from pydantic import SecretStr

from app import metrics
from app.cpu import available_cpus, quieten_numpy
from app.detectors.base import Detector
from app.detectors.centerface import CenterFaceDetector
from app.entities import Contract
from app.errors import SettingsError
from app.gallery import Gallery, ServedModel
from app.gallery.keyring import Keyring
from app.gallery.originals import originals_of
from app.gallery.shared import Watch
from app.index import files
from app.index.base import Index
from app.index.local import Kind, LocalIndex
from app.index.milvus import MilvusIndex
from app.pipeline.analyze import Analyzer
from app.pipeline.embed import Embedder
from app.pipeline.quality import QualityRules
from app.runtime.base import Runtime
from app.settings import RuntimeKind, Settings
from app.store.sealing import Cipher, cipher_of
from app.store.store import Store, sqlite_url
from models import weights
from models.catalog import ModelCard
from models.catalog import card as card_named

DETECTOR_FLOOR = 0.3  # what a detector reports at all, unless the setting asks for fainter faces
LOCK_FILE = "face.lock"
POSTGRESQL = "postgresql+psycopg://"


def build_analyzer(settings: Settings) -> Analyzer:
    """Raises SettingsError with a sentence when a choice cannot be had."""
    threads = settings.threads or available_cpus()
    cv2.setNumThreads(threads)
    embedder = _embedder("FACE_MODEL", settings.model, settings.model_file, settings, threads)
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
        previous=_previous_embedder(settings, embedder.contract, threads),
    )


def build_gallery(settings: Settings, analyzer: Analyzer) -> Gallery:
    """Of this process alone, which holds the data folder until the gallery is closed; or one that
    any number of processes share."""
    threshold, previous = _threshold(settings, analyzer.card), None
    if before := analyzer.previous:
        previous = ServedModel(before.contract, _threshold(settings, before.card))
    keep = timedelta(hours=settings.idempotency_hours)
    gallery: Gallery
    with ExitStack() as opened:  # closed again when a later step fails
        if shared := _shared(settings):
            store = Store(shared.database_url, encryption(settings))
            opened.callback(store.close)
            milvus = MilvusIndex(shared.milvus_uri, shared.milvus_token)
            opened.callback(milvus.close)
            gallery = _ReplicaGallery(store, milvus, analyzer.contract, threshold, keep, previous)
        else:
            lock = FolderLock(settings.data_dir)
            opened.callback(lock.release)
            store = Store(sqlite_url(settings.database), encryption(settings))
            opened.callback(store.close)
            quieten_numpy()
            index = LocalIndex(
                originals_of(store),
                folder=settings.data_dir,
                kind=_local_kind(settings),
                recall=settings.recall,
                threads=settings.threads or available_cpus(),
            )
            gallery = _LockedGallery(
                store, index, analyzer.contract, threshold, keep, previous, lock
            )
        opened.pop_all()
    return gallery


@contextmanager
def open_store(settings: Settings, *, create: bool = False, still: bool = False) -> Iterator[Store]:
    """The store alone, for what needs no networks. `still`: a copy, if others could change it."""
    if shared := _shared(settings):
        with closing(Store(shared.database_url, encryption(settings))) as store:
            if not still:
                yield store
                return
            with store.snapshot() as file, closing(Store(sqlite_url(file))) as copy:
                yield copy
        return
    if not create and not settings.database.is_file():
        raise SettingsError(f"FACE_DATA_DIR={settings.data_dir}: nothing is stored there")
    lock = FolderLock(settings.data_dir)
    try:
        store = Store(sqlite_url(settings.database), encryption(settings))
        try:
            yield store
        finally:
            store.close()
    finally:
        lock.release()


def encryption(settings: Settings) -> Cipher | None:
    """Of vectors and crops at rest."""
    if settings.encryption_key is not None:
        return cipher_of(settings.encryption_key.get_secret_value(), "FACE_ENCRYPTION_KEY")
    if settings.encryption_key_file is not None:
        return read_key(settings.encryption_key_file, "FACE_ENCRYPTION_KEY_FILE")
    return None


def read_key(file: Path, named_by: str) -> Cipher:
    try:
        return cipher_of(file.read_text(encoding="ascii"), named_by)
    except OSError as exc:
        raise SettingsError(f"{named_by}={file}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{named_by}={file} is not a key") from exc


def forget_saved_index(settings: Settings) -> None:
    """The next start makes it anew."""
    if settings.data_dir.is_dir():
        files.delete(settings.data_dir)


def require_folder(settings: Settings, what: str) -> None:
    """`what` begins the sentence of the refusal."""
    if settings.database_url is not None:
        raise SettingsError(
            f"{what} is for a data folder, and FACE_DATABASE_URL is set: use `face import`"
        )


def make_first_key(settings: Settings) -> str | None:
    """The text of an admin's key, where keys are asked for and none was ever made."""
    if settings.auth == "off":
        return None
    with open_store(settings, create=True) as store:
        return Keyring(store).create_first("first")


def check_binding(settings: Settings) -> None:
    """Without keys, whoever reaches the port may read and change the gallery."""
    if settings.auth == "off" or _is_loopback(settings.host) or _has_key(settings):
        return
    raise SettingsError(
        f"FACE_HOST={settings.host} can be reached from other machines and there is no key: make "
        "one with `face keys create NAME --role admin`, use 127.0.0.1, or set FACE_AUTH=off if "
        "something else guards the port"
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


def _local_kind(settings: Settings) -> Kind:
    assert settings.index != "milvus"  # that is shared
    return settings.index


@dataclass(frozen=True)
class _Shared:
    database_url: str
    milvus_uri: str
    milvus_token: str


def _shared(settings: Settings) -> _Shared | None:
    """None: a gallery of this process alone. Refuses mixes that would give wrong answers."""
    url, uri, kind = settings.database_url, settings.milvus_uri, settings.index
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
    match url, kind, uri:
        case None, "milvus", _:
            raise SettingsError(
                "FACE_INDEX=milvus without FACE_DATABASE_URL: who shares an index shares a store "
                f"too; set FACE_DATABASE_URL={POSTGRESQL}..., or leave FACE_INDEX out"
            )
        case None, _, None:
            return None
        case SecretStr(), _, _ if not url.get_secret_value().startswith("postgresql"):
            raise SettingsError(f"FACE_DATABASE_URL begins with {POSTGRESQL}")
        case SecretStr(), "milvus", None:
            raise SettingsError("FACE_INDEX=milvus needs FACE_MILVUS_URI, e.g. http://milvus:19530")
        case SecretStr(), "milvus", str() if not uri.startswith(("http://", "https://")):
            raise SettingsError(
                f"FACE_MILVUS_URI={uri}: it begins with http:// or https://, as every replica has "
                "to reach it"
            )
        case SecretStr(), "milvus", str() if encryption(settings) is not None:
            raise SettingsError(
                "FACE_ENCRYPTION_KEY with FACE_INDEX=milvus: Milvus keeps the vectors on its disks "
                "unencrypted; encrypt those disks, and the database's, instead"
            )
        case SecretStr(), "milvus", str():
            return _Shared(url.get_secret_value(), uri, token)
        case SecretStr(), _, _:
            raise SettingsError(
                f"FACE_DATABASE_URL with FACE_INDEX={kind}: an index in the memory of one process "
                "misses what other replicas store; set FACE_INDEX=milvus and FACE_MILVUS_URI, or "
                "leave FACE_DATABASE_URL out"
            )
    raise SettingsError(f"FACE_MILVUS_URI={uri} with FACE_INDEX={kind}: set FACE_INDEX=milvus")


class _ReplicaGallery(Gallery):
    """One of those that share a store and an index."""

    def __init__(
        self,
        store: Store,
        index: MilvusIndex,
        contract: Contract,
        threshold: float,
        keep_replies: timedelta,
        previous: ServedModel | None,
    ) -> None:
        super().__init__(
            store, index, contract, threshold, keep_replies=keep_replies, previous=previous
        )
        self._watch = Watch(self._changes, self._projection)

    def close(self) -> None:
        self._watch.close()
        super().close()


class _LockedGallery(Gallery):
    def __init__(
        self,
        store: Store,
        index: Index,
        contract: Contract,
        threshold: float,
        keep_replies: timedelta,
        previous: ServedModel | None,
        lock: FolderLock,
    ) -> None:
        super().__init__(
            store, index, contract, threshold, keep_replies=keep_replies, previous=previous
        )
        self._lock = lock

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._lock.release()


def _threshold(settings: Settings, card: ModelCard) -> float:
    return card.threshold if settings.threshold is None else settings.threshold


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


def _previous_embedder(settings: Settings, main: Contract, threads: int) -> Embedder | None:
    model, file = settings.previous_model, settings.previous_model_file
    if model is None and file is None:
        return None
    variable = "FACE_PREVIOUS_MODEL"
    embedder = _embedder(variable, model or settings.model, file, settings, threads)
    if embedder.contract == main:
        raise SettingsError(f"{variable}: it is the same as FACE_MODEL; leave it out")
    return embedder


def _embedder(
    variable: str, model: str, given: Path | None, settings: Settings, threads: int
) -> Embedder:
    """`variable` is the setting that names the model; `given` a file in place of its card's."""
    try:
        card = card_named(model)
        if card.task != "embedder":
            raise SettingsError(f"{variable}={model} is a {card.task}, not an embedder")
        if given is not None and not given.is_file():
            raise SettingsError(f"{variable}_FILE={given} does not exist")
        runtime, sha256 = _runtime(settings.runtime, card, given, threads)
    except LookupError as exc:
        raise SettingsError(f"{variable}: {exc.args[0]}") from exc
    except weights.WeightsError as exc:
        raise SettingsError(str(exc)) from exc
    return Embedder(runtime, card, sha256)


def _runtime(
    kind: RuntimeKind, card: ModelCard, given: Path | None, threads: int
) -> tuple[Runtime, str]:
    """What runs the network, and the hash that its embeddings' contract is made of.

    A card's file and its PyTorch twin give the same numbers and so share the file's hash; bfloat16
    gives others.
    """
    match kind:
        case "onnxruntime":
            from app.runtime.ort import OrtRuntime

            file = given or weights.find(card)
            return OrtRuntime(file, threads=threads), weights.sha256_of(file)
        case "openvino":
            from app.runtime.openvino import OpenVinoRuntime

            file = given or weights.find(card)
            return OpenVinoRuntime(file, threads=threads), weights.sha256_of(file)
        case "openvino-bf16":
            from app.runtime.openvino import OpenVinoRuntime

            file = given or weights.find(card)
            runtime = OpenVinoRuntime(file, threads=threads, precision="bf16")
            return runtime, f"{weights.sha256_of(file)} in bf16"
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


def _has_key(settings: Settings) -> bool:
    if settings.database_url is None and not settings.database.is_file():
        return False
    with open_store(settings) as store:
        return any(key.revoked_at is None for key in Keyring(store).listed())
