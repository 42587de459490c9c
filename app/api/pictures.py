"""Pictures of a request -> per picture its faces or its fault, without losing the others."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from pydantic import BaseModel

from app import metrics
from app.api.requests import Picture
from app.api.schemas import Fault, PictureResult
from app.entities import Face, Image
from app.errors import BadRequest, ImageError, ImageTooLarge, NoFace
from app.pipeline.decode import ImageLimits, decode_image

FaceT = TypeVar("FaceT", bound=BaseModel)
Outcome = list[Face] | ImageError
MIB = 1024 * 1024


def decode(picture: Picture, limits: ImageLimits) -> Image:
    """Raises an ImageError that knows which picture it speaks of."""
    try:
        if len(picture.data) > limits.max_bytes:  # what came after the limit was not kept
            raise ImageTooLarge(f"the picture is more than {limits.max_bytes / MIB:g} MiB")
        with metrics.stage("decode"):
            return decode_image(picture.data, limits)
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
    pictures: Sequence[Picture],
    limits: ImageLimits,
    find: Callable[[list[Image]], list[list[Face]]],
    *,
    operation: str,
    need_face: bool = False,
) -> list[Outcome]:
    """Raises the first picture's fault when no picture was good."""
    require(pictures)
    outcomes: list[Outcome] = []
    for group in _decoded(pictures, limits):
        images = [entry for entry in group if not isinstance(entry, ImageError)]
        found = iter(find(images) if images else [])
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


def _decoded(
    pictures: Sequence[Picture], limits: ImageLimits
) -> Iterator[list[Image | ImageError]]:
    """In groups of about as many pixels as one picture may have: 32 of the largest would be 4 GB.

    The pictures of a group go through the networks together.
    """
    group: list[Image | ImageError] = []
    pixels = 0
    for picture in pictures:
        try:
            image = decode(picture, limits)
        except ImageError as error:
            group.append(error)
            continue
        group.append(image)
        pixels += image.shape[0] * image.shape[1]
        if pixels >= limits.max_pixels:
            yield group
            group, pixels = [], 0
    if group:
        yield group
