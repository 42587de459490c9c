import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from models.catalog import card
from models.weights import WeightsError, download, fetch, find, find_checkpoint, sha256_of

DATA = bytes(range(256)) * 5000  # more than one chunk
SHA = hashlib.sha256(DATA).hexdigest()
CARD = replace(card("scsc_faceresnet"), sha256=SHA, checkpoint_sha256="")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Breaking(Quiet):
    """Promises more bytes than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[:1000])


def serve(handler: type[Quiet], folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def url(tmp_path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "net.onnx").write_bytes(DATA)
    yield from serve(Quiet, tmp_path / "served")


@pytest.fixture
def breaking_url(tmp_path) -> Iterator[str]:
    yield from serve(Breaking, tmp_path)


def test_a_file_is_found_and_verified(tmp_path):
    path = tmp_path / CARD.file
    path.write_bytes(DATA)
    assert find(CARD, tmp_path) == path
    assert sha256_of(path) == SHA
    path.write_bytes(DATA[:-1])
    with pytest.raises(WeightsError, match="is altered"):
        find(CARD, tmp_path)


def test_an_absent_file_says_where_it_belongs(tmp_path):
    with pytest.raises(WeightsError, match=f"put {CARD.file} into {tmp_path}"):
        find(CARD, tmp_path)
    with pytest.raises(WeightsError, match=CARD.checkpoint):
        find_checkpoint(CARD, tmp_path)


def test_a_card_without_a_file_of_its_own_says_so(tmp_path):
    with pytest.raises(WeightsError, match="centerface has no such file"):
        find(card("centerface"), tmp_path)


def test_a_checkpoint_is_found_likewise(tmp_path):
    (tmp_path / CARD.checkpoint).write_bytes(DATA)
    assert find_checkpoint(CARD, tmp_path) == tmp_path / CARD.checkpoint
    with pytest.raises(WeightsError, match="is altered"):
        find_checkpoint(replace(CARD, checkpoint_sha256="0" * 64), tmp_path)


def test_a_download_arrives_whole_in_a_new_folder(url, tmp_path):
    target = tmp_path / "new" / "net.onnx"
    assert download(f"{url}/net.onnx", target, SHA) == target
    assert target.read_bytes() == DATA
    assert list(target.parent.iterdir()) == [target]


def test_a_wrong_download_leaves_nothing_and_keeps_what_was_there(url, tmp_path):
    target = tmp_path / "net.onnx"
    target.write_bytes(b"before")
    with pytest.raises(WeightsError, match=f"sha256 {SHA}, expected 000"):
        download(f"{url}/net.onnx", target, "0" * 64)
    assert target.read_bytes() == b"before"
    assert not list(tmp_path.glob(".net*"))


def test_a_broken_transfer_leaves_nothing(breaking_url, tmp_path):
    with pytest.raises(WeightsError):
        download(f"{breaking_url}/net.onnx", tmp_path / "net.onnx", SHA)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_cannot_be_downloaded(url, tmp_path):
    with pytest.raises(WeightsError, match=r"could not be downloaded.*404"):
        download(f"{url}/absent.onnx", tmp_path / "net.onnx", SHA)


def test_only_http_with_a_hash_is_downloaded(tmp_path):
    with pytest.raises(WeightsError, match="http or https"):
        download(Path(__file__).as_uri(), tmp_path / "net.onnx", SHA)
    with pytest.raises(WeightsError, match="no sha256"):
        download("http://127.0.0.1:9/net.onnx", tmp_path / "net.onnx", "")


def test_fetch_downloads_only_what_is_absent(url, tmp_path):
    known = replace(CARD, url=f"{url}/net.onnx")
    assert fetch(known, tmp_path).read_bytes() == DATA
    assert fetch(replace(known, url="http://127.0.0.1:9/"), tmp_path).read_bytes() == DATA
    with pytest.raises(WeightsError, match="missing"):
        fetch(replace(CARD, file="other.onnx"), tmp_path)
