"""Starts the container's own command and does what README tells a newcomer; see verify.sh.

Standard library only: it runs on the host, beside the container, in a network of their own.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORK, ROOT, CONTAINER = Path(os.environ["WORK"]), Path(os.environ["ROOT"]), os.environ["CONTAINER"]
BUILDAH = ("buildah", "--storage-driver", "vfs", f"--root={WORK}/storage", f"--runroot={WORK}/run")
PICTURES = WORK / "pictures"
LOG = WORK / "service.log"
ADDRESS = "http://localhost:8000"
USER = 10001
PATIENCE = 180  # seconds until a start counts as failed
KEY = re.compile(r"\bface_[A-Za-z0-9_-]{20,}")
CURLS = re.compile(r"^ {4}(curl .*)$", re.MULTILINE)


def main() -> None:
    config = json.loads(output(*BUILDAH, "inspect", CONTAINER))["Docker"]["config"]
    command = [*config["Entrypoint"], *config["Cmd"]]
    take_pictures()

    heading(f"first start: {shlex.join(command)}")
    with started(command) as (pid, seconds):
        print(f"ready after {seconds:.2f} s, {resident(pid)} MB resident")
        (key,) = set(KEY.findall(LOG.read_text()))
        print("a key was made and shown")
        check(status("/models", None) == 401, "nothing is answered without it")
        check(status("/models", key) == 200, "it opens the service")
        check(owner(pid) == USER, f"the process belongs to user {USER}")
        check(unwritable(), "nothing but /data can be written to")
        run_readme(key)
        check(inside(config["Healthcheck"]["Test"][1:]) == 0, "the health check passes")
        print(f"{resident(pid)} MB resident after that")

    heading("second start, on the same volume")
    with started(command) as (pid, seconds):
        print(f"ready after {seconds:.2f} s, {resident(pid)} MB resident")
        check(not KEY.search(LOG.read_text()), "no key is made or shown again")
        check(decisions(key, "party.jpg") == ["match"], "who was enrolled is still known")
    check(inside(config["Healthcheck"]["Test"][1:]) != 0, "the health check fails when it is down")
    owners = {path.stat().st_uid for path in (WORK / "data").rglob("*")}
    check(owners == {USER}, "all of the volume belongs to that user")


def take_pictures() -> None:
    """From packages inside the image; the second is the first one mirrored and darker."""
    PICTURES.mkdir(exist_ok=True)
    PICTURES.chmod(0o777)
    script = (
        "from PIL import Image, ImageOps; from app.commands import samples as s;"
        "ada = Image.fromarray(s.astronaut()); ada.save('/mnt/ada-1.jpg');"
        "ImageOps.mirror(ada).point(lambda v: v * 0.8).save('/mnt/party.jpg', quality=85);"
        "Image.fromarray(s.group()).save('/mnt/strangers.jpg')"
    )
    mount = f"--volume={PICTURES}:/mnt"
    subprocess.run([*run_in_container(mount), "python3", "-c", script], check=True)


def run_readme(key: str) -> None:
    """The commands of README as they stand there; curl reads the key from its own settings."""
    (PICTURES / ".curlrc").write_text(f'header = "Authorization: Bearer {key}"\n')
    section = Path("README.md").read_text().split("## The first curls")[1].split("\n## ")[0]
    enroll, identify = CURLS.findall(section)
    environment = {**os.environ, "CURL_HOME": str(PICTURES)}
    for line in (enroll, identify):
        print(f"$ {line}")
        done = subprocess.run(
            line, shell=True, cwd=PICTURES, env=environment, capture_output=True, check=True
        )
        answer = json.loads(done.stdout)
    check(named(answer) == ["match"], "who was enrolled is found in another picture")
    check(decisions(key, "strangers.jpg") == ["unknown"] * 6, "six strangers are unknown")


def decisions(key: str, picture: str) -> list[str]:
    form = ["-F", f"image=@{PICTURES / picture}"]
    header = ["-H", f"Authorization: Bearer {key}"]
    return named(json.loads(output("curl", "-s", f"{ADDRESS}/identify", *header, *form)))


def named(answer: Any) -> list[str]:
    return [face["decision"] for result in answer["results"] for face in result["faces"]]


@contextmanager
def started(command: Sequence[str]) -> Iterator[tuple[int, float]]:
    """Yields the service's process and the seconds to its first `ready`; stops it as engines do."""
    with LOG.open("w") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*as_an_engine_does(), *command], stdout=log, stderr=subprocess.STDOUT
        )
        while status("/health/ready", None) != 200:
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                sys.exit(f"the service does not start:\n{LOG.read_text()}")
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        pid = int(output("pgrep", "--newest", "--uid", str(USER), "--full", "face serve"))
        yield pid, seconds
        os.kill(pid, 15)
        process.wait(PATIENCE)  # its status is the signal's, which the service hands on at its end
        check("Finished server process" in LOG.read_text(), "it stops in order when told to")


def run_in_container(*options: str) -> list[str]:
    return [*BUILDAH, "run", "--isolation=chroot", *options, CONTAINER, "--"]


def as_an_engine_does() -> list[str]:
    """Its root read-only, /data a volume. What stays open to root alone is `/` itself."""
    folders = [f for f in ROOT.iterdir() if f.is_dir() and not f.is_symlink()]
    closed = [f for f in folders if f.name not in {"data", "dev", "proc", "run", "sys"}]
    volumes = [f"--volume={folder}:/{folder.name}:ro" for folder in closed]
    return run_in_container(f"--volume={WORK}/data:/data", *volumes)


def inside(command: Sequence[str]) -> int:
    return subprocess.run([*as_an_engine_does(), *command], capture_output=True).returncode


def unwritable() -> bool:
    """Everywhere but in the volume."""
    places = ["/", "/etc", "/opt/face", "/run", "/tmp", "/var/tmp"]
    script = f"for place in {' '.join(places)}; do touch $place/a && exit 1; done; touch /data/a"
    return inside(["sh", "-c", f"{script} && rm /data/a"]) == 0


def status(path: str, key: str | None) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        request = urllib.request.Request(f"{ADDRESS}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code
    except OSError:
        return 0


def resident(pid: int) -> int:
    """MB of memory that the process holds."""
    (kib,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kib) * 1024 // 1_000_000


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


def check(right: bool, said: str) -> None:
    if not right:
        sys.exit(f"not so: {said}\n{LOG.read_text()}")
    print(f"ok: {said}", flush=True)


if __name__ == "__main__":
    main()
