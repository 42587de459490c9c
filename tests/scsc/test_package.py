"""scsc by itself: its README, and the wheel that `pip install ./scsc` makes."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "scsc"


@pytest.mark.parametrize("page", ["scsc/README.md", "docs/scsc.md"])
def test_the_lines_of_use_run(page: str, capsys: pytest.CaptureFixture[str]):
    blocks = re.findall(r"(?:^    .*\n\n?)+", (ROOT / page).read_text(), re.M)
    (lines,) = [block for block in blocks if "from scsc import SCSC, " in block]
    with torch.device("meta"):  # shapes without numbers: nothing is computed
        exec(textwrap.dedent(lines), {})
    if "print(" in lines:
        assert "parameters: " in capsys.readouterr().out


def test_the_readme_names_every_file():
    text = (PACKAGE / "README.md").read_text()
    files = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    inner = {"layers.py", "attention.py"}  # parts of the hosts
    assert {name for name in files if f"`{name}`" not in text} == inner


@pytest.mark.slow
def test_the_wheel_installs_and_works_alone(tmp_path: Path):
    pytest.importorskip("hatchling")
    source = shutil.copytree(PACKAGE, tmp_path / "source")

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = ("-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "wheels", source)
    (wheel,) = (tmp_path / "wheels").glob("scsc-*.whl")
    # PyTorch is large: the one at hand serves, the package itself comes from the wheel alone.
    run(*pip, "install", "-q", "--no-deps", "--target", tmp_path / "site", wheel)
    code = """
        import sys
        sys.path.insert(0, "site")
        import scsc.mixers, scsc.bench, torch
        assert not {"models", "app", "onnxruntime", "openvino"} & set(sys.modules)
        print(scsc.__file__, tuple(scsc.SCSC(24, 8)(torch.zeros(2, 24, 6, 6)).shape))
    """
    output = run("-c", textwrap.dedent(code))
    assert output.strip() == f"{tmp_path / 'site' / 'scsc' / '__init__.py'} (2, 8, 6, 6)"
