"""How training sees a teacher's targets, and how learned weights move to another way of seeing.

What all embeddings have in common says nothing of who somebody is, so they are seen from beyond
their mean; and a direction in which people differ little still tells some of them apart, so the
directions are brought nearer to even: whitening, of a covariance shrunk towards a sphere (O. Ledoit
and M. Wolf, 2004). docs/training.md has what either is worth.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from models.data import Floats, Pack, unit
from scsc.faceresnet import FaceResNet


@dataclass(frozen=True, eq=False)
class Frame:
    """What is taken from a target, and what then multiplies it."""

    origin: Floats  # (D,)
    whitening: Floats  # (D, D), symmetric

    def see(self, pack: Pack) -> Pack:
        """The pack with its targets seen so, of unit length again.

        Where that changes nothing they stay as they were read, to the last bit.
        """
        if not self.origin.any() and np.array_equal(self.whitening, np.eye(len(self.origin))):
            return pack
        return replace(pack, teacher=unit(unit(pack.teacher - self.origin) @ self.whitening))


def frame(teacher: Floats, centre: float, whiten: float) -> Frame:
    """The frame of targets (N, D): `centre` times their mean, and their whitening.

    `whiten` is how much of the covariance's own shape counts, 0 to 1: at 0 the targets keep their
    directions as they are, at 1 all directions become even. Raises ValueError at 1 when there are
    directions in which the targets do not differ.
    """
    origin = centre * teacher.mean(0)
    if whiten == 0:
        return Frame(origin, np.eye(len(origin), dtype=np.float32))
    covariance = np.cov(unit(teacher - origin).T)  # (D, D) float64
    values, directions = np.linalg.eigh(covariance)
    shrunk = 1 - whiten + whiten * values / values.mean()
    if shrunk.min() < 1e-6:
        raise ValueError(
            f"{len(teacher)} targets leave directions that whiten={whiten} cannot even"
        )
    whitening = (directions / np.sqrt(shrunk)) @ directions.T
    return Frame(origin, whitening.astype(np.float32))


@torch.no_grad()
def meet(
    network: FaceResNet, embeddings: torch.Tensor, targets: torch.Tensor, whitening: torch.Tensor
) -> None:
    """Move all embeddings of a network alike, to lie as its targets do.

    Weights that learned targets of another frame lie beside these by little more than their mean
    and, where they have not seen it, the whitening; the last layers can make up for both at once,
    where at their learning rates it takes thousands of steps.

    embeddings, targets: (N, D), of the same crops, on the host; whitening: (D, D).
    """
    turned = embeddings @ whitening
    if _cosine(turned, targets) > _cosine(embeddings, targets):
        _turn(network, whitening, turned)
        embeddings = turned
    network.linear_norm.bias.add_(_gap(embeddings, targets).to(network.linear_norm.bias.device))


def _gap(embeddings: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(D,): what brings the mean direction of the embeddings to that of the targets."""
    between = (targets - F.normalize(embeddings, dim=1)).mean(0)
    gap: torch.Tensor = embeddings.norm(dim=1).mean() * between
    return gap


def _cosine(embeddings: torch.Tensor, targets: torch.Tensor) -> float:
    """How near embeddings come to their targets, once their means have met."""
    moved = embeddings + _gap(embeddings, targets)
    return float(F.cosine_similarity(moved, targets).mean())


def _turn(network: FaceResNet, matrix: torch.Tensor, turned: torch.Tensor) -> None:
    """Let the network's embedding e become matrix @ e; `turned` are some of those, (N, D).

    With the last norm as x * scale + shift, the matrix goes into the linear map before it. That
    keeps its size, by which its learning rate is meant, and the norm gets the statistics of its new
    input.
    """
    linear, norm = network.linear, network.linear_norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    matrix = matrix.to(linear.weight.device)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    by = matrix * scale  # (D, D): the embedding is matrix @ (scale * (linear(x) - mean) + bias)
    size = linear.weight.norm() / (by @ linear.weight).norm()
    linear.weight.copy_(size * by @ linear.weight)
    norm.running_mean.copy_(size * by @ norm.running_mean)
    norm.running_var.copy_(size**2 * turned.var(0).to(norm.running_var.device))
    norm.weight.copy_((norm.running_var + norm.eps).sqrt() / size)
    norm.bias.copy_(matrix @ norm.bias)
