"""`face export` and `face import`."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.archive.export import export
from app.archive.files import sync_folder
from app.archive.intake import intake
from app.archive.records import ExportManifest
from app.commands import backup as command
from app.errors import BadRequest
from app.settings import Settings
from app.wiring import build_analyzer, open_store


def from_folder(folder: Path, settings: Settings) -> ExportManifest:
    def write(target: Path) -> ExportManifest:
        with open_store(settings, still=True) as store:
            return export(store, target)

    return _written(folder, write)


def from_service(folder: Path, url: str, key: str | None, settings: Settings) -> ExportManifest:
    """Of a backup, which is of one moment, restored beside the export for as long as it takes."""

    def write(target: Path) -> ExportManifest:
        with tempfile.TemporaryDirectory(dir=target) as aside:
            backup = Path(aside) / "backup.tar"
            restored = _in_folder(settings, Path(aside) / "data")
            command.from_service(backup, url, key)
            command.restore(backup, restored)
            with open_store(restored) as store:
                return export(store, target)

    return _written(folder, write)


def _in_folder(settings: Settings, folder: Path) -> Settings:
    alone = {"database_url": None, "index": "auto", "milvus_uri": None}
    return settings.model_copy(update={"data_dir": folder, **alone})


def take(folder: Path, settings: Settings) -> ExportManifest:
    analyzer = build_analyzer(settings)
    contract = analyzer.contract
    analyzer.close()
    with open_store(settings, create=True) as store:
        return intake(store, folder, contract)


def sentence(manifest: ExportManifest) -> str:
    return ", ".join(f"{number} {noun}" for noun, number in manifest.counts.items())


def _written(folder: Path, write: Callable[[Path], ExportManifest]) -> ExportManifest:
    """The folder gets its name when everything is in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} is there already; name a new folder")
    part = folder.with_name(f"{folder.name}.part")
    try:
        part.mkdir(mode=0o700)
    except OSError as exc:
        raise BadRequest(f"{part} cannot be made: {exc.strerror}") from exc
    try:
        manifest = write(part)
        part.replace(folder)
        sync_folder(folder.parent)
    except OSError as exc:
        raise BadRequest(f"{folder} cannot be written: {exc.strerror}") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest
