"""nginx in front of replicas, as a balancer: whoever is up gets the next request."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.scale.milvus import free_port
from tests.scale.postgresql import Missing

READY_SECONDS = 10
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    upstream replicas {{
        {servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://replicas;
            proxy_connect_timeout 1s;
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """Yields its address. Raises Missing."""
    # Debian keeps it where an ordinary account's PATH does not look.
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise Missing("nginx is not installed")
    port = free_port()
    servers = "\n".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in ports)
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=port))
    # Else root's nginx would hand its folders to another account.
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    with subprocess.Popen([program, "-p", str(folder), "-c", str(file), *user]) as process:
        try:
            until = time.monotonic() + READY_SECONDS
            while not _listens(port):
                assert process.poll() is None, "nginx did not start"
                assert time.monotonic() < until, "nginx does not answer"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
