"""The service with a certificate of its own."""

import re
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trustme

from app.errors import SettingsError
from app.main import check_certificate
from app.settings import Settings, read_settings
from tests.process import ROOT, environment_in


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[trustme.CA, dict[str, str]]:
    """Who signed it, and the settings that name its files."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return authority, {"FACE_TLS_CERT": str(cert), "FACE_TLS_KEY": str(key)}


def test_it_answers_over_tls_alone(certificate, tmp_path: Path):
    authority, files = certificate
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        cwd=ROOT,
        env=environment_in(tmp_path) | files,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            found = re.search(r"https://[\d.:]+", process.stdout.readline())
            assert found
            url = found[0]
            assert httpx.get(f"{url}/health/ready", verify=trusted).json() == {"status": "ok"}
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{url.replace('https', 'http')}/health/ready")
        finally:
            process.kill()


def test_files_that_are_no_certificate_are_named(certificate, tmp_path: Path):
    _, files = certificate
    cert, key = Path(files["FACE_TLS_CERT"]), Path(files["FACE_TLS_KEY"])
    check_certificate(Settings(tls_cert=cert, tls_key=key))
    for wrong in (tmp_path / "absent", Path(__file__), cert):
        with pytest.raises(SettingsError, match="FACE_TLS_KEY="):
            check_certificate(Settings(tls_cert=cert, tls_key=wrong))
    with pytest.raises(SettingsError, match="together"):
        read_settings({"tls_cert": cert})
