"""Prints docs/licences.md: what is in the image, and under which terms (make licences).

    python docker/licences.py FOLDER_OF_THE_ENVIRONMENT

A package's terms are taken from its metadata: the SPDX expression, else the old free text where it
is short, else the classifiers. Of the libraries inside its wheel the names are read from the files.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from models.catalog import CARDS  # noqa: E402

LONGEST = 60  # characters; beyond it somebody put the whole text into the field
TAKEN_OUT = {"pip", "setuptools"}  # of the image, once the service is installed
STATED = {"insightface": "MIT (code; its model packs are for research only and not in the image)"}
LIBRARIES = {  # by the start of the file's name
    "LGPL-2.1-or-later": (
        *("avcodec", "avformat", "avutil", "swresample", "swscale"),
        *("crypt", "keyutils", "quadmath"),
    ),
    "LGPL-3.0-or-later": ("de265", "heif"),
    "GPL-3.0-or-later with GCC exception": ("gfortran", "gomp"),
    "BSD": (
        *("aom", "avif", "openblas", "scipy_openblas", "vpx", "sharpyuv", "webp", "zstd"),
        *("openjp2", "sasl2"),
    ),
    "MIT": (
        *("brotli", "drm", "harfbuzz", "lcms2", "gssapi", "k5crypto", "krb5", "com_err"),
        *("Xau", "xcb"),
    ),
    "Apache-2.0": ("crypto", "ssl"),
    "FTL": ("freetype",),
    "IJG": ("jpeg",),
    "libpng-2.0": ("png16",),
    "libtiff": ("tiff",),
    "0BSD": ("lzma",),
    "OLDAP-2.8": ("lber", "ldap"),
    "PostgreSQL": ("pq",),
}
HEAD = """\
# Licences

Of all that is in the image; written by `make licences`. The service itself is under Apache-2.0.
The text of each package's licence lies beside it in the image, in its folder `*.dist-info`.

## Weights

| model | task | licence | origin | sha256 |
| --- | --- | --- | --- | --- |
"""
MIDDLE = """
What `scsc_faceresnet` was distilled from, and what that may mean for commercial use:
[the model card](../models/weights/README.md).

## Packages

| package | version | licence | libraries in its wheel |
| --- | --- | --- | --- |
"""


def main(environment: Path) -> None:
    print(HEAD, end="")
    for card in CARDS.values():
        print(row(card.name, card.task, card.licence, card.origin, f"`{card.sha256}`"))
    print(MIDDLE, end="")
    (site,) = environment.glob("lib/python3*/site-packages")
    found = [each for each in distributions(path=[str(site)]) if each.name not in TAKEN_OUT]
    for each in sorted(found, key=lambda each: each.name.lower()):
        libraries = ", ".join(sorted(set(inside(each))))
        print(row(each.name, each.version, licence(each), libraries))


def licence(package: Distribution) -> str:
    facts = package.metadata
    if package.name in STATED:
        return STATED[package.name]
    if expression := facts.get("License-Expression"):
        return str(expression)
    text = str(facts.get("License", "")).strip()
    if text and len(text) <= LONGEST and "\n" not in text:
        return text
    marks = [mark for mark in facts.get_all("Classifier", []) if mark.startswith("License ::")]
    if not marks:
        sys.exit(f"{package.name} does not say its licence: look it up and add it to STATED")
    return ", ".join(mark.split(" :: ")[-1] for mark in marks)


def inside(package: Distribution) -> Iterator[str]:
    """Shared libraries of others that the wheel brings, with their licence."""
    for file in package.files or []:
        name = re.fullmatch(r"[^/]+\.libs/lib([^/]+?)(?:-[0-9a-f]{8})?\.so.*", str(file))
        if name:
            yield f"{stem(name[1])} ({licence_of(name[1])})"


def stem(name: str) -> str:
    return re.split(r"[-.]", name)[0].rstrip("_")


def licence_of(name: str) -> str:
    """Of the longest known start: `crypto` is not `crypt`."""
    known = {start: terms for terms, starts in LIBRARIES.items() for start in starts}
    starts = sorted((start for start in known if name.startswith(start)), key=len)
    if not starts:
        sys.exit(f"the licence of lib{name} is not known here: look it up and add it to LIBRARIES")
    return known[starts[-1]]


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
