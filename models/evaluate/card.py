"""The tables of the model card, measured anew and written between its markers.

    python -m models.evaluate card ../shared --crops FILE.npz

A table stands between `<!-- NAME -->` and `<!-- end NAME -->` in models/weights/README.md. The
curves in docs/images are drawn along the way. Words about failures are a person's work: look at
the sheets of `lfw --worst`.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from models import catalog, cost, engines, latency, metrics, photos, quantize, weights
from models.conditions import CONDITIONS
from models.data import read_packs
from models.evaluate import faces, plots
from models.evaluate.conditions import conditions
from models.evaluate.embedders import Embedder, onnx_embedder
from models.evaluate.identify import Result, identify
from models.evaluate.lfw import lfw
from models.evaluate.strangers import false_matches, spread
from models.evaluate.thresholds import SIZES, THRESHOLDS, thresholds, two_digits

CHECKOUT = Path(__file__).parents[2]
CARD = CHECKOUT / "models" / "weights" / "README.md"
IMAGES = CHECKOUT / "docs" / "images"
ROUNDS = 15


@dataclass
class Sources:
    """The data, read when first asked for."""

    shared: Path
    lfw_crops: Path | None

    @cached_property
    def product(self) -> Embedder:
        return onnx_embedder(weights.find(catalog.card("scsc_faceresnet")))

    @cached_property
    def peer(self) -> Embedder:
        return onnx_embedder(self.shared / "models" / "mobilefacenet.onnx")

    @cached_property
    def pairs(self) -> faces.Pairs:
        archive = self.shared / "data" / "lfw-pairs.zip"
        return faces.read_lfw(archive, photos.reader(self.lfw_crops, None))

    @cached_property
    def held_out(self) -> faces.Faces:
        return faces.read(self.shared / "data" / "identify.npz", photos.reader(None, None))


# ------------------------------------------------------------------------------------ the tables


def lfw_table(sources: Sources) -> str:
    both = (sources.product, sources.peer)
    results = {one.name: lfw(sources.pairs, one.embed) for one in both}
    plots.lfw_plots(results, IMAGES)
    points = []
    for one in both:
        assert one.file is not None
        flops = cost.count_onnx(one.file).flops / 1e6
        points.append((one.name, flops, results[one.name].figures["accuracy"]))
    plots.cost_plot(points, IMAGES / "lfw-cost.png")
    rows = [
        ("accuracy, 10-fold", "accuracy"),
        ("TAR at FAR 1e-2", "tar_at_far_0.01"),
        ("TAR at FAR 1e-3", "tar_at_far_0.001"),
    ]
    figures = {name: result.figures for name, result in results.items()}
    lines = _columns("LFW, 6,000 pairs", figures, rows)
    mine = figures[sources.product.name]
    lines.append(
        f"\nFaces not found: {mine['faces_not_found']}. Standard deviation of the folds: "
        f"{mine['accuracy_std']:.2%}. Score that 1 in 1,000 pairs of strangers reaches: "
        f"{mine['threshold_at_far_0.001']:.3f}."
    )
    return "\n".join(lines)


def identify_table(sources: Sources) -> str:
    results: dict[str, Result] = {}
    for one in (sources.product, sources.peer):
        results[one.name] = identify(sources.held_out, one.embed, ["source"])
    plots.identify_plots(results, IMAGES)
    rows = [
        ("rank-1", "rank1"),
        ("FNIR at FPIR 0.01", "fnir_at_fpir_0.01"),
        ("FNIR at FPIR 0.001", "fnir_at_fpir_0.001"),
    ]
    figures = {name: result.figures for name, result in results.items()}
    lines = _columns("held-out people, 1:N", figures, rows)
    mine = figures[sources.product.name]
    threshold = mine["threshold_at_fpir_0.01"]
    reached = _pair_thresholds(results[sources.product.name], sources.held_out)
    lines += [
        "\nScores that pairs of strangers reach among all its crops: "
        + ", ".join(f"{score:.3f} 1 in {round(1 / far):,}" for far, score in reached.items())
        + ".",
        f"\n{mine['people']} people enrolled with one crop each, {mine['strangers']} strangers. By "
        f"where the crops come from, at one threshold for all ({threshold:.3f}, FPIR 0.01):\n",
        f"| {sources.product.name} | people | rank-1 | FNIR | FPIR |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label, row in mine["by_source"].items():
        if row["people"] >= 10:  # a handful says nothing of a group
            shown = " | ".join(_with_interval(row, key) for key in ("rank1", "fnir", "fpir"))
            lines.append(f"| {label} | {row['people']} | {shown} |")
    return "\n".join(lines)


def conditions_table(sources: Sources) -> str:
    both = (sources.product, sources.peer)
    results = {one.name: conditions(sources.held_out, one.embed) for one in both}
    lines = ["| the picture searched with | " + " | ".join(results) + " |", "| --- | --- | --- |"]
    for name in CONDITIONS:
        cells = []
        for row in (figures[name] for figures in results.values()):
            low, high = row["fnir_interval"]
            named = {"named": 1 - row["fnir"], "named_interval": (1 - high, 1 - low)}
            strangers = f"{row['fpir']:.2%}"
            cells.append(f"{row['rank1']:.1%}, {_with_interval(named, 'named')}, {strangers}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def thresholds_table(sources: Sources) -> str:
    default = catalog.card("scsc_faceresnet").threshold
    at = sorted({*THRESHOLDS, default})
    figures = thresholds(sources.pairs.faces, sources.product.embed, SIZES, at)
    sizes = [figures[f"gallery_{size}"] for size in SIZES]
    lines = [
        "| threshold | " + " | ".join(f"{size:,} enrolled" for size in SIZES) + " |",
        "| --- " * (1 + len(SIZES)) + "|",
    ]
    for step in at:
        rows = [size[f"at_{two_digits(step)}"] for size in sizes]
        cells = [
            f"{row['named_rightly']:.1%}, {_with_interval(row, 'strangers_named')}" for row in rows
        ]
        bold = "**" if step == default else ""
        lines.append(f"| {bold}{two_digits(step)}{bold} | {' | '.join(cells)} |")
    lines.append(f"| rank-1 | {' | '.join(_with_interval(size, 'rank1') for size in sizes)} |")
    return "\n".join(lines)


def _pair_thresholds(result: Result, source: faces.Faces) -> dict[float, float]:
    """False-accept rate -> threshold, over all pairs of crops of two people."""
    upper = np.triu_indices(len(source.people), 1)
    two = source.people[upper[0]] != source.people[upper[1]]
    scores = (result.embeddings @ result.embeddings.T)[upper][two]
    return {far: metrics.threshold_at_far(scores, far) for far in (1e-2, 1e-3, 1e-4)}


def strangers_table(sources: Sources) -> str:
    packs = sorted((sources.shared / "data").glob("train-*.npz"))
    pack, groups = read_packs(packs, threads=2), faces.pack_groups(packs)
    rows = spread(np.flatnonzero(groups["source"] == "UTKFace"))
    crops, teacher = pack.crops[rows], pack.teacher[rows]
    lines = ["| | crops | false matches among its own pairs |", "| --- | --- | --- |"]
    embeddings = sources.product.embed(crops)
    for grouping in ("group", "sex", "age"):
        found = false_matches(embeddings, teacher, groups[grouping][rows])
        for label, row in found["groups"].items():
            shown = _with_interval(row, "false_match_rate")
            lines.append(f"| {grouping} {label} | {row['crops']} | {shown} |")
    return "\n".join(lines)


def cost_table(sources: Sources) -> str:
    assert sources.peer.file is not None
    timed = cost.with_latency([sources.peer.file], latency.NAMES, ROUNDS)
    lines = ["| network | parameters | multiply-adds |", "| --- | --- | --- |"]
    lines += [
        f"| {row['name']} | {row['params'] / 1e6:.3f} M | {row['flops'] / 1e6:.0f} M |"
        for row in timed
    ]
    return "\n".join([*lines, "", latency.table(timed)])


def variants_table(sources: Sources) -> str:
    """What the smaller forms lose on held-out people, and what they gain in time."""
    assert sources.product.file is not None
    with tempfile.TemporaryDirectory() as folder:
        plain = sources.product.file
        int8, bf16 = Path(folder) / "int8.onnx", Path(folder) / "bf16.onnx"
        pack = sources.shared / "data" / quantize.CALIBRATION_PACK.name
        quantize.to_int8(plain, int8, quantize.calibration_crops([pack]))
        quantize.to_bf16(plain, bf16)
        cases = [(plain, e) for e in engines.NAMES if e != engines.WHOLE]
        cases += [(int8, "onnxruntime"), (int8, "openvino"), (bf16, "onnxruntime")]
        figures = {
            (path.stem, engine): identify(
                sources.held_out, onnx_embedder(path, engine).embed
            ).figures
            for path, engine in cases
        }
        times = latency.measure([plain, int8, bf16], rounds=ROUNDS)
        sizes = {path.stem: path.stat().st_size / 1e6 for path in (plain, int8, bf16)}
    base = figures[plain.stem, "onnxruntime"]
    base_times = times[plain.stem]["onnxruntime"]
    lines = [
        "| form | engine | file | rank-1 | FNIR at FPIR 0.01 | time, batch 1 | time, batch 16 |",
        "| --- " * 7 + "|",
    ]
    for (stem, engine), row in figures.items():
        shown = [
            f"{row[key]:.2%} ({100 * (row[key] - base[key]):+.2f})"
            for key in ("rank1", "fnir_at_fpir_0.01")
        ]
        ratios = [
            f"{times[stem][engine][batch][kind] / base_times[batch][kind]:.2f}"
            for batch in ("1", "16")
            for kind in ("ms", "cpu_ms")
        ]
        cells = [f"{sizes[stem]:.1f} MB", *shown]
        cells += [" / ".join(ratios[:2]), " / ".join(ratios[2:])]
        lines.append(f"| {stem} | {engine} | {' | '.join(cells)} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[Sources], str]] = {
    "lfw": lfw_table,
    "identify": identify_table,
    "conditions": conditions_table,
    "thresholds": thresholds_table,
    "strangers": strangers_table,
    "cost": cost_table,
    "variants": variants_table,
}


# ---------------------------------------------------------------------------------- into the card


def rewrite(shared: Path, lfw_crops: Path | None, only: Sequence[str] | None) -> None:
    """Measure the named parts, or all, and put their tables into the card one by one."""
    sources = Sources(shared, lfw_crops)
    for name in only or list(PARTS):
        if name not in PARTS:
            raise LookupError(f"the card has no table {name!r}; it has: {', '.join(PARTS)}")
        table = PARTS[name](sources)
        print(f"{table}\n", flush=True)
        CARD.write_text(replaced(CARD.read_text(), name, table))


def replaced(text: str, name: str, table: str) -> str:
    """The text with `table` between the markers of `name`. Raises ValueError without markers."""
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, opened, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"the card has no place for {name!r}: {start} ... {end}")
    return f"{before}{start}\n{table}\n{end}{after}"


def _columns(
    title: str, figures: Mapping[str, dict[str, Any]], rows: Sequence[tuple[str, str]]
) -> list[str]:
    lines = [f"| {title} | " + " | ".join(figures) + " |", "| --- " * (1 + len(figures)) + "|"]
    for shown, key in rows:
        cells = [_with_interval(row, key) for row in figures.values()]
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return lines


def _with_interval(figures: Mapping[str, Any], key: str) -> str:
    low, high = figures[f"{key}_interval"]
    value = figures[key]
    if np.isnan(value):
        return "none"
    small = 4 if value < 0.01 else 2
    return f"{value:.{small - 1}%} ({low:.{small - 1}%} to {high:.{small - 1}%})"
