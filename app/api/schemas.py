"""What the answers look like, and the JSON bodies of collections; one noun, one model.

`from_entity` translates the service's own dataclasses; the client parses with the same models.
"""

from datetime import datetime
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.api.options import Cosine, Number
from app.entities import Collection, Face, Match, Person, Quality, StoredFace, Verification

Box = Annotated[
    tuple[float, float, float, float],
    Field(description="x1, y1, x2, y2 in pixels of the turned picture"),
]
Point = tuple[float, float]


class Schema(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


# Errors


class Problem(Schema):
    """RFC 9457; `code` is stable, `detail` is for people."""

    type: str = Field(examples=["/docs#corrupt_image"])
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    index: int | None = None
    filename: str | None = None
    refused: "list[Refusal] | None" = None


class Fault(Schema):
    code: str
    detail: str


class Refusal(Schema):
    """A picture that was not enrolled, and why."""

    index: int
    filename: str | None = None
    code: str
    detail: str


# Faces of pictures


class QualityOut(Schema):
    """What the face is worth for recognition; `score` 0..1 is the least of its parts."""

    score: float
    size: float = Field(description="pixels, shorter side of the box")
    sharpness: float = Field(description="variance of the crop's Laplacian")
    brightness: float = Field(description="mean luma of the crop, 0..255")
    frontal: float = Field(description="1 looks at the camera, 0 is a profile")

    @classmethod
    def from_entity(cls, quality: Quality) -> Self:
        return cls(
            score=quality.score,
            size=quality.size,
            sharpness=quality.sharpness,
            brightness=quality.brightness,
            frontal=quality.frontal,
        )


class FaceOut(Schema):
    box: Box
    score: float = Field(description="of the detector, 0..1")
    landmarks: list[Point] = Field(
        description="left eye, right eye, nose, left and right mouth corner, as the viewer sees"
    )
    quality: QualityOut | None = None

    @classmethod
    def from_entity(cls, face: Face) -> Self:
        x1, y1, x2, y2 = face.box.tolist()
        return cls(
            box=(x1, y1, x2, y2),
            score=face.score,
            landmarks=[(x, y) for x, y in face.landmarks.tolist()],
            quality=QualityOut.from_entity(face.quality) if face.quality else None,
        )


class AlignedFace(FaceOut):
    crop: str = Field(description="base64 of a 112x112 PNG")


class EmbeddedFace(FaceOut):
    embedding: list[float] | str = Field(
        description="of unit length; a string is base64 of little-endian float32"
    )


FaceT = TypeVar("FaceT", bound=BaseModel)


class PictureResult(Schema, Generic[FaceT]):
    """Of one picture: its faces, or what was wrong with it."""

    index: int
    filename: str | None = None
    faces: list[FaceT] | None = None
    error: Fault | None = None


class PicturesAnswer(Schema, Generic[FaceT]):
    model: str
    results: list[PictureResult[FaceT]]


class EmbedAnswer(PicturesAnswer[EmbeddedFace]):
    contract: str = Field(description="embeddings of one contract are comparable")
    dim: int
    encoding: Literal["float", "base64"]


# Recognition


class MatchOut(Schema):
    person: str
    name: str
    face: int = Field(description="the person's best face")
    score: float = Field(description="cosine, -1..1")

    @classmethod
    def from_entity(cls, match: Match) -> Self:
        return cls(person=match.person, name=match.name, face=match.face, score=match.score)


class IdentifiedFace(Schema):
    """`box`, `landmarks` and `score` are null where an embedding was given, not a picture."""

    box: Box | None = None
    score: float | None = Field(None, description="of the detector, 0..1")
    landmarks: list[Point] | None = None
    quality: QualityOut | None = None
    decision: Literal["match", "unknown"]
    threshold: float
    margin: float | None = Field(None, description="first score minus the second person's")
    matches: list[MatchOut]


class IdentifyAnswer(PicturesAnswer[IdentifiedFace]):
    collection: str


class VerifyAnswer(Schema):
    model: str
    score: float = Field(description="cosine, -1..1")
    threshold: float
    same: bool
    decision: Literal["same", "different"]
    face: int | None = Field(None, description="the person's best face, when a person was asked")

    @classmethod
    def from_entity(cls, verification: Verification, model: str) -> Self:
        return cls(
            model=model,
            score=verification.score,
            threshold=verification.threshold,
            same=verification.same,
            decision="same" if verification.same else "different",
            face=verification.face,
        )


# Collections, people, stored faces


class CollectionOut(Schema):
    name: str
    contract: str
    dim: int
    created_at: datetime
    threshold: float | None = Field(description="null: the model card's")
    keep_crops: bool
    retention_days: int | None = Field(description="null: the setting's; 0: for ever")
    description: str
    people: int
    faces: int

    @classmethod
    def from_entity(cls, collection: Collection) -> Self:
        return cls(
            name=collection.name,
            contract=collection.contract,
            dim=collection.dim,
            created_at=collection.created_at,
            threshold=collection.threshold,
            keep_crops=collection.keep_crops,
            retention_days=collection.retention_days,
            description=collection.description,
            people=collection.people,
            faces=collection.faces,
        )


class Given(Schema):
    """A JSON body of a caller: an unknown key is a misspelling and refused."""

    model_config = ConfigDict(extra="forbid")


Retention = Annotated[
    Annotated[int, Number, Field(ge=0, le=36_500)] | None,
    Field(description="faces older than that are deleted; 0: none, null: the setting's"),
]


class CollectionIn(Given):
    name: str = Field(examples=["staff"])
    threshold: Cosine | None = Field(None, description="null: the model card's")
    keep_crops: bool = Field(False, description="store the 112x112 crop of each enrolled face")
    retention_days: Retention = None
    description: str = ""


class CollectionPatch(Given):
    threshold: Cosine | None = None
    keep_crops: bool | None = None
    retention_days: Retention = None
    description: str | None = None


class CollectionList(Schema):
    items: list[CollectionOut]


class ReembedIn(Given):
    back: bool = Field(False, description="to the model that the collection went by before")
    threshold: Cosine | None = Field(
        None, description="the collection's own, for scores of the new model"
    )


class ContractOut(Schema):
    id: str
    model: str
    dim: int


class ReembedOut(Schema):
    collection: str
    state: Literal["none", "running", "stopped", "moved"]
    held: ContractOut = Field(description="that the collection goes by")
    other: ContractOut | None = Field(description="that it goes to, or came from")
    made: int = Field(description="faces that have a vector of the other model")
    faces: int
    said: str | None = Field(description="what ended the last run, where that was not its end")


class PersonOut(Schema):
    id: str
    collection: str
    name: str
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    faces: int

    @classmethod
    def from_entity(cls, person: Person) -> Self:
        return cls(
            id=person.id,
            collection=person.collection,
            name=person.name,
            metadata=dict(person.metadata),
            created_at=person.created_at,
            updated_at=person.updated_at,
            faces=person.faces,
        )


class PersonPatch(Given):
    name: str | None = None
    metadata: dict[str, str] | None = None


class PeoplePage(Schema):
    items: list[PersonOut]
    next_cursor: str | None = Field(None, description="null: this was the last page")


class StoredFaceOut(Schema):
    id: int
    person: str
    collection: str
    created_at: datetime
    quality: float | None
    has_crop: bool

    @classmethod
    def from_entity(cls, face: StoredFace) -> Self:
        return cls(
            id=face.id,
            person=face.person,
            collection=face.collection,
            created_at=face.created_at,
            quality=face.quality,
            has_crop=face.has_crop,
        )


class StoredFaceList(Schema):
    items: list[StoredFaceOut]


class AcceptedFace(Schema):
    """Which picture (or embedding) of the request became which stored face."""

    index: int
    filename: str | None = None
    face: StoredFaceOut


class EnrolAnswer(Schema):
    person: PersonOut
    created: bool = Field(description="the person is new")
    accepted: list[AcceptedFace]
    refused: list[Refusal]


# The service itself


class Health(Schema):
    status: Literal["ok"]


class FindingOut(Schema):
    part: Literal["store", "vectors", "crops", "journal", "index"]
    ok: bool = Field(description="nothing was wrong, or it was mended")
    faults: int
    mended: bool
    said: str


class FsckAnswer(Schema):
    ok: bool
    findings: list[FindingOut]


class ModelOut(Schema):
    name: str
    task: Literal["detector", "embedder"]
    in_use: bool
    licence: str
    origin: str
    sha256: str
    input_size: int
    dim: int | None
    threshold: float | None


class ModelList(Schema):
    detector: str
    embedder: str
    runtime: str
    contract: str
    items: list[ModelOut]


Problem.model_rebuild()
