"""A mean of two trained networks, weight by weight, as a network of its own.

    python -m models.blend models/weights/scsc_faceresnet.pt runs/next/scsc_faceresnet.pt \
        runs/mean.pt --share 0.5

Weights trained on from others and those they began with can be joined by a straight line along
which the network stays good: the mean often keeps what the first knew and has most of what the
second learned (Wortsman et al., Robust fine-tuning of zero-shot models, arXiv 2109.01903, eq. 1).
Norms that stood still in training (`--still-share 1`) are the same in both, so that nothing has to
be measured anew.
"""

import argparse
from pathlib import Path

import torch

from models import embedder
from models.export import read
from models.weights import sha256_of
from scsc.faceresnet import FaceResNet


def blend(first: FaceResNet, second: FaceResNet, share: float) -> FaceResNet:
    """A network, in eval mode, of (1 - share) of the first's weights and `share` of the second's.

    Raises ValueError when the two are not of one form.
    """
    if first.config != second.config:
        raise ValueError("only networks of one form have a mean: the configurations differ")
    ours, theirs = first.state_dict(), second.state_dict()
    network = FaceResNet(first.config)
    network.load_state_dict(
        {
            name: torch.lerp(mine, theirs[name], share) if mine.is_floating_point() else mine
            for name, mine in ours.items()
        }
    )
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first", type=Path, help="a released checkpoint or that of a run")
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path, help="checkpoint to write")
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        parser.error(f"--share {arguments.share}: a share lies between 0 and 1")
    try:
        network = blend(read(arguments.first), read(arguments.second), arguments.share)
    except ValueError as exc:
        parser.error(str(exc))
    embedder.save(network, arguments.out)
    print(f"{sha256_of(arguments.out)}  {arguments.out.name}")


if __name__ == "__main__":
    main()
