"""Photographs that ship inside installed packages, for the demo and the doctor.

The astronaut is a NASA portrait in the public domain (scikit-image); the group of six and the
close-up are insightface's samples. The packages are not imported for them.
"""

from importlib.util import find_spec
from pathlib import Path

from app.entities import Image
from app.errors import Unavailable
from app.pipeline.decode import ImageLimits, decode_image


def astronaut_file() -> Path:
    return _inside("skimage", "data/astronaut.png")


def astronaut() -> Image:
    """One person, 512 x 512."""
    return _read(astronaut_file())


def group() -> Image:
    """Six people side by side, 886 x 1280."""
    return _read(_inside("insightface", "data/images/t1.jpg"))


def close_up() -> Image:
    """One more person, a tight crop of 112 x 112."""
    return _read(_inside("insightface", "data/images/Tom_Hanks_54745.png"))


def _read(file: Path) -> Image:
    return decode_image(file.read_bytes(), ImageLimits())


def _inside(package: str, name: str) -> Path:
    spec = find_spec(package)
    file = Path(spec.origin or "").parent / name if spec else None
    if file is None or not file.is_file():
        raise Unavailable(f"{package}/{name} is not installed: pip install {package}")
    return file
