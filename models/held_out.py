"""How a network in training does on people it does not learn from."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from models import metrics
from models.data import Crops, Pack
from models.low_light import enhanced
from models.precision import autocast
from models.views import to_input


@torch.no_grad()
def embed(network: nn.Module, crops: Crops, size: int, device: torch.device) -> torch.Tensor:
    """Embeddings (N, D) float32 on the host, not of unit length, of crops (N, 112, 112, 3)."""
    embeddings = []
    for i in range(0, len(crops), 250):
        x = to_input(torch.from_numpy(enhanced(crops[i : i + 250])).to(device).permute(0, 3, 1, 2))
        if size != 112:
            x = F.interpolate(x, (size, size), mode="area")
        with autocast(device):
            embeddings.append(network(x).float().cpu())
    return torch.cat(embeddings)


def evaluate(network: nn.Module, pack: Pack, size: int, device: torch.device) -> dict[str, float]:
    """Held-out people: TAR at three FARs over all pairs, and the mean cosine to the teacher."""
    e = F.normalize(embed(network, pack.crops, size, device), dim=1).numpy()
    upper = np.triu_indices(len(e), 1)
    scores = (e @ e.T)[upper]
    same = (pack.label[:, None] == pack.label[None, :])[upper]
    return {
        "tar_at_far_0.01": metrics.tar_at_far(scores[same], scores[~same], 1e-2),
        "tar_at_far_0.001": metrics.tar_at_far(scores[same], scores[~same], 1e-3),
        "tar_at_far_0.0001": metrics.tar_at_far(scores[same], scores[~same], 1e-4),
        "teacher_cosine": float((e * pack.teacher).sum(1).mean()),
    }
