"""The released network gives the numbers it was released with."""

import json

import numpy as np

from models import catalog, embedder, weights
from models.evaluate.embedders import onnx_embedder
from tests.models import golden

WITHIN = 2e-3  # engines and CPUs sum in different orders
STORED = json.loads(golden.FILE.read_text())


def test_the_golden_numbers_are_of_the_released_file():
    released = catalog.card("scsc_faceresnet").sha256
    assert STORED["sha256"] == released, "new weights: python -m tests.models.golden"


def test_the_released_network_gives_its_golden_embeddings():
    stored = np.array(STORED["embeddings"])
    assert stored.shape == (3, catalog.card("scsc_faceresnet").dim)
    assert np.abs(golden.embeddings() - stored).max() < WITHIN


def test_they_would_notice_swapped_colours():
    embed = onnx_embedder(weights.find(catalog.card("scsc_faceresnet"))).embed
    swapped = embed(golden.crops()[:, :, :, ::-1])
    assert np.abs(swapped - np.array(STORED["embeddings"]))[0].max() > 10 * WITHIN


def test_the_released_network_is_the_form_that_costs_are_told_of():
    released = embedder.load(weights.FOLDER / catalog.card("scsc_faceresnet").checkpoint)
    assert released.config == embedder.config("scsc_faceresnet")
