import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pil

from tests.app.api import photos


def post(http, path, *pictures, headers=None, **options):
    files = [("image", (f"{i}.png", picture)) for i, picture in enumerate(pictures)]
    return http.post(path, files=files, data=options, headers=headers)


def faces(answer, index=0):
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][index]["faces"]


def test_detect_tells_where_and_how_good(http):
    (face,) = faces(post(http, "/detect", photos.one_face()))
    x1, y1, x2, y2 = face["box"]
    assert 0 < x1 < x2 < 300
    assert 0 < y1 < y2 < 280
    assert 0.5 < face["score"] <= 1
    landmarks = np.array(face["landmarks"])
    assert landmarks.shape == (5, 2)
    assert landmarks[0, 0] < landmarks[1, 0]  # left as the viewer sees it
    assert set(face["quality"]) == {"score", "size", "sharpness", "brightness", "frontal"}


def test_a_large_jpeg_is_answered_in_its_own_pixels(http):
    (small,) = faces(post(http, "/detect", photos.one_face()))
    large = photos.astronaut().resize((2400, 2240), Pil.Resampling.BICUBIC)
    (face,) = faces(post(http, "/detect", photos.encoded(large, "JPEG", quality=80)))
    assert np.allclose(np.array(face["box"]) / 8, small["box"], atol=6)
    assert np.allclose(np.array(face["landmarks"]) / 8, small["landmarks"], atol=6)
    assert face["quality"]["size"] == pytest.approx(8 * small["quality"]["size"], rel=0.1)


def test_detect_finds_all_and_obeys_its_options(http):
    found = faces(post(http, "/detect", photos.six_faces()))
    assert len(found) == 6
    assert len(faces(post(http, "/detect", photos.six_faces(), max_faces="2"))) == 2
    best = str(found[0]["score"])
    assert len(faces(post(http, "/detect?min_score=" + best, photos.six_faces()))) < 6


def test_form_json_and_data_url_give_the_same(http):
    text = base64.b64encode(photos.one_face()).decode()
    form = faces(post(http, "/detect", photos.one_face()))
    wrapped = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    for body in (
        {"image": text},
        {"images": [text]},
        {"image": f"data:image/png;base64,{text}"},
        {"image": wrapped},
    ):
        assert faces(http.post("/detect", json=body)) == form


def test_several_pictures_keep_their_order_and_their_faults(http):
    pictures = (photos.one_face(), b"no picture", photos.no_face(), photos.six_faces())
    results = post(http, "/detect", *pictures).json()["results"]
    assert [(each["index"], each["filename"]) for each in results] == [
        (i, f"{i}.png") for i in range(4)
    ]
    assert [len(each.get("faces", [])) for each in results] == [1, 0, 0, 6]
    assert results[1]["error"]["code"] == "unsupported_image"
    assert "faces" not in results[1]
    assert "error" not in results[2]


def test_fields_may_be_called_images(http):
    files = [("images", photos.one_face()), ("image", photos.no_face())]
    results = http.post("/detect", files=files).json()["results"]
    assert [len(each["faces"]) for each in results] == [1, 0]


@pytest.mark.parametrize("path", ["/align", "/embed"])
def test_without_a_face_there_is_nothing_to_align_or_embed(http, path):
    results = post(http, path, photos.one_face(), photos.no_face()).json()["results"]
    assert results[1]["error"]["code"] == "no_face"
    assert post(http, path, photos.no_face()).json()["code"] == "no_face"


def test_align_gives_crops(http):
    (face,) = faces(post(http, "/align", photos.one_face()))
    crop = Pil.open(BytesIO(base64.b64decode(face["crop"])))
    assert (crop.size, crop.mode, crop.format) == ((112, 112), "RGB", "PNG")


def test_align_gives_one_png_when_asked(http):
    png = {"accept": "image/png"}
    answer = post(http, "/align", photos.one_face(), headers=png)
    assert answer.headers["content-type"] == "image/png"
    assert Pil.open(BytesIO(answer.content)).size == (112, 112)
    assert post(http, "/align", photos.six_faces(), headers=png).json()["code"] == "several_faces"


def test_embed_has_two_encodings_of_one_unit_vector(http):
    plain = post(http, "/embed", photos.one_face())
    packed = post(http, "/embed", photos.one_face(), encoding="base64")
    (face,), (same,) = faces(plain), faces(packed)
    embedding = np.array(face["embedding"], np.float32)
    assert embedding.shape == (plain.json()["dim"],) == (256,)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    unpacked = np.frombuffer(base64.b64decode(same["embedding"]), "<f4")
    np.testing.assert_array_equal(unpacked, embedding)


def test_embed_takes_the_largest_face_when_asked(http):
    every = faces(post(http, "/embed", photos.six_faces()))
    (largest,) = faces(post(http, "/embed", photos.six_faces(), faces="largest"))
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (face["box"] for face in every)]
    assert largest["box"] == every[areas.index(max(areas))]["box"]


def test_an_aligned_crop_is_embedded_as_it_is(http):
    (face,) = faces(post(http, "/align", photos.one_face()))
    crop = base64.b64decode(face["crop"])
    (again,) = faces(post(http, "/embed", crop, aligned="true"))
    (direct,) = faces(post(http, "/embed", photos.one_face()))
    assert again["box"] == [0, 0, 112, 112]
    np.testing.assert_allclose(again["embedding"], direct["embedding"], atol=1e-5)
