"""What a student's embeddings owe to a teacher's. The losses on identities: models/heads.py."""

import torch
import torch.nn.functional as F

SCALE = 16.0  # on cosines in the neighbourhood loss


def distillation(
    embedding: torch.Tensor, teacher: torch.Tensor, relation: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(cosine loss, total loss) of embeddings (B, D) against unit targets (B, D).

    The cosine part asks for the teacher's point, the relation part for its distances within the
    batch (relational knowledge distillation, arXiv 1904.05068, on cosines).
    """
    student = F.normalize(embedding.float(), dim=1)
    cosine = 1 - (student * teacher).sum(1).mean()
    gap = student @ student.T - teacher @ teacher.T  # (B, B), zero on the diagonal
    pairs = len(student) * (len(student) - 1)
    return cosine, cosine + relation * gap.square().sum() / pairs


def neighbourhood(
    embedding: torch.Tensor, teacher: torch.Tensor, bank: torch.Tensor, scale: float = SCALE
) -> torch.Tensor:
    """How far the student's neighbours are from the teacher's, among all faces of the data.

    A softmax over the cosines to every target of the bank tells who is near; the loss is the mean
    divergence of the student's from the teacher's (SEED, arXiv 2101.04731), 0 where they are
    equal. Where the cosine loss counts every direction alike, this one counts those in which
    strangers stand.

    embedding: (B, D) of any length; teacher: (B, D) and bank: (N, D) of unit length. The products
    with the bank are computed in its dtype.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        student = F.normalize(embedding.float(), dim=1)
        mine = F.log_softmax(scale * (student.to(bank.dtype) @ bank.T).float(), 1)  # (B, N)
        with torch.no_grad():
            theirs = F.log_softmax(scale * (teacher.to(bank.dtype) @ bank.T).float(), 1)
        return F.kl_div(mine, theirs, reduction="batchmean", log_target=True)
