import pytest

from app.errors import BadRequest
from app.names import checked_description, checked_id, checked_metadata, checked_name


@pytest.mark.parametrize(
    "text", ["ann", "Ann Lee", "a.b_c-d@e", "7", "Zoë", "あきら", "हिन्दी", "Иван", "x" * 128, "-"]
)
def test_ids_may_be_of_any_script(text: str):
    assert checked_id(text, "an id") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 129,
        "a/b",
        "..",
        ".hidden",
        "a\nb",
        "a\0b",
        " a",
        "a ",
        "a\\b",
        "a:b",
        "🎬",
        "\ud800",
    ],
)
def test_ids_that_are_refused(text: str):
    with pytest.raises(BadRequest, match="an id"):
        checked_id(text, "an id")


def test_the_length_is_that_of_the_composed_form():
    assert checked_id("e\u0301" * 128, "an id") == "\u00e9" * 128


def test_names_are_one_line_of_anything():
    assert checked_name("  O'Neil / 🎬 ") == "O'Neil / 🎬"
    for text in ("", "   ", "a\nb", "a\u2028b", "\ud800", "x" * 201):
        with pytest.raises(BadRequest, match="name"):
            checked_name(text)


def test_descriptions_may_have_lines():
    assert checked_description("one\ntwo") == "one\ntwo"
    for text in ("x" * 2001, "\0", "\udfff"):
        with pytest.raises(BadRequest, match="description"):
            checked_description(text)


def test_metadata_has_its_limits():
    assert checked_metadata({"a": "", "b": "two\nlines"}) == {"a": "", "b": "two\nlines"}
    too_many = {str(number): "" for number in range(65)}
    for metadata in (too_many, {"": "x"}, {"k" * 129: ""}, {"k": "v" * 4097}, {"k": "\ud800"}):
        with pytest.raises(BadRequest, match="metadata"):
            checked_metadata(metadata)
