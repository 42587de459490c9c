"""Figures of embedders on photographs or crops.

    python -m models.evaluate lfw ../shared/data/lfw-pairs.zip --json
    python -m models.evaluate identify DIR_OR_NPZ --by source --json
    python -m models.evaluate strangers ../shared/data/train-0.npz --by group
    python -m models.evaluate conditions DIR_OR_NPZ --condition "a mask"
    python -m models.evaluate thresholds FOLDER_NPZ_OR_LFW_ZIP --threshold 0.43
    python -m models.evaluate lfw ZIP --model a.onnx --model b.onnx --plots docs/images
    python -m models.evaluate identify DIR --model old.onnx --model new.onnx --differences
    python -m models.evaluate identify DIR --url http://127.0.0.1:8000
    python -m models.evaluate card ../shared

Photographs go through the service's own detector and alignment (models/photos.py). Several
embedders become a table; with `--differences` it tells what each gains on the first. `card` runs
all that the model card tells, and rewrites its tables.
"""

import argparse
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import catalog, engines, metrics, photos, weights
from models.conditions import CONDITIONS
from models.data import read_packs
from models.evaluate import faces, sheets
from models.evaluate.conditions import conditions
from models.evaluate.embedders import Embedder, onnx_embedder, service_embedder, torch_embedder
from models.evaluate.identify import Result as IdentifyResult
from models.evaluate.identify import identify
from models.evaluate.lfw import Result as LfwResult
from models.evaluate.lfw import lfw
from models.evaluate.strangers import false_matches, spread
from models.evaluate.thresholds import SIZES, THRESHOLDS, thresholds

Figures = dict[str, Any]


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.protocol == "card":
        from models.evaluate import card

        card.rewrite(arguments.source, arguments.crops, arguments.only)
        return
    protocols = {
        "lfw": _lfw,
        "identify": _identify,
        "thresholds": _thresholds,
        "strangers": _strangers,
        "conditions": _conditions,
    }
    embedders = _embedders(arguments)
    if getattr(arguments, "differences", False) and len(embedders) < 2:
        parser.error("--differences needs two embedders: give --model twice")
    results = protocols[arguments.protocol](arguments, embedders)
    if arguments.json:
        rows = [{"embedder": name, **figures} for name, figures in results.items()]
        print(json.dumps(_plain(rows[0] if len(rows) == 1 else rows)))
    else:
        print(table(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "models.evaluate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    protocols = parser.add_subparsers(dest="protocol", required=True)
    added = {
        name: protocols.add_parser(name, help=text)
        for name, text in (
            ("lfw", "LFW's pairs, 1:1"),
            ("identify", "open-set identification, 1:N"),
            ("thresholds", "which threshold, by the number of people enrolled"),
            ("strangers", "false matches by group, without identities"),
            ("conditions", "open-set identification with crops as bad pictures show them"),
            ("card", "rewrite the tables of the model card"),
        )
    }
    sources = {
        "lfw": "the archive of photographs and pairs.txt",
        "identify": "a pack (.npz), or a folder with a folder of photographs per person",
        "thresholds": "the same, or LFW's archive",
        "conditions": "the same",
        "strangers": "a pack (.npz) with group labels",
        "card": "the folder with data/ and models/",
    }
    for name, one in added.items():
        one.add_argument("source", type=_existing, help=sources[name])
        if name != "strangers":
            one.add_argument(
                "--crops", type=Path, help="keep LFW's or a folder's crops here, and reuse them"
            )
        if name == "card":
            one.add_argument("--only", action="append", help="this table alone")
            continue
        one.add_argument(
            "--model", type=_existing, action="append", default=[], help="ONNX file or checkpoint"
        )
        one.add_argument("--engine", choices=engines.NAMES, action="append", help="for ONNX files")
        one.add_argument(
            "--raw", action="store_true", help="do not enhance dark and noisy crops, for these"
        )
        one.add_argument("--url", help="a running service, its detector and its embedder")
        one.add_argument("--key", default=os.environ.get("FACE_KEY", ""), help="its API key")
        one.add_argument("--json", action="store_true")
        if name in ("identify", "strangers"):
            one.add_argument(
                "--by", choices=faces.GROUPINGS, action="append", default=[], help="by group"
            )
        if name in ("lfw", "identify"):
            one.add_argument("--plots", type=Path, help="write curves as PNG into this folder")
            one.add_argument(
                "--differences", action="store_true", help="of each embedder from the first, paired"
            )
    for flag, type_, default in (("--people", int, SIZES), ("--threshold", float, THRESHOLDS)):
        added["thresholds"].add_argument(
            flag, type=type_, action="append", help=f"may be repeated; default {default}"
        )
    added["conditions"].add_argument(
        "--condition",
        choices=list(CONDITIONS),
        action="append",
        default=[],
        help="this one alone; may be repeated",
    )
    added["lfw"].add_argument(
        "--worst", type=Path, help="write sheets of the worst pairs here; real people, keep private"
    )
    return parser


def _existing(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{path} does not exist")
    return path


def _embedders(arguments: argparse.Namespace) -> list[Embedder]:
    """Those asked for; the product's where none is."""
    found = [service_embedder(_service(arguments))] if arguments.url else []
    models = arguments.model
    if not models and not found:
        models = [weights.find(catalog.card("scsc_faceresnet"))]
    stems = [path.stem for path in models]
    for path in models:
        # Checkpoints of two runs have one name: those are told apart by their folders.
        name = path.stem if stems.count(path.stem) == 1 else str(path)
        if path.suffix == ".pt":
            found.append(torch_embedder(path, name=name, raw=arguments.raw))
        else:
            named = arguments.engine or engines.NAMES[:1]
            found += [onnx_embedder(path, engine, name=name, raw=arguments.raw) for engine in named]
    return found


def _service(arguments: argparse.Namespace) -> photos.Service:
    return photos.Service(arguments.url, arguments.key)


def _lfw(arguments: argparse.Namespace, embedders: Sequence[Embedder]) -> Mapping[str, Figures]:
    pairs = faces.read_lfw(arguments.source, _photographs(arguments))
    results = {embedder.name: lfw(pairs, embedder.embed) for embedder in embedders}
    if arguments.worst:
        for path in sheets.write_worst(pairs, results[embedders[0].name], arguments.worst):
            print(path)
    if arguments.plots:
        from models import cost
        from models.evaluate import plots

        plots.lfw_plots(results, arguments.plots)
        counted = [(e, cost.count_onnx(e.file)) for e in embedders if e.file]
        points = [(e.name, c.flops / 1e6, results[e.name].figures["accuracy"]) for e, c in counted]
        if len(points) > 1:
            plots.cost_plot(points, arguments.plots / "lfw-cost.png")
    return _figures(results, arguments.differences)


def _identify(
    arguments: argparse.Namespace, embedders: Sequence[Embedder]
) -> Mapping[str, Figures]:
    source = faces.read(arguments.source, _photographs(arguments))
    results = {e.name: identify(source, e.embed, arguments.by) for e in embedders}
    if arguments.plots:
        from models.evaluate import plots

        plots.identify_plots(results, arguments.plots)
    return _figures(results, arguments.differences)


def _figures(
    results: Mapping[str, LfwResult] | Mapping[str, IdentifyResult], differences: bool
) -> Mapping[str, Figures]:
    """What is told of each; with the differences from the first, if asked for."""
    told = {name: result.figures for name, result in results.items()}
    if differences:
        (first, base), *others = results.items()
        for name, other in others:
            gained: Figures = {"from": first}
            for key, (value, limits) in metrics.differences(base.weighed, other.weighed).items():
                gained |= {key: value, f"{key}_interval": limits}
            told[name]["difference"] = gained
    return told


def _thresholds(
    arguments: argparse.Namespace, embedders: Sequence[Embedder]
) -> Mapping[str, Figures]:
    source = faces.read(arguments.source, _photographs(arguments))
    sizes, at = arguments.people or SIZES, arguments.threshold or THRESHOLDS
    return {e.name: thresholds(source, e.embed, sizes, at) for e in embedders}


def _strangers(
    arguments: argparse.Namespace, embedders: Sequence[Embedder]
) -> Mapping[str, Figures]:
    pack, groups = read_packs([arguments.source]), faces.pack_groups([arguments.source])
    results: dict[str, Figures] = {}
    for embedder in embedders:
        figures: Figures = {}
        for grouping in arguments.by or list(groups):
            labelled = spread(np.flatnonzero(groups[grouping] != ""))
            embeddings = embedder.embed(pack.crops[labelled])
            figures[f"by_{grouping}"] = false_matches(
                embeddings, pack.teacher[labelled], groups[grouping][labelled]
            )
        results[embedder.name] = figures
    return results


def _conditions(
    arguments: argparse.Namespace, embedders: Sequence[Embedder]
) -> Mapping[str, Figures]:
    source = faces.read(arguments.source, _photographs(arguments))
    return {e.name: conditions(source, e.embed, arguments.condition) for e in embedders}


def _photographs(arguments: argparse.Namespace) -> Callable[[Sequence[bytes]], photos.Crops]:
    return photos.reader(arguments.crops, _service(arguments) if arguments.url else None)


def table(results: Mapping[str, Figures]) -> str:
    """Markdown, a column per embedder, groups below with a row per label and figure."""
    flat = {name: _flat(figures) for name, figures in results.items()}
    keys = dict.fromkeys(key for row in flat.values() for key in row)
    lines = [
        "| figure | " + " | ".join(flat) + " |",
        "| --- " * (1 + len(flat)) + "|",
    ]
    lines += [
        f"| {key} | " + " | ".join(row.get(key, "") for row in flat.values()) + " |" for key in keys
    ]
    return "\n".join(lines)


def _flat(figures: Figures, before: str = "") -> dict[str, str]:
    """Names and shown values; an interval stands with its figure."""
    result: dict[str, str] = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            result |= _flat(value, f"{before}{key} ")
        elif not key.endswith("_interval"):
            shown = f"{value:.4f}" if isinstance(value, float) else str(value)
            if limits := figures.get(f"{key}_interval"):
                shown += f" [{limits[0]:.4f}, {limits[1]:.4f}]"
            result[before + key] = shown
    return result


def _plain(value: Any) -> Any:
    """JSON has no word for not-a-number: null."""
    if isinstance(value, dict):
        return {key: _plain(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inside) for inside in value]
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    main()
