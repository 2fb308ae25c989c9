"""A stand-in for an identity provider: Microsoft's forms, tokens that end, and whom the provider asks about a token.

Runs in the provider's container, HTTPS for hosts and plain HTTP on its loopback for Dovecot and for tests, and within
the unit tests.
"""

import base64
import json
import secrets
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CLIENT = "11112222-3333-4444-5555-666677778888"
SECRET = "Q~7w2e9r4t6y1u8i3o5"  # opens nothing but this lab
INSIDE = 8080


class Idp:
    """What it knows; a test may change it."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.answers = True
        self.lives = 3600.0
        # Whether the person consents to what is asked next.
        self.approves = True
        # Device codes, and refresh tokens that are good.
        self.codes: set[str] = set()
        self.refresh: set[str] = set()
        # Access token -> when it ends.
        self.access: dict[str, float] = {}
        self.asked: list[str] = []
        # An error in place of each token: name and description.
        self.refuses: tuple[str, str] | None = None
        self._lock = threading.Lock()

    def revoke(self) -> None:
        """End all consents and tokens."""
        self.refresh, self.access = set(), {}

    def form(self, path: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and answer to a form."""
        with self._lock:
            step = path.rpartition("/")[2]
            if step == "introspect":
                ends = self.access.get(fields.get("token", ""), 0)
                return 200, {"active": ends > time.time(), "username": self.user}
            if fields.get("client_id") != CLIENT:
                return 400, _error("unauthorized_client", "AADSTS700016: Application was not found in the directory.")
            if step == "devicecode":
                code = secrets.token_urlsafe(40)
                self.codes.add(code)
                page = "https://login.microsoftonline.com/device"
                codes = {"device_code": code, "user_code": "HOMELAB42", "verification_uri": page}
                return 200, {**codes, "expires_in": 900, "interval": 1}
            return self._token(fields)

    def _token(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind = fields.get("grant_type", "").rpartition(":")[2]
        self.asked.append(kind)
        if self.refuses:
            return 400, _error(*self.refuses)
        if kind == "device_code":
            if fields.get("device_code") not in self.codes:
                return 400, _error("expired_token", "AADSTS70020: The provided value for device_code is expired.")
            if not self.approves:
                return 400, _error("authorization_pending", "AADSTS70016: Authorization is pending.")
            self.codes.remove(fields["device_code"])
        elif kind == "client_credentials":
            if fields.get("client_secret") != SECRET:
                return 401, _error("invalid_client", "AADSTS7000215: Invalid client secret provided.")
        elif fields.get("refresh_token") not in self.refresh:
            return 400, _error("invalid_grant", "AADSTS50173: The provided grant has expired due to it being revoked.")
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": self.lives}
        # As long as Microsoft's.
        answer["access_token"] = secrets.token_urlsafe(1500)
        self.access[answer["access_token"]] = time.time() + self.lives
        if kind != "client_credentials":
            self.refresh.discard(fields.get("refresh_token", ""))
            answer["refresh_token"] = secrets.token_urlsafe(900)
            self.refresh.add(answer["refresh_token"])
            claims = base64.urlsafe_b64encode(json.dumps({"preferred_username": self.user}).encode()).decode()
            answer["id_token"] = f"e30.{claims.rstrip('=')}.none"
        return 200, answer

    def control(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Change what a test wants changed; what was asked of it."""
        if wanted.pop("revoke", False):
            self.revoke()
        for name, value in wanted.items():
            setattr(self, name, value)
        return {"asked": self.asked, "refresh": sorted(self.refresh), "access": sorted(self.access)}


def _error(name: str, description: str) -> dict[str, str]:
    return {"error": name, "error_description": f"{description} Trace ID: 0\r\nCorrelation ID: 1"}


class Server(ThreadingHTTPServer):
    """It, at a port."""

    daemon_threads = True

    def close(self) -> None:
        """Leave the port."""
        self.shutdown()
        self.server_close()

    def handle_error(self, _request: object, _address: object) -> None:
        """Who breaks off is of no interest."""


def server(idp: Idp, port: int, certificate: str = "", address: str = "127.0.0.1") -> Server:
    """Let it answer at a port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if self.path == "/control" and not certificate:
                status, answer = 200, idp.control(json.loads(body))
            elif certificate and not idp.answers:
                return
            else:
                fields = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
                status, answer = idp.form(self.path, fields)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: object) -> None:
            """Nothing of it is logged."""

    made = Server((address, port), Handler)
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=made.serve_forever, args=[0.01], daemon=True).start()
    return made


if __name__ == "__main__":
    known = Idp(sys.argv[1])
    server(known, INSIDE)
    server(known, 443, sys.argv[2], "0.0.0.0")
    threading.Event().wait()
