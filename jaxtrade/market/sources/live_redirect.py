"""Another address for the services, for tests and proxies: `JAXTRADE_LIVE_URL=http://127.0.0.1:PORT`."""

import os
from typing import Any
from urllib.parse import urlsplit


def live_url() -> str | None:
    """Return the address that stands in for all services, None for their own."""
    return os.environ.get("JAXTRADE_LIVE_URL", "").rstrip("/") or None


def redirect(address: Any, to: str) -> Any:
    """Return an address with another scheme and host; of a dictionary or list, all of them."""
    if isinstance(address, dict):
        return {name: redirect(each, to) for name, each in address.items()}
    if isinstance(address, list):
        return [redirect(each, to) for each in address]
    parts = urlsplit(address) if isinstance(address, str) else None
    if parts is None or not parts.scheme.startswith("http"):
        return address
    return to + parts.path + f"?{parts.query}" * bool(parts.query)
