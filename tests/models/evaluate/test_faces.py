import cv2
import numpy as np
import pytest

from models import photos
from models.evaluate import faces
from tests.models.packs import write_pack


def found_all_but(*lost):
    """Stands for the service: a crop of one value per photograph, none for those in `lost`."""

    def photographs(contents):
        crops = np.zeros((len(contents), 112, 112, 3), np.uint8)
        for i, content in enumerate(contents):
            crops[i] = int(content)
        return photos.Crops(crops, np.array([int(content) not in lost for content in contents]))

    return photographs


def folder_of(path, people):
    for person, numbers in people.items():
        (path / person).mkdir(parents=True)
        for number in numbers:
            (path / person / f"{number}.jpg").write_text(str(number))
    return path


def test_a_folder_per_person_is_read_with_its_groups(tmp_path):
    folder = folder_of(tmp_path / "set", {"ada": [1, 2], "bob": [3], "cy": [4]})
    (folder / "people.csv").write_text("person,sex,age\nada,female,36\ncy,,8\n")
    read = faces.read(folder, found_all_but(2))
    assert read.crops[:, 0, 0, 0].tolist() == [1, 3, 4]
    assert read.people.tolist() == [0, 1, 2]
    assert read.not_found == 1
    assert {key: labels.tolist() for key, labels in read.groups.items()} == {
        "sex": ["female", "", ""],
        "age": ["36", "", "8"],
    }


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folders with photographs"):
        faces.read(tmp_path, found_all_but())


def test_a_pack_is_read_with_the_labels_it_has(tmp_path):
    pack = write_pack(tmp_path / "plain.npz", people=2, each=2)
    with np.load(pack) as arrays:
        content = dict(arrays)
    assert faces.read(pack, found_all_but()).groups == {}
    labelled = {
        "sex": np.array([0, 1, -1, 1], np.int8),
        "age": np.array([0, 12, 13, 90], np.int16),
        "source": np.array([0, 5, 5, 5], np.int8),
        "group": np.full(4, -1, np.int8),
    }
    np.savez(pack, **content, **labelled)
    groups = faces.read(pack, found_all_but()).groups
    assert {key: labels.tolist() for key, labels in groups.items()} == {
        "sex": ["male", "female", "", "female"],
        "age": ["0-12", "0-12", "13-19", "65+"],
        "source": ["Pins", "Bollywood", "Bollywood", "Bollywood"],
    }


def test_crops_are_kept_in_a_file_and_reused_for_the_same_photographs(tmp_path):
    kept = tmp_path / "crops.npz"
    np.savez(kept, crops=np.ones((2, 112, 112, 3), np.uint8), found=np.array([True, False]))
    photographs = photos.reader(kept, None)
    assert photographs([b"", b""]).found.tolist() == [True, False]
    with pytest.raises(ValueError, match="2 crops, not 3"):
        photographs([b"", b"", b""])


def test_a_picture_is_encoded_without_loss_for_the_service():
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    sent = np.frombuffer(photos.encoded(crop), np.uint8)
    assert (cv2.imdecode(sent, cv2.IMREAD_COLOR)[:, :, ::-1] == crop).all()
