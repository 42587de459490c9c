"""The options of each operation, checked alike as form fields, JSON keys or query parameters."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.entities import DEFAULT_COLLECTION

MAX_EMBEDDINGS = 1000


def _parsed(value: Any) -> Any:
    """A form field can carry a list or an object only as JSON text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise ValueError("the text is not JSON") from exc
    return value


def _no_truth(value: Any) -> Any:
    """JSON's true and false would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


Number = BeforeValidator(_no_truth)
# Limits and lengths are of the inner type, here and below: a null has none to check.
Cosine = Annotated[float, Number, Field(ge=-1, le=1)]
Threshold = Annotated[
    Cosine | None,
    Field(description="least cosine of a match; else the collection's, else the card's"),
]
CollectionName = Annotated[str, Field(examples=[DEFAULT_COLLECTION])]
Metadata = Annotated[
    Annotated[dict[str, str], Field(max_length=64)] | None,
    BeforeValidator(_parsed),
    Field(description="your own facts, text to text; in a form as JSON text"),
]
Embeddings = Annotated[
    Annotated[list[list[float] | str], Field(min_length=1, max_length=MAX_EMBEDDINGS)] | None,
    BeforeValidator(_parsed),
    Field(description="in place of pictures: lists of numbers, or base64 of little-endian float32"),
]
EmbeddingsContract = Annotated[
    str | None,
    Field(description="that the given embeddings are of, as /embed says; else that of FACE_MODEL"),
]
EnrolFaces = Annotated[
    Literal["one", "largest"],
    Field(description="one refuses a picture of several faces; largest takes the largest of them"),
]
PictureFaces = Annotated[Literal["all", "largest"], Field(description="which faces of a picture")]


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DetectOptions(Options):
    min_score: Annotated[
        Annotated[float, Number, Field(ge=0, le=1)] | None,
        Field(description="least score of a face; else the setting's"),
    ] = None
    max_faces: Annotated[
        Annotated[int, Number, Field(ge=1)] | None,
        Field(description="best faces of each picture; else all"),
    ] = None


class AlignOptions(Options):
    pass


class EmbedOptions(Options):
    faces: PictureFaces = "all"
    encoding: Annotated[
        Literal["float", "base64"], Field(description="base64 of little-endian float32")
    ] = "float"
    aligned: Annotated[
        bool, Field(description="each picture already is an aligned crop of one face")
    ] = False
    collection: Annotated[
        str | None,
        Field(description="embed with the model that this collection goes by; else FACE_MODEL"),
    ] = None


class VerifyOptions(Options):
    person: Annotated[
        str | None, Field(description="compare one picture with this person, not two pictures")
    ] = None
    collection: CollectionName = DEFAULT_COLLECTION
    threshold: Threshold = None


class IdentifyOptions(Options):
    collection: CollectionName = DEFAULT_COLLECTION
    top_k: Annotated[
        int, Number, Field(ge=1, le=100, description="ranked people for each face")
    ] = 5
    threshold: Threshold = None
    faces: PictureFaces = "all"
    embeddings: Embeddings = None
    contract: EmbeddingsContract = None


class EnrolOptions(Options):
    person: Annotated[str, Field(description="your id of the person", examples=["ada"])]
    name: Annotated[str | None, Field(description="to show; else the id")] = None
    collection: CollectionName = DEFAULT_COLLECTION
    faces: EnrolFaces = "one"
    metadata: Metadata = None


class PersonOptions(Options):
    id: Annotated[str, Field(description="your id of the person", examples=["ada"])]
    name: Annotated[str | None, Field(description="to show; else the id")] = None
    faces: EnrolFaces = "one"
    metadata: Metadata = None


class FacesOptions(Options):
    faces: EnrolFaces = "one"
    embeddings: Embeddings = None
    contract: EmbeddingsContract = None
