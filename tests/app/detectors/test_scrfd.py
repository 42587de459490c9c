import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.detectors.centerface import weights_file
from app.detectors.scrfd import ScrfdDetector, pack_file
from app.errors import SettingsError
from tests.photographs import astronaut, shared_model


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """A folder served over HTTP in the place of InsightFace's model zoo."""
    from insightface.utils import storage

    folder = tmp_path / "zoo"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(storage, "MODEL_ZOO_RELEASE_DOWNLOAD_URL", url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def pack(zoo: Path, name: str, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(zoo / f"{name}.zip", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)


@pytest.mark.shared
def test_a_pack_is_downloaded_once_and_its_detector_works(zoo, tmp_path):
    model = shared_model("scrfd_2.5g_bnkps.onnx").read_bytes()
    pack(zoo, "tiny_pack", {"w600k_mbf.onnx": b"another network", "det_2.5g.onnx": model})
    file = pack_file("tiny_pack", tmp_path / "root")
    assert file == tmp_path / "root" / "models" / "tiny_pack" / "det_2.5g.onnx"
    assert len(ScrfdDetector(file, threads=1).detect([astronaut()])[0]) == 1
    (zoo / "tiny_pack.zip").unlink()
    assert pack_file("tiny_pack", tmp_path / "root") == file


def test_a_pack_with_a_folder_inside_is_read(zoo, tmp_path):
    pack(zoo, "nested", {"nested/scrfd_10g_bnkps.onnx": b"x"})
    assert pack_file("nested", tmp_path).name == "scrfd_10g_bnkps.onnx"


def test_a_pack_that_does_not_exist_says_what_to_do(zoo, tmp_path):
    with pytest.raises(SettingsError, match=r"pack absent could not be downloaded.*FACE_DETECTOR"):
        pack_file("absent", tmp_path)


def test_a_broken_archive_is_not_taken_for_the_pack_next_time(zoo, tmp_path):
    (zoo / "broken.zip").write_bytes(b"half of an arch")
    with pytest.raises(SettingsError, match="could not be downloaded"):
        pack_file("broken", tmp_path)
    pack(zoo, "broken", {"det_10g.onnx": b"x"})
    assert pack_file("broken", tmp_path).name == "det_10g.onnx"


def test_a_pack_without_a_detector_is_named(zoo, tmp_path):
    pack(zoo, "faceless", {"w600k_r50.onnx": b"x"})
    with pytest.raises(SettingsError, match="has no detector"):
        pack_file("faceless", tmp_path)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../outside"])
def test_a_pack_is_a_plain_name(name, tmp_path):
    with pytest.raises(SettingsError, match="does not name a pack"):
        pack_file(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_scrfd_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.onnx does not exist"):
        ScrfdDetector(tmp_path / "absent.onnx")
    with pytest.raises(SettingsError, match="not an SCRFD detector with landmarks"):
        ScrfdDetector(weights_file())


def test_a_missing_library_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "insightface", None)
    with pytest.raises(SettingsError, match="pip install insightface"):
        pack_file("buffalo_l", tmp_path)
