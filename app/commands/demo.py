"""`face demo`: a service of its own, people enrolled, found again in altered pictures, strangers
told apart. The photographs are those of `samples.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rich.table import Table
from rich.text import Text

from app.api.schemas import FaceOut
from app.client import ClientError, FaceClient
from app.commands import samples
from app.commands.background import running_service
from app.commands.drawing import draw, save
from app.commands.output import print_table, say
from app.commands.remote import RemoteTarget
from app.commands.target import Found, Picture
from app.entities import DEFAULT_COLLECTION, Image
from app.errors import Unavailable

Box = tuple[float, float, float, float]

ASTRONAUT_NAME = "Eileen Collins"
GROUP_SIZE = 6
CUT_MARGIN = 0.6  # of the box's longer side, on every side


@dataclass(frozen=True, eq=False)
class Probe:
    """A face that the service was asked about, and who it is; None is a stranger."""

    shown: str
    expected: str | None
    found: Found | None  # None: the detector missed the face

    @property
    def said(self) -> str | None:
        if self.found is None or self.found.answer.decision == "unknown":
            return None
        return self.found.answer.matches[0].person

    @property
    def right(self) -> bool:
        return self.found is not None and self.said == self.expected


def cut(image: Image, box: Box) -> Image:
    """The face with what is around it, as a photograph of one person would have."""
    x1, y1, x2, y2 = box
    margin = CUT_MARGIN * max(x2 - x1, y2 - y1)
    height, width = image.shape[:2]
    left, right = max(0, round(x1 - margin)), min(width, round(x2 + margin))
    top, bottom = max(0, round(y1 - margin)), min(height, round(y2 + margin))
    return image[top:bottom, left:right]


def framed(image: Image) -> Image:
    """A tight crop on a grey ground, twice as large: detectors want something around a face."""
    border = image.shape[0] // 2
    padded = cv2.copyMakeBorder(
        image, border, border, border, border, cv2.BORDER_CONSTANT, value=(128, 128, 128)
    )
    return np.asarray(cv2.resize(padded, None, fx=2, fy=2), np.uint8)


def altered(image: Image, *, degrees: float = 5.0) -> Image:
    """Mirrored, turned a little, smaller and dimmer: another picture of the same face."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.95)
    turned = cv2.warpAffine(
        np.ascontiguousarray(image[:, ::-1]), turn, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    smaller = cv2.resize(turned, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    return np.asarray(smaller * 0.75, np.uint8)


def jpeg(image: Image, quality: int) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class Demo:
    """Talks to a running service over HTTP only."""

    def __init__(self, client: FaceClient, target: RemoteTarget) -> None:
        self._client = client
        self._target = target
        self._group = samples.group()

    def enroll(self) -> list[str]:
        """Enrols the astronaut and five of the group; returns the six names of the group, from
        left to right, "" for the one who is turned away most and stays a stranger."""
        self._enroll(ASTRONAUT_NAME, samples.astronaut())
        faces = self._faces(self._group)
        if len(faces) != GROUP_SIZE:
            raise Unavailable(f"the detector found {len(faces)} of the group's {GROUP_SIZE} faces")
        stranger = min(faces, key=_frontal)
        names = ["" if f is stranger else f"Guest {n}" for n, f in enumerate(faces, 1)]
        for name, face in zip(names, faces, strict=True):
            if name:
                self._enroll(name, cut(self._group, face.box))
        return names

    def probe(self, names: Sequence[str], drawn: Path) -> list[Probe]:
        """Asks about everyone in altered pictures; the group's is drawn to a file."""
        probes = [
            self._one("the astronaut, altered", ASTRONAUT_NAME, altered(samples.astronaut())),
            self._one("someone never seen", None, altered(framed(samples.close_up()))),
        ]
        for name, face in zip(names, self._faces(self._group), strict=True):
            who = name or "the guest not enrolled"
            picture = altered(cut(self._group, face.box), degrees=-5.0)
            probes.append(self._one(f"{who}, cut out, altered", name or None, picture))
        return probes + self._whole_group(names, drawn)

    def _whole_group(self, names: Sequence[str], drawn: Path) -> list[Probe]:
        picture = altered(self._group, degrees=2.0)
        found = self._identify(picture)
        save(draw(picture, found), drawn)
        expected = list(reversed(names))  # mirrored
        if len(found) != len(expected):
            return [Probe(f"the group: {len(found)} faces of {len(expected)}", None, None)]
        return [
            Probe(f"face {number} of the altered group", name or None, face)
            for number, (name, face) in enumerate(zip(expected, found, strict=True), 1)
        ]

    def _enroll(self, name: str, picture: Image) -> None:
        self._client.enroll(name, [jpeg(picture, 95)], faces="largest")

    def _faces(self, picture: Image) -> list[FaceOut]:
        """From left to right."""
        (result,) = self._client.detect([jpeg(picture, 95)]).results
        return sorted(result.faces or (), key=lambda face: face.box[0])

    def _identify(self, picture: Image) -> list[Found]:
        sent = Picture("probe.jpg", jpeg(picture, 50))
        found = self._target.identify(sent, collection=DEFAULT_COLLECTION, top_k=1, threshold=None)
        return sorted(found, key=lambda face: face.box[0])

    def _one(self, shown: str, expected: str | None, picture: Image) -> Probe:
        found = self._identify(picture)
        return Probe(shown, expected, max(found, key=_size) if found else None)


def _frontal(face: FaceOut) -> float:
    return face.quality.frontal if face.quality else 0.0


def _size(face: Found) -> float:
    x1, y1, x2, y2 = face.box
    return (x2 - x1) * (y2 - y1)


def table(probes: Sequence[Probe]) -> Table:
    grid = Table(header_style="bold", pad_edge=False)
    for column in ("picture", "is", "the service says"):
        grid.add_column(column)
    for column in ("score", "threshold"):
        grid.add_column(column, justify="right")
    grid.add_column("")
    for probe in probes:
        answer = probe.found.answer if probe.found else None
        said = (probe.said or "unknown") if answer else "no face"
        score = f"{answer.matches[0].score:.3f}" if answer and answer.matches else "-"
        grid.add_row(
            probe.shown,
            probe.expected or "a stranger",
            Text(said, "green" if probe.said else "yellow"),
            score,
            f"{answer.threshold:.3f}" if answer else "-",
            Text("right", "green") if probe.right else Text("WRONG", "bold red"),
        )
    return grid


def run(out: Path) -> bool:
    """The command. Whether everyone enrolled was named and no stranger was."""
    drawn = out / "demo.png"
    with TemporaryDirectory(prefix="face-demo-") as folder:
        say("starting a service with an empty data folder")
        with running_service(Path(folder)) as url, FaceClient(url) as client:
            target = RemoteTarget(url, key=None)
            try:
                demo = Demo(client, target)
                names = demo.enroll()
                say(f"enrolled {GROUP_SIZE} people at {url}, one photograph each")
                probes = demo.probe(names, drawn)
            except ClientError as exc:
                raise Unavailable(f"{exc.code}: {exc.detail}") from exc
            finally:
                target.close()
    print_table(table(probes))
    right = sum(probe.right for probe in probes)
    say(f"{right} of {len(probes)} right; the altered group with names is {drawn}")
    return right == len(probes)
