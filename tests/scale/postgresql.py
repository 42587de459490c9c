"""A real PostgreSQL for tests: a cluster in a new folder, reached by a socket, gone at the end.

PostgreSQL refuses to run as root; then it runs as the first of `ORDINARY` that exists.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

ORDINARY = ("postgres", "nobody")
# Tests kill services, never the machine: nothing has to reach the disk. No old log is kept.
FAST = ("fsync=off", "full_page_writes=off", "max_connections=200", "wal_recycle=off")
OWNER = "face"
READY_SECONDS = 30


class Missing(Exception):
    """Why there can be none here."""


class Cluster:
    def __init__(self, folder: Path, settings: tuple[str, ...] = FAST) -> None:
        """`folder` exists and is empty."""
        self.data = folder / "data"
        self._folder = folder
        self._programs = _programs()
        self._account = _ordinary_account()
        self._numbers = count(1)
        if self._account:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        self._run("initdb", "-D", str(self.data), "-U", OWNER, "-A", "trust", "--no-sync")
        options = [f"-c{setting}" for setting in settings]
        self._server = self._start(
            "postgres", "-D", str(self.data), "-k", str(folder), "-h", "", *options
        )
        self._wait()

    def new_database(self, options: str = "") -> str:
        """Its URL."""
        name = f"faces{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} {options}")
        return f"postgresql+psycopg://{OWNER}@/{name}?host={self._folder}"

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Each a transaction of its own; what the last one printed."""
        said = ""
        for statement in statements:
            place = ("-h", str(self._folder), "-U", OWNER, "-d", database)
            said = self._run("psql", *place, "-v", "ON_ERROR_STOP=1", "-qAtc", statement)
        return said

    def stop(self) -> None:
        self._server.send_signal(signal.SIGQUIT)  # at once; nothing is kept
        self._server.wait(READY_SECONDS)

    def _wait(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.sql("SELECT 1")
            except RuntimeError:
                if self._server.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def _run(self, *command: str) -> str:
        program = self._start(*command)
        said, _ = program.communicate()
        if program.returncode:
            raise RuntimeError(f"{' '.join(command)}: {said}")
        return said

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        account = self._account
        return subprocess.Popen(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            stdout=subprocess.DEVNULL if program == "postgres" else subprocess.PIPE,
            stderr=subprocess.DEVNULL if program == "postgres" else subprocess.STDOUT,
            text=True,
        )


@contextmanager
def cluster(settings: tuple[str, ...] = FAST) -> Iterator[Cluster]:
    """Raises Missing."""
    # Not in pytest's own folder, which another account may not enter.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder), settings)
        try:
            yield made
        finally:
            made.stop()


def _programs() -> Path:
    if asked := shutil.which("pg_config"):
        folder = Path(
            subprocess.run([asked, "--bindir"], capture_output=True, text=True).stdout.strip()
        )
        if (folder / "initdb").exists():
            return folder
    raise Missing("PostgreSQL's server is not installed (pg_config --bindir has no initdb)")


def _ordinary_account() -> pwd.struct_passwd | None:
    """None: this process is an ordinary one itself."""
    if os.geteuid() != 0:
        return None
    for name in ORDINARY:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing(f"PostgreSQL does not run as root, and there is no user {' or '.join(ORDINARY)}")
