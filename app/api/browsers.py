"""Against pages of other sites, which can send requests from their reader's browser."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# A page shows nothing of elsewhere, runs no script that is not its own, and is shown in no frame.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
PAGE_HEADERS = {
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


def refuse_other_sites(scope: Scope) -> None:
    """A form on any web page can post to a service on its reader's loopback; browsers say so."""
    site = Headers(scope=scope).get("sec-fetch-site", "none")
    if scope["method"] not in SAFE_METHODS and site in {"cross-site", "same-site"}:
        raise HTTPException(
            403, "a page of another site may not use this service through its reader's browser"
        )


def refuse_other_names(scope: Scope) -> None:
    """DNS rebinding: a name of an attacker's that leads to loopback makes a page same-origin."""
    host = Headers(scope=scope).get("host", "")
    if not _is_loopback(urlsplit(f"//{host}").hostname or ""):
        raise HTTPException(
            403,
            "a service without keys answers to localhost alone; make a key, or set FACE_AUTH=off "
            "if something else guards it",
        )


def protect(headers: MutableHeaders) -> None:
    """Completes the headers of an answer; what its route has set stays."""
    headers["x-content-type-options"] = "nosniff"
    kind = headers.get("content-type", "")
    if kind.startswith("text/html"):
        headers.setdefault("content-security-policy", policy())
        for name, value in PAGE_HEADERS.items():
            headers.setdefault(name, value)
    elif "json" in kind:
        headers.setdefault("cache-control", "no-store")


def policy(**other: str) -> str:
    """The content security policy; `script_src="..."` takes the place of that directive."""
    given = {name.replace("_", "-"): value for name, value in other.items()}
    return "; ".join(f"{name} {value}" for name, value in (POLICY | given).items())


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
