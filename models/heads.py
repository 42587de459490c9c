"""Margin losses on identities: softmax over cosines, the true one made harder by a margin.

CosFace (arXiv 1801.09414), cos(theta) - m, and ArcFace (arXiv 1801.07698), cos(theta + m), where
theta is the angle between an embedding and the centre of its identity.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

UNKNOWN = -1  # the label of a crop whose identity is not known


class MarginHead(nn.Module):
    """One learned centre per identity; its loss counts the labelled rows of a batch alone.

    margin: a cosine (cosface, 0.35 in its paper) or an angle in radians (arcface, 0.5).
    scale: factor on the cosines before the softmax, 64 in both papers.
    """

    def __init__(
        self,
        dim: int,
        identities: int,
        margin: float = 0.35,
        scale: float = 64.0,
        form: Literal["cosface", "arcface"] = "cosface",
    ) -> None:
        super().__init__()
        self.margin = margin
        self.scale = scale
        self.form = form
        self.centres = nn.Parameter(torch.randn(identities, dim) / math.sqrt(dim))

    @torch.no_grad()
    def begin_with(self, targets: torch.Tensor, label: torch.Tensor) -> None:
        """Put each centre where its identity's targets are: (N, dim), (N,) with -1 for unknown.

        Centres that begin anywhere else would first tear at a network that has learned.
        """
        labelled = label != UNKNOWN
        sums = torch.zeros_like(self.centres).index_add_(
            0, label[labelled], targets[labelled].to(self.centres.dtype)
        )
        seen = sums.norm(dim=1) > 0
        self.centres[seen] = F.normalize(sums[seen], dim=1)

    def forward(self, embedding: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy over the labelled rows; 0 where none is.

        embedding: (B, dim) of any length; label: (B,) int64, an identity or -1.
        """
        with torch.autocast(embedding.device.type, enabled=False):  # cosines need float32
            embedding = F.normalize(embedding.float(), dim=1)
            cosine = embedding @ F.normalize(self.centres.float(), dim=1).T  # (B, identities)
            # Unknown rows stay in, so that shapes do not vary from batch to batch.
            true = label.clamp(min=0)[:, None]
            logits = cosine.scatter(1, true, self._harder(cosine.gather(1, true)))
            labelled = label != UNKNOWN
            losses = F.cross_entropy(
                self.scale * logits, label, ignore_index=UNKNOWN, reduction="none"
            )
            return losses.sum() / labelled.sum().clamp(min=1)

    def _harder(self, cosine: torch.Tensor) -> torch.Tensor:
        """The cosines (B, 1) of the true identities after the margin."""
        if self.form == "cosface":
            return cosine - self.margin
        # cos(theta + m) by the sum of angles; the clamp keeps the root's gradient finite.
        sine = (1 - cosine.square()).clamp(min=1e-9).sqrt()
        turned = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        # Beyond pi - m the cosine would rise again: go on falling in a straight line.
        beyond = cosine < math.cos(math.pi - self.margin)
        return torch.where(beyond, cosine - self.margin * math.sin(self.margin), turned)
