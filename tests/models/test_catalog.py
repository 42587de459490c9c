from dataclasses import FrozenInstanceError, replace

import pytest

from models.catalog import CARDS, card
from models.weights import FOLDER, sha256_of


def test_cards_are_found_by_their_name():
    embedder = card("scsc_faceresnet")
    assert (embedder.task, embedder.dim, embedder.input_size) == ("embedder", 256, 112)
    assert (embedder.colour, embedder.mean, embedder.std) == ("RGB", 127.5, 127.5)
    assert card("centerface").task == "detector"


def test_an_unknown_name_names_the_known_ones():
    with pytest.raises(LookupError, match=r"'arcface'.*centerface, scsc_faceresnet"):
        card("arcface")


def test_a_card_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        card("centerface").std = 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "GBR"}, "colour"),
        ({"task": "gender"}, "task"),
        ({"std": 0.0}, "std"),
        ({"dim": 0}, "dim"),
        ({"task": "detector"}, "dim"),
        ({"sha256": "abc"}, "sha256"),
        ({"checkpoint_sha256": "X" * 64}, "sha256"),
    ],
)
def test_a_wrong_card_is_refused_when_made(change, message):
    with pytest.raises(ValueError, match=message):
        replace(card("scsc_faceresnet"), **change)


@pytest.mark.parametrize("known", CARDS.values(), ids=lambda known: known.name)
def test_committed_files_are_those_of_their_cards(known):
    for file, digest in (
        (known.file, known.sha256),
        (known.checkpoint, known.checkpoint_sha256),
    ):
        if file and (FOLDER / file).is_file():
            assert sha256_of(FOLDER / file) == digest
