"""YuNet through OpenCV's FaceDetectorYN.

Paper: W. Wu et al., YuNet: A Tiny Millisecond-level Face Detector, 2023. The file is the user's:
`face_detection_yunet_*.onnx` of github.com/opencv/opencv_zoo (MIT), or an export of
github.com/ShiqiYu/libfacedetection.train.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from app.detectors.geometry import fit
from app.detectors.scales import Found, find_at_two_scales
from app.entities import Face, Image
from app.errors import SettingsError, Unavailable

MULTIPLE = 32  # the input's sides
_OVERLAP = 0.3
_MOST = 1000  # candidates of one picture that go into the thinning


class YuNetDetector:
    """Thread-safe by a lock: OpenCV's detector keeps the size and the network's state inside."""

    name = "yunet"

    def __init__(self, file: Path | None, *, min_score: float = 0.3, max_side: int = 1024) -> None:
        if file is None:
            raise SettingsError(
                "FACE_DETECTOR=yunet needs FACE_DETECTOR_FILE, the path of"
                " face_detection_yunet_2023mar.onnx from github.com/opencv/opencv_zoo"
            )
        if not file.is_file():
            raise SettingsError(f"FACE_DETECTOR_FILE={file} does not exist")
        self.side = max_side
        self._lock = threading.Lock()
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(file), "", (320, 320), min_score, _OVERLAP, _MOST
            )
            self._raw(np.zeros((64, 64, 3), np.uint8))
        except (cv2.error, Unavailable) as exc:
            raise SettingsError(f"FACE_DETECTOR_FILE={file} is not a YuNet model") from exc

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        return [find_at_two_scales(self._find, image, self.side) for image in images]

    def close(self) -> None:
        """Nothing to do: the network goes with the detector."""

    def _find(self, image: Image, max_side: int) -> Found:
        fitted, step_x, step_y = fit(image, max_side, MULTIPLE)
        # A row is x, y, width, height, five points as the viewer sees them, score.
        rows = self._raw(np.ascontiguousarray(fitted[:, :, ::-1]))
        rows[:, :14] *= np.tile(np.array([step_x, step_y], np.float32), 7)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Found(boxes, rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14])

    def _raw(self, bgr: Image) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """A BGR picture with sides of the right multiple -> (N, 15)."""
        with self._lock:
            try:
                self._network.setInputSize((bgr.shape[1], bgr.shape[0]))
                _, rows = self._network.detect(bgr)
            except cv2.error as exc:
                raise Unavailable("the face detector failed on this picture") from exc
        return np.zeros((0, 15), np.float32) if rows is None else np.array(rows, np.float32)
