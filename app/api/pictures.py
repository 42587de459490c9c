"""Pictures of a request -> per picture its faces or its fault, without losing the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from pydantic import BaseModel

from app import metrics
from app.api.deps import Services
from app.api.requests import Picture
from app.api.schemas import Fault, PictureResult
from app.entities import Face
from app.errors import BadRequest, ImageError, ImageTooLarge, NoFace
from app.pipeline.decode import Photo, decode_photo

FaceT = TypeVar("FaceT", bound=BaseModel)
Outcome = list[Face] | ImageError
MIB = 1024 * 1024


def decode(services: Services, picture: Picture) -> Photo:
    """As large as the detector needs it. Raises an ImageError that knows which picture it is."""
    limits = services.image_limits
    try:
        if len(picture.data) > limits.max_bytes:  # what came after the limit was not kept
            raise ImageTooLarge(f"the picture is more than {limits.max_bytes / MIB:g} MiB")
        with metrics.stage("decode"):
            return decode_photo(picture.data, limits, services.analyzer.side)
    except ImageError as error:
        raise located(error, picture) from error.__cause__


def located(error: ImageError, picture: Picture) -> ImageError:
    error.index, error.filename = picture.index, picture.filename
    metrics.PICTURES_REFUSED.labels(error.code).inc()
    return error


def require(pictures: Sequence[Picture]) -> None:
    if not pictures:
        raise BadRequest("image: the request has no picture")


def faces_of(
    services: Services,
    pictures: Sequence[Picture],
    find: Callable[[list[Photo]], list[list[Face]]],
    *,
    operation: str,
    need_face: bool = False,
) -> list[Outcome]:
    """Raises the first picture's fault when no picture was good."""
    require(pictures)
    outcomes: list[Outcome] = []
    most = services.settings.max_image_pixels
    for group in in_groups(_decoded(services, pictures), most):
        photos = [entry for entry in group if not isinstance(entry, ImageError)]
        found = iter(find(photos) if photos else [])
        outcomes += [entry if isinstance(entry, ImageError) else next(found) for entry in group]
    if need_face:
        outcomes = [_need(outcome, pictures[i]) for i, outcome in enumerate(outcomes)]
    faults = [outcome for outcome in outcomes if isinstance(outcome, ImageError)]
    if len(faults) == len(outcomes):
        raise faults[0]
    count = sum(len(outcome) for outcome in outcomes if not isinstance(outcome, ImageError))
    metrics.FACES_FOUND.labels(operation).inc(count)
    return outcomes


def results(
    kind: type[PictureResult[FaceT]],
    pictures: Sequence[Picture],
    outcomes: Sequence[Outcome],
    show: Callable[[Face], FaceT],
) -> list[PictureResult[FaceT]]:
    """One entry for each picture, in the order of the request."""
    shown = []
    for picture, outcome in zip(pictures, outcomes, strict=True):
        index, filename = picture.index, picture.filename
        if isinstance(outcome, ImageError):
            error = Fault(code=outcome.code, detail=str(outcome))
            shown.append(kind(index=index, filename=filename, error=error))
        else:
            faces = [show(face) for face in outcome]
            shown.append(kind(index=index, filename=filename, faces=faces))
    return shown


def _need(outcome: Outcome, picture: Picture) -> Outcome:
    if outcome == []:
        return located(NoFace("no face was found in the picture"), picture)
    return outcome


def _decoded(services: Services, pictures: Sequence[Picture]) -> Iterator[Photo | ImageError]:
    for picture in pictures:
        try:
            yield decode(services, picture)
        except ImageError as error:
            yield error


def in_groups(
    photos: Iterable[Photo | ImageError], most: int
) -> Iterator[list[Photo | ImageError]]:
    """In groups of about `most` pixels, as many as one picture may have: 32 of the largest would be
    4 GB. The pictures of a group go through the networks together.

    Counted are the pixels that are held, and those of the largest picture that may yet have to be
    decoded whole, one at a time.
    """
    group: list[Photo | ImageError] = []
    held = largest = 0
    for photo in photos:
        group.append(photo)
        if isinstance(photo, ImageError):
            continue
        held += photo.image.shape[0] * photo.image.shape[1]
        if photo.factor > 1:
            largest = max(largest, photo.width * photo.height)
        if held + largest >= most:
            yield group
            group, held, largest = [], 0, 0
    if group:
        yield group
