import re

import pytest

from models.evaluate import card


def test_a_table_lands_between_its_markers_again_and_again():
    text = "above\n<!-- a -->\nold\n<!-- end a -->\nbetween\n<!-- b -->\n<!-- end b -->\nbelow\n"
    once = card.replaced(text, "a", "| new |")
    assert "old" not in once
    assert card.replaced(once, "a", "| new |") == once
    assert card.replaced(once, "b", "| too |") == (
        "above\n<!-- a -->\n| new |\n<!-- end a -->\nbetween\n<!-- b -->\n| too |\n<!-- end b -->\n"
        "below\n"
    )
    with pytest.raises(ValueError, match="no place for 'c'"):
        card.replaced(text, "c", "")


def test_the_card_has_a_place_for_every_table_and_no_other():
    named = re.findall(r"<!-- end (\w+) -->", card.CARD.read_text())
    assert sorted(named) == sorted(card.PARTS)


def test_curves_named_in_the_card_are_there():
    images = re.findall(r"\]\((\.\./\.\./docs/images/[\w.-]+)\)", card.CARD.read_text())
    assert images
    assert [name for name in images if not (card.CARD.parent / name).exists()] == []
