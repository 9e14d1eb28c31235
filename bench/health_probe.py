"""Looks at a server's `/health` twenty times a second, until standard input ends.

    python health_probe.py ADDRESS

Prints the seconds of every look, as a JSON list. A process of its own: among two
hundred clients on one event loop it would measure these.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from urllib.parse import urlsplit

EVERY_SECONDS = 0.05


def look(host: str) -> float:
    """Return the seconds that an answer takes, connecting included."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", "/health")
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise SystemExit(f"/health: found status {response.status}")
    return time.perf_counter() - began


def main() -> None:
    """Run as a command."""
    host, waits = urlsplit(sys.argv[1]).netloc, []
    while not select.select([sys.stdin], [], [], EVERY_SECONDS)[0]:
        waits.append(look(host))
    print(json.dumps(waits))


if __name__ == "__main__":
    main()
