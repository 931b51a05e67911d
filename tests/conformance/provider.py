"""The plugin whose action the operations about actions are called with."""

from __future__ import annotations

import base64
import time
import urllib.request
from pathlib import Path

from bodies import PROVIDER
from calls import Client
from endpoint import PASSWORD, USER, unverified

#: Seconds that it may take until it is offered; a debug build compiles it first.
SECONDS = 120


def offer(client: Client, file: Path) -> None:
    """Uploads the plugin and waits until it offers its actions."""
    # The client sends no bytes but text.
    request = urllib.request.Request(
        f"{client.endpoint.base}/plugin_providers/{PROVIDER}", data=file.read_bytes(), method="POST"
    )
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request.add_header("Authorization", f"Basic {credentials}")
    request.add_header("Content-Type", "application/octet-stream")
    urllib.request.urlopen(request, timeout=SECONDS, context=unverified()).close()
    client.plain("POST", "/plugins", {"Name": PROVIDER, "Provider": PROVIDER})
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = client.plain("GET", f"/plugins/{PROVIDER}")
        if found and found["Available"] and client.plain("GET", "/system/actions"):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the plugin offers nothing after {SECONDS} s: {client.plain('GET', f'/plugins/{PROVIDER}')}")
