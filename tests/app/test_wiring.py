import subprocess
import sys
from pathlib import Path

import pytest

from app.detectors.centerface import CenterFaceDetector
from app.errors import SettingsError, Unavailable
from app.gallery import Gallery
from app.settings import Settings
from app.store.store import Store
from app.wiring import FolderLock, build_analyzer, build_gallery, check_binding, encryption
from tests.doubles import picture
from tests.tiny_model import write_tiny_model

YUNET = Path(__file__).parents[3] / "shared/models/yunet.onnx"
SCRFD = Path(__file__).parents[3] / "shared/models/scrfd_2.5g_bnkps.onnx"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def test_the_default_finds_faces_and_embeds_with_the_given_file(tiny_model):
    analyzer = build_analyzer(Settings(model_file=tiny_model, threads=1))
    try:
        assert (analyzer.card.name, analyzer.contract.dim) == ("scsc_faceresnet", 256)
        assert isinstance(analyzer._detector, CenterFaceDetector)
        ((face,),) = analyzer.analyze([picture()], aligned=True)
        assert face.embedding.shape == (256,)
    finally:
        analyzer.close()


def test_the_contract_follows_the_model_file(tiny_model, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(tiny_model.read_bytes() + b"\x72\x00")  # one more, empty field
    contracts = []
    for file in (tiny_model, tiny_model, other):
        analyzer = build_analyzer(Settings(model_file=file, threads=1))
        contracts.append(analyzer.contract.id)
        analyzer.close()
    assert contracts[0] == contracts[1] != contracts[2]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"detector": "magic"}, "FACE_DETECTOR=magic"),
        ({"detector": "insightface:"}, "FACE_DETECTOR=insightface:"),
        ({"detector": "insightface:../x"}, "does not name a pack"),
        ({"detector": "yunet", "detector_file": Path("absent.onnx")}, "absent.onnx"),
        ({"model": "magic"}, "FACE_MODEL: .*scsc_faceresnet"),
        ({"model": "centerface"}, "FACE_MODEL=centerface is a detector"),
        ({"model_file": Path("absent.onnx")}, "FACE_MODEL_FILE=absent.onnx"),
        ({"previous_model": "magic"}, "FACE_PREVIOUS_MODEL: .*scsc_faceresnet"),
        ({"previous_model_file": Path("absent.onnx")}, "FACE_PREVIOUS_MODEL_FILE=absent.onnx"),
        ({"model_file": Path(__file__)}, "ONNX"),
    ],
)
def test_a_choice_that_cannot_be_had_is_named(tiny_model, choice, said):
    with pytest.raises(SettingsError, match=said):
        build_analyzer(Settings(**{"model_file": tiny_model, "threads": 1} | choice))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("detector", "file"), [("yunet", YUNET), ("insightface:any", SCRFD)], ids=["yunet", "scrfd"]
)
@pytest.mark.filterwarnings("ignore::Warning")  # the insightface library's own imports
def test_other_detectors_plug_in(tiny_model, detector, file):
    if not file.exists():
        pytest.skip(f"{file} is absent")
    analyzer = build_analyzer(
        Settings(detector=detector, detector_file=file, model_file=tiny_model, threads=1)
    )
    try:
        assert analyzer.detect([picture()]) == [[]]
    finally:
        analyzer.close()


def test_a_gallery_lives_on_in_its_folder_and_frees_it_when_closed(tiny_model, tmp_path):
    settings = Settings(data_dir=tmp_path / "new" / "data", model_file=tiny_model, threads=1)
    analyzer = build_analyzer(settings)
    try:
        gallery = build_gallery(settings, analyzer)
        gallery.create_person("default", "ada", "Ada")
        with pytest.raises(SettingsError, match="in use by another process"):
            build_gallery(settings, analyzer)
        gallery.close()
        again = build_gallery(settings, analyzer)
        assert again.person("default", "ada").name == "Ada"
        again.close()
    finally:
        analyzer.close()


def test_a_gallery_that_cannot_be_made_leaves_nothing_open(tiny_model, tmp_path, monkeypatch):
    settings = Settings(data_dir=tmp_path, model_file=tiny_model, threads=1)
    analyzer = build_analyzer(settings)
    closed: list[Store] = []
    close = Store.close

    def fail(_: Gallery) -> None:
        raise Unavailable("the index cannot be filled")

    try:
        with monkeypatch.context() as patched:
            patched.setattr(Gallery, "reconcile", fail)
            patched.setattr(Store, "close", lambda store: (closed.append(store), close(store)))
            with pytest.raises(Unavailable):
                build_gallery(settings, analyzer)
        assert len(closed) == 1
        build_gallery(settings, analyzer).close()  # the folder is free again
    finally:
        analyzer.close()


def test_the_previous_model_is_another(tiny_model):
    with pytest.raises(SettingsError, match="FACE_PREVIOUS_MODEL: it is the same"):
        build_analyzer(Settings(model_file=tiny_model, previous_model_file=tiny_model, threads=1))


def test_both_models_are_served(tiny_model, tmp_path):
    other = write_tiny_model(tmp_path / "other.onnx", seed=1)
    settings = Settings(
        data_dir=tmp_path, model_file=tiny_model, previous_model_file=other, threads=1
    )
    analyzer = build_analyzer(settings)
    try:
        before = analyzer.previous
        assert before is not None
        crops = [picture(112, 112)]
        by_new, by_old = (analyzer.embed(crops, c) for c in (analyzer.contract, before.contract))
        assert abs(float((by_new @ by_old.T)[0, 0])) < 0.9
        build_gallery(settings, analyzer).close()
    finally:
        analyzer.close()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("absent", "FACE_ENCRYPTION_KEY_FILE=.*absent: No such file"),
        ("short", "FACE_ENCRYPTION_KEY_FILE must be 32 bytes"),
        ("binary", "is not a key"),
    ],
)
def test_a_key_that_cannot_be_one_is_named(tmp_path, file, said):
    (tmp_path / "short").write_text("c2hvcnQ=")
    (tmp_path / "binary").write_bytes(bytes(range(200, 232)))
    with pytest.raises(SettingsError, match=said):
        encryption(Settings(encryption_key_file=tmp_path / file))


def test_the_folder_is_the_owners_alone(tmp_path):
    lock = FolderLock(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    lock.release()
    lock.release()


def test_another_process_is_refused_until_this_one_lets_go(tmp_path):
    probe = (
        "import sys; from pathlib import Path; from app.wiring import FolderLock;"
        "FolderLock(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", probe, str(tmp_path)]
    root = Path(__file__).parents[2]
    lock = FolderLock(tmp_path)
    held = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    lock.release()
    freed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert "in use by another process" in held.stderr
    assert freed.returncode == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=f"FACE_DATA_DIR={tmp_path}/file/data"):
        FolderLock(tmp_path / "file" / "data")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_key(host):
    check_binding(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com"])
def test_another_address_is_refused_without_a_key_unless_on_purpose(host):
    with pytest.raises(SettingsError, match="FACE_AUTH=off"):
        check_binding(Settings(host=host))
    check_binding(Settings(host=host, auth="off"))
