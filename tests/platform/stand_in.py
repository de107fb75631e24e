"""A stand-in for the services' commands, so that the supervisor can be tested without them.

    python stand_in.py SERVICE serve|migrate|topics|keys|divisions|staff ...

Keys it has made are files in RUN_DIR/stand-in-keys; `serve` answers /readyz, and 401 to a key that is not there.
"""

import json
import os
import secrets
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEYS = Path(os.environ.get("RUN_DIR", ".")) / "stand-in-keys"


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200 if self.path == "/readyz" else 404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self._answer(422 if key and (KEYS / key).exists() else 401)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def serve(service: str) -> None:
    if os.environ.get("STAND_IN_DIES") == service:
        print(f"{service} cannot go on", flush=True)
        sys.exit(3)
    assert os.environ["DATABASE_URL"] and os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    port = int(os.environ[f"SHOUWANG_{service.upper()}_PORT"])
    ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()


def make_key() -> None:
    KEYS.mkdir(exist_ok=True)
    key = f"swtest.{secrets.token_hex(8)}"
    (KEYS / key).touch()
    print(json.dumps({"key": key}))


def main() -> None:
    service, command = sys.argv[1], sys.argv[2]
    if command == "serve":
        serve(service)
    elif command == "keys":
        make_key()
    elif "--password-stdin" in sys.argv:
        assert len(sys.stdin.readline()) > 8


if __name__ == "__main__":
    main()
