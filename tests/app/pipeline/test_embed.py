from dataclasses import replace

import numpy as np
import pytest

from app.entities import Floats
from app.errors import SettingsError, Unavailable
from app.pipeline.embed import Embedder, contract_of, normalised, preprocess
from models.low_light import enhanced
from tests.doubles import PixelRuntime, embedder_card, picture

SHA = "a" * 64


def test_preprocessing_is_the_cards():
    crop = np.zeros((1, 112, 112, 3), np.uint8)
    crop[..., 0] = 255  # red
    planes = preprocess(crop, embedder_card())
    assert planes.shape == (1, 3, 112, 112)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    assert planes[0, :, 0, 0].tolist() == [1, -1, -1]
    assert preprocess(crop, embedder_card(colour="BGR"))[0, :, 0, 0].tolist() == [-1, -1, 1]


def test_embeddings_have_unit_length_and_tell_pictures_apart():
    embedder = Embedder(PixelRuntime(), embedder_card(), SHA)
    crops = np.stack([picture(112, 112, seed) for seed in (1, 2, 1)])
    vectors = embedder.embed(crops)
    assert vectors.shape == (3, 8)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[1])


def test_the_contract_changes_with_file_and_preprocessing_and_with_nothing_else():
    card = embedder_card()
    contract = contract_of(card, SHA)
    # Another id would part every gallery from its vectors.
    assert contract.id == "7d1b2dd90da2b149"
    assert (contract.model, contract.dim) == ("double", 8)
    assert contract_of(replace(card, licence="MIT", threshold=0.1), SHA) == contract
    others = [
        contract_of(card, "b" * 64),
        contract_of(replace(card, colour="BGR"), SHA),
        contract_of(replace(card, mean=0.0), SHA),
        contract_of(replace(card, std=128.0), SHA),
        contract_of(replace(card, dim=16), SHA),
    ]
    assert len({contract.id, *(other.id for other in others)}) == 6


def test_a_network_of_another_dimension_is_refused_at_the_start():
    with pytest.raises(SettingsError, match=r"gives \(16,\), its card says \(8,\)"):
        Embedder(PixelRuntime(16), embedder_card(8), SHA)


def test_a_network_for_one_crop_only_is_refused_at_the_start():
    class Single(PixelRuntime):
        def run(self, batch: Floats) -> Floats:
            if len(batch) != 1:
                raise Unavailable("one at a time")
            return super().run(batch)

    with pytest.raises(SettingsError, match="any N"):
        Embedder(Single(), embedder_card(), SHA)


def test_a_network_that_cannot_take_the_input_is_refused_at_the_start():
    class Failing(PixelRuntime):
        def run(self, batch: Floats) -> Floats:
            raise Unavailable("no")

    with pytest.raises(SettingsError, match=r"\(N, 3, 112, 112\) for any N"):
        Embedder(Failing(), embedder_card(), SHA)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_direction_never_leaves(value):
    with pytest.raises(Unavailable):
        normalised(np.full((2, 4), value, np.float32))


def test_a_dark_crop_is_embedded_enhanced():
    dark = picture(112, 112, 1)[None] // 8
    better = enhanced(dark)
    assert better.mean() > 2 * dark.mean()
    card = embedder_card()
    expected = (better.transpose(0, 3, 1, 2) - np.float32(127.5)) / np.float32(127.5)
    assert np.array_equal(preprocess(dark, card), expected)
