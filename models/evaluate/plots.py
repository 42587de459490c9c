"""Curves of one or several embedders as PNG files. Needs the extra `plots`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from models import metrics
from models.evaluate import identify, lfw

matplotlib.use("agg")  # files only, no window


@contextmanager
def _figure(path: Path, title: str) -> Iterator[Axes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    yield axes
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def lfw_plots(results: Mapping[str, lfw.Result], folder: Path) -> list[Path]:
    """ROC, DET and score histograms of LFW's pairs."""
    roc, det, histogram = (folder / f"lfw-{kind}.png" for kind in ("roc", "det", "scores"))
    curves = {name: metrics.roc(r.genuine, r.impostor)[:2] for name, r in results.items()}
    with _figure(roc, "LFW pairs: ROC") as axes:
        for name, (far, tar) in curves.items():
            axes.step(far, tar, where="post", label=name)
        axes.set(
            xscale="log", xlim=(3e-4, 1), xlabel="false-accept rate", ylabel="true-accept rate"
        )
        axes.legend(loc="lower right")
    with _figure(det, "LFW pairs: DET") as axes:
        for name, (far, tar) in curves.items():
            axes.step(far, 1 - tar, where="post", label=name)
        axes.set(xscale="log", yscale="log", xlim=(3e-4, 1), ylim=(1e-3, 1))
        axes.set(xlabel="false-accept rate", ylabel="false-reject rate")
        axes.legend()
    _histograms(
        histogram,
        "LFW pairs",
        {name: (r.genuine, r.impostor) for name, r in results.items()},
        ("one person", "two people"),
    )
    return [roc, det, histogram]


def identify_plots(results: Mapping[str, identify.Result], folder: Path) -> list[Path]:
    """FNIR against FPIR, and histograms of the first hits' scores, all draws together."""
    det, histogram = (folder / f"identify-{kind}.png" for kind in ("det", "scores"))
    pooled = {
        name: metrics.Searches(
            *(
                np.concatenate([getattr(draw.found, field) for draw in r.draws])
                for field in ("top", "right", "known")
            )
        )
        for name, r in results.items()
    }
    with _figure(det, "Open-set identification: DET") as axes:
        for name, found in pooled.items():
            fpir, fnir = metrics.open_set_det(found)
            axes.step(fpir, fnir, where="post", label=name)
        axes.set(xscale="log", yscale="log", xlim=(3e-4, 1), ylim=(1e-2, 1))
        axes.set(xlabel="false-positive identification rate (FPIR)")
        axes.set(ylabel="false-negative identification rate (FNIR)")
        axes.legend()
    sides = {name: (f.top[f.known & f.right], f.top[~f.known]) for name, f in pooled.items()}
    _histograms(histogram, "First hits", sides, ("enrolled, the right person", "strangers"))
    return [det, histogram]


def cost_plot(points: Sequence[tuple[str, float, float]], path: Path) -> Path:
    """Accuracy on LFW against cost: (name, million multiply-adds, accuracy 0..1) each."""
    with _figure(path, "LFW accuracy against cost") as axes:
        for name, flops, accuracy in points:
            axes.plot(flops, 100 * accuracy, "o", label=name)
        axes.set(xlabel="million multiply-adds per face", ylabel="accuracy, %")
        axes.margins(y=0.1)
        axes.set_xlim(0, 1.1 * max(flops for _, flops, _ in points))
        axes.legend()
    return path


def _histograms(
    path: Path,
    title: str,
    sides: Mapping[str, tuple[metrics.Scores, metrics.Scores]],
    labels: tuple[str, str],
) -> None:
    """One panel per embedder, two histograms in each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, panels = plt.subplots(
        len(sides), 1, figsize=(6, 1 + 2.2 * len(sides)), layout="constrained", squeeze=False
    )
    bins = np.linspace(-0.5, 1, 61).tolist()
    for axes, (name, scores) in zip(panels[:, 0], sides.items(), strict=True):
        for values, label in zip(scores, labels, strict=True):
            axes.hist(values, bins, density=True, alpha=0.6, label=label)
        axes.set(title=f"{title}: {name}", xlabel="cosine", yticks=[])
        axes.legend()
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
