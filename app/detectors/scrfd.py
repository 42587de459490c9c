"""SCRFD through the insightface library: the detectors of InsightFace's model packs.

Paper: J. Guo et al., Sample and Computation Redistribution for Efficient Face Detection, arXiv
2105.04714. The packs are for non-commercial research only, so none comes with the service: the
library downloads the one that is asked for, or a single file of one is given.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.detectors.geometry import fit, to_faces
from app.entities import Face, Image
from app.errors import SettingsError, Unavailable
from app.sessions import SharedSession

_NAMES = ("det_*.onnx", "scrfd_*.onnx")  # what the packs call their detectors


class ScrfdDetector:
    """Thread-safe: the session is, and the library keeps only a table of anchors beside it."""

    name = "scrfd"

    def __init__(
        self, file: Path, *, threads: int = 0, min_score: float = 0.3, side: int = 640
    ) -> None:
        """Each picture is fitted into a square input of `side` pixels, whatever its size."""
        if not file.is_file():
            raise SettingsError(f"FACE_DETECTOR_FILE={file} does not exist")
        scrfd = _library().model_zoo.SCRFD
        session = SharedSession(file, threads=threads)
        if len(session.get_outputs()) not in (9, 15):
            raise SettingsError(f"{file} is not an SCRFD detector with landmarks")
        # One dynamic session: the library would open one more for each input size otherwise, with
        # as many threads as it likes.
        self._network = scrfd(model_file=str(file), session=session, static_shape_sessions=False)
        # The small pass is for faces that fill the picture, which the large one misses.
        self._network.prepare(0, det_thresh=min_score, input_size=[(128, 128), (side, side)])
        self.side = min(self._network.input_size)  # some files have one of their own

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        return [self._detect(image) for image in images]

    def close(self) -> None:
        """Nothing to do: the session goes with the detector."""

    def _detect(self, image: Image) -> list[Face]:
        # Fitted here, as the library would enlarge small pictures and fail on thin strips.
        fitted, step_x, step_y = fit(image, self.side, self.side)
        try:
            # BGR in; rows of x1, y1, x2, y2, score, and five points as the viewer sees them.
            rows, landmarks = self._network.detect(np.ascontiguousarray(fitted[:, :, ::-1]))
        except Exception as exc:  # the library and the engine share no base class
            raise Unavailable("the face detector failed on this picture") from exc
        step = np.array([step_x, step_y], np.float32)
        return to_faces(rows[:, :4] * np.tile(step, 2), landmarks * step, rows[:, 4], image)


def pack_file(pack: str, root: Path) -> Path:
    """The detector's file of an InsightFace pack, e.g. buffalo_l, kept in `root`/models/`pack`.

    The library downloads the pack when that folder is absent.
    """
    folder = root / "models" / pack
    if not pack or Path(pack).name != pack or pack.startswith("."):
        raise SettingsError(f"FACE_DETECTOR=insightface:{pack} does not name a pack")
    try:
        _library().utils.ensure_available("models", pack, root=str(root))
    except (OSError, RuntimeError, zipfile.BadZipFile) as exc:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()  # the library would take the empty folder for the pack next time
        raise SettingsError(
            f"the InsightFace pack {pack} could not be downloaded; unpack it into {folder}, or set"
            " FACE_DETECTOR_FILE to an SCRFD file"
        ) from exc
    # Some packs have their files in one more folder of the same name.
    found = sorted(path for name in _NAMES for path in folder.rglob(name))
    if not found:
        raise SettingsError(f"{folder} has no detector; delete the folder to download it again")
    return found[0]


def _library() -> Any:
    try:
        import insightface  # late: it loads scikit-image and more, about a second
    except ImportError as exc:
        raise SettingsError(
            "FACE_DETECTOR=insightface:PACK needs the insightface library (pip install insightface)"
        ) from exc
    return insightface
