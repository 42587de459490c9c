"""The things the service speaks of. Frozen; arrays in them are not to be written to.

Units: boxes and landmarks are pixels of the turned picture, x to the right, y down. A `score` of a
face is 0..1, a `score` of a match is a cosine, -1..1. An embedding is (D,) float32 of unit length.
Times are UTC, aware.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # (H, W, 3) RGB; a crop is (112, 112, 3)
Floats = npt.NDArray[np.float32]

DEFAULT_COLLECTION = "default"

# Each may do what the one before it may: recognise and list; enrol, change and delete people; all.
Role = Literal["read", "write", "admin"]


@dataclass(frozen=True, eq=False)
class Quality:
    """What a face is worth for recognition: `score` 0..1, the least of its parts."""

    score: float
    size: float  # pixels, shorter side of the box
    sharpness: float  # variance of the crop's Laplacian
    brightness: float  # mean of the crop's luma, 0..255
    frontal: float  # 1 looks at the camera, 0 is a profile, from the landmarks


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face. `crop`, `quality` and `embedding` are None until their stage ran."""

    box: Floats  # (4,) x1, y1, x2, y2
    landmarks: Floats  # (5, 2) left eye, right eye, nose, left and right mouth corner, as seen
    score: float
    crop: Image | None = None
    quality: Quality | None = None
    embedding: Floats | None = None


@dataclass(frozen=True)
class Contract:
    """What makes embeddings comparable. `id` is a hash of model file, preprocessing and dim."""

    id: str
    model: str
    dim: int


@dataclass(frozen=True)
class Collection:
    name: str
    contract: str  # Contract.id of every vector in it
    dim: int
    created_at: datetime
    threshold: float | None = None  # None: the model card's
    keep_crops: bool = False
    description: str = ""
    people: int = 0
    faces: int = 0
    retention_days: int | None = None  # None: the setting's; 0: for ever


@dataclass(frozen=True)
class Person:
    id: str  # chosen by the caller, unique in its collection
    collection: str
    name: str
    created_at: datetime
    updated_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    faces: int = 0


@dataclass(frozen=True)
class StoredFace:
    id: int  # unique in the store, never used twice
    person: str
    collection: str
    created_at: datetime
    quality: float | None  # None when it was enrolled as a bare vector
    has_crop: bool = False


@dataclass(frozen=True, eq=False)
class NewFace:
    """A face on its way into the store."""

    embedding: Floats
    quality: float | None = None
    crop: Image | None = None  # stored only where the collection keeps crops


@dataclass(frozen=True)
class Match:
    """A ranked person: the best of its faces against one probe."""

    person: str
    name: str
    face: int
    score: float


@dataclass(frozen=True)
class Identification:
    """The answer for one probe. `margin` is the first score minus the second person's."""

    decision: Literal["match", "unknown"]
    threshold: float
    matches: tuple[Match, ...]
    margin: float | None = None


@dataclass(frozen=True)
class Verification:
    score: float
    threshold: float
    same: bool
    face: int | None = None  # the person's best face, when a person was asked


@dataclass(frozen=True)
class ApiKey:
    """A caller's key, without its secret."""

    id: str
    name: str
    role: Role
    created_at: datetime
    rate: str | None = None  # requests, e.g. 100/minute; None: the setting's
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class AuditLine:
    """One line of the audit log: no picture, no vector, no name."""

    seq: int  # 1, 2, 3: without a gap
    at: datetime
    actor: str  # see app/actor.py
    action: str
    collection: str | None
    people: tuple[str, ...]  # ids: those who were changed or recognised
    shown: tuple[str, ...]  # ids: those who were ranked and not recognised
