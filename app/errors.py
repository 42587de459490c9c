"""What can go wrong, without a word about HTTP; `api/handlers.py` gives each its status.

FaceError
├── BadRequest           bad_request        an argument is not of its form
├── ImageError                              about one picture: has `index` and `filename`
│   ├── ImageTooLarge    image_too_large    more bytes or pixels than the limit
│   ├── UnsupportedImage unsupported_image  not a picture, or of a kind that is not read
│   ├── CorruptImage     corrupt_image      begins as a picture and cannot be decoded
│   ├── NoFace           no_face
│   ├── SeveralFaces     several_faces      one was wanted
│   └── LowQuality       low_quality        too small, blurred, dark, or turned away to enrol
├── NothingAccepted      (the refusals')    an enrolment of which no picture was accepted
├── NotFound             not_found
├── Conflict             conflict           it exists already
├── ContractMismatch     contract_mismatch  vectors of two models may not meet
├── Busy                 busy               a queue is full; try again
├── Unavailable          unavailable        a part is not ready or broken
└── SettingsError        settings           the service cannot start so; the text says how
"""

from typing import ClassVar


class FaceError(Exception):
    """Base of all. `str(error)` is one sentence for the caller: no path, no stack, no secret."""

    code: ClassVar[str]


class BadRequest(FaceError):
    code = "bad_request"


class ImageError(FaceError):
    """A fault of one picture; `index` and `filename` are set where the request is known."""

    index: int | None = None
    filename: str | None = None


class ImageTooLarge(ImageError):
    code = "image_too_large"


class UnsupportedImage(ImageError):
    code = "unsupported_image"


class CorruptImage(ImageError):
    code = "corrupt_image"


class NoFace(ImageError):
    code = "no_face"


class SeveralFaces(ImageError):
    code = "several_faces"


class LowQuality(ImageError):
    code = "low_quality"


class NothingAccepted(FaceError):
    """No picture of an enrolment was accepted. Its code is the refusals' own when they agree."""

    code = "low_quality"

    def __init__(self, refusals: list[ImageError]) -> None:
        super().__init__("no picture was accepted; nothing was stored")
        self.refusals = refusals


class NotFound(FaceError):
    code = "not_found"


class Conflict(FaceError):
    code = "conflict"


class ContractMismatch(FaceError):
    code = "contract_mismatch"


class Busy(FaceError):
    code = "busy"


class Unavailable(FaceError):
    code = "unavailable"


class SettingsError(FaceError):
    code = "settings"
