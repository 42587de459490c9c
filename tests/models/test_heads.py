import math

import pytest
import torch

from models.heads import MarginHead

FORMS = ["cosface", "arcface"]


def by_the_equation(head, embedding, label):
    """The papers' loss, row by row, with the angle itself."""
    losses = []
    for row, identity in zip(embedding.tolist(), label.tolist(), strict=True):
        if identity == -1:
            continue
        angles = []
        for centre in head.centres.tolist():
            product = sum(a * b for a, b in zip(row, centre, strict=True))
            angles.append(math.acos(product / math.hypot(*row) / math.hypot(*centre)))
        logits = [head.scale * math.cos(angle) for angle in angles]
        if head.form == "cosface":
            logits[identity] -= head.scale * head.margin
        else:
            logits[identity] = head.scale * math.cos(angles[identity] + head.margin)
        losses.append(math.log(sum(math.exp(x) for x in logits)) - logits[identity])
    return sum(losses) / len(losses)


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_is_the_papers_over_the_labelled_rows(form):
    torch.manual_seed(0)
    head = MarginHead(8, 5, margin=0.4, scale=16.0, form=form)
    embedding, label = torch.randn(7, 8), torch.tensor([0, 4, -1, 2, 2, -1, 3])
    assert head(embedding, label).item() == pytest.approx(
        by_the_equation(head, embedding, label), rel=1e-5
    )


@pytest.mark.parametrize("form", FORMS)
def test_without_margin_it_is_a_softmax_over_cosines(form):
    torch.manual_seed(0)
    head = MarginHead(8, 5, margin=0.0, scale=16.0, form=form)
    embedding, label = torch.randn(6, 8), torch.randint(0, 5, (6,))
    cosine = torch.cosine_similarity(embedding[:, None], head.centres[None], dim=2)
    plain = torch.nn.functional.cross_entropy(16 * cosine, label)
    assert torch.allclose(head(embedding, label), plain, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_unknown_rows_neither_count_nor_learn(form):
    torch.manual_seed(0)
    head = MarginHead(8, 5, form=form)
    embedding = torch.randn(4, 8, requires_grad=True)
    head(embedding, torch.tensor([1, -1, 3, -1])).backward()
    assert embedding.grad[[1, 3]].abs().max() == 0
    assert embedding.grad[[0, 2]].abs().min() > 0
    nobody = head(embedding, torch.full((4,), -1))
    assert nobody.item() == 0
    nobody.backward()  # a batch without labels must not stop a run
    assert torch.isfinite(head.centres.grad).all()


@pytest.mark.parametrize("form", FORMS)
def test_gradients_stay_finite_on_and_opposite_the_centre(form):
    head = MarginHead(8, 2, margin=0.5, form=form)
    embedding = torch.stack([head.centres[0], -head.centres[0]]).detach().requires_grad_()
    head(embedding, torch.tensor([0, 0])).backward()
    assert torch.isfinite(embedding.grad).all()
    assert torch.isfinite(head.centres.grad).all()


def test_arcface_falls_all_the_way_to_the_opposite():
    head = MarginHead(2, 2, margin=0.5, form="arcface")
    cosine = torch.linspace(1, -1, 201)[:, None]
    assert (head._harder(cosine).diff(dim=0) < 0).all()


def test_centres_can_begin_at_the_mean_target_of_each_identity():
    head = MarginHead(3, 3)
    before = head.centres[1].clone()
    targets = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])
    head.begin_with(targets, torch.tensor([0, 0, 2, -1]))
    assert torch.allclose(head.centres[0], torch.tensor([1.0, 1, 0]) / 2**0.5)
    assert torch.equal(head.centres[1], before)  # nobody is known to be identity 1
    assert torch.equal(head.centres[2], torch.tensor([0, 0, 1.0]))


def test_it_learns_to_tell_identities_apart():
    torch.manual_seed(0)
    label = torch.arange(4).repeat(8)
    points = torch.nn.functional.one_hot(label, 6).float() + 0.3 * torch.randn(32, 6)
    linear, head = torch.nn.Linear(6, 8), MarginHead(8, 4, scale=16.0)
    optimizer = torch.optim.Adam([*linear.parameters(), *head.parameters()], 0.02)
    for _ in range(200):
        optimizer.zero_grad()
        head(linear(points), label).backward()
        optimizer.step()
    cosine = torch.cosine_similarity(linear(points)[:, None], head.centres[None], dim=2)
    others = cosine.scatter(1, label[:, None], -1).max(1).values
    assert (cosine.gather(1, label[:, None])[:, 0] - others).min() > 0.35
