"""Requests as the Go client 4.8 makes them (drp-api.md 17.1): what it sends, what it leaves out, and what it counts."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import drppy_client
import websocket

from endpoint import PASSWORD, USER, Endpoint, unverified

#: Seconds that an answer or an event may take, unless a check waits for longer.
TIMEOUT = 10
#: The time of a Go struct that nobody set.
ZERO_TIME = "0001-01-01T00:00:00Z"


class Fault(Exception):
    """The endpoint did not do what the contract says."""


class Missing(Exception):
    """The endpoint has no such route."""


class NotHereYet(Exception):
    """The endpoint says itself that it cannot do this (501)."""


@dataclass(frozen=True)
class Reply:
    """One answer."""

    request: str
    status: int
    #: Header values by lower-case name.
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body as JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Fault(f"{self.request}: the answer is no JSON: {self.body[:200]!r}") from None

    def wanted(self, *statuses: int) -> Reply:
        """Returns the answer when its status is one of these."""
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise Fault(
                f"{self.request}: {self.status} instead of {wanted}: {self.body[:400].decode(errors='replace')}"
            )
        return self


class Session:
    """A client with its credentials; one connection, kept open, without ALPN."""

    def __init__(self, endpoint: Endpoint, authorization: str | None = None) -> None:
        """Talks to `endpoint` with an `Authorization` header; by default that of the first user."""
        self.endpoint = endpoint
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.authorization = authorization or f"Basic {basic}"
        address = urlsplit(endpoint.url)
        self._connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=TIMEOUT, context=unverified()
        )

    def bearer(self, token: str) -> Session:
        """Returns a session of its own connection with this token."""
        return Session(self.endpoint, f"Bearer {token}")

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = TIMEOUT
    ) -> Reply:
        """Sends a request as Go does: a body is JSON or bytes, and `b""` is an empty one with a media type."""
        sent = {
            "Authorization": self.authorization,
            "Accept": "application/json",
            "Cache-Control": "no-store",
            "User-Agent": "Go-http-client/1.1",
        }
        data: bytes | None = None
        if isinstance(body, bytes):
            data = body
            sent["Content-Type"] = "application/octet-stream" if body else "application/json"
        elif body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.timeout = timeout
        root = path if path.startswith(("/swagger", "//")) else f"/api/v3{path}"
        self._connection.request(method, root, data, sent)
        response = self._connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        reply = Reply(f"{method} {path}", response.status, found, response.read())
        _known(reply)
        return reply

    def get(self, path: str, **named: Any) -> Any:
        """Returns the JSON of a successful GET."""
        return self.send("GET", path, **named).wanted(200).json()

    def create(self, prefix: str, body: dict[str, Any], kind: str) -> Any:
        """Creates an object with a whole Go struct as the body and returns the answer."""
        return self.send("POST", f"/{prefix}", {**zero(kind), **body}).wanted(201).json()

    def patch(self, path: str, *operations: tuple[Any, ...]) -> Reply:
        """Sends a patch; each operation is `(op, path[, value])` and gets `from: ""`, as Go writes it."""
        return self.send("PATCH", path, [step(*operation) for operation in operations])

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def step(op: str, path: str, *value: Any) -> dict[str, Any]:
    """Returns one operation of a patch in the Go client's shape."""
    return {"op": op, "path": path, "from": "", **({"value": value[0]} if value else {})}


def zero(kind: str) -> dict[str, Any]:
    """Returns the JSON of an unset Go struct: `null` for lists and maps, the zero time, empty strings (3.1, 17.1)."""
    model = getattr(drppy_client, kind)
    return {
        model.attribute_map[name]: _zero(text)
        for name, text in model.swagger_types.items()
        if name not in ("created_at", "created_by", "last_modified_at", "last_modified_by", "password_hash")
    }


#: Members of the client's classes that are structs in Go, not pointers: they are written even when nobody set them.
_STRUCTS = ("OsInfo", "MachineFingerprint")


def _zero(text: str) -> Any:
    plain = {"str": "", "bool": False, "int": 0, "datetime": ZERO_TIME}
    return zero(text) if text in _STRUCTS else plain.get(text)


def _known(reply: Reply) -> None:
    """Raises when the endpoint has no such route or says that it cannot do it yet."""
    if reply.status == 501:
        raise NotHereYet(f"{reply.request}: {reply.body[:200].decode(errors='replace')}")
    if reply.status == 405 or reply.status == 404 and b'"no route ' in reply.body:
        raise Missing(reply.request)


class Events:
    """An event stream that counts acknowledgements: the Go client blocks for ever when one is missing (8.3)."""

    def __init__(self, session: Session, path: str = "/ws", headers: bool = True) -> None:
        """Connects; the credentials are in a header, or in `path` alone."""
        self.acknowledged = 0
        self._pending: list[dict[str, Any]] = []
        sent = [f"Authorization: {session.authorization}"] if headers else []
        self._socket = websocket.create_connection(
            session.endpoint.base.replace("https", "wss", 1) + path,
            header=sent,
            timeout=TIMEOUT,
            sslopt={"cert_reqs": ssl.CERT_NONE, "check_hostname": False},
        )

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def command(self, text: str) -> dict[str, Any]:
        """Sends `register` or `deregister` with its filter and returns the acknowledgement."""
        self._socket.send(text)
        while True:
            event = self._receive(TIMEOUT, f"no acknowledgement of `{text}`")
            if event["Type"] == "websocket":
                self.acknowledged += 1
                return event
            self._pending.append(event)

    def next(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Returns the next event; one of the type `websocket` that nobody asked for is a fault."""
        if self._pending:
            return self._pending.pop(0)
        event = self._receive(timeout, f"no event within {timeout} s")
        if event["Type"] == "websocket":
            raise Fault("an event of the type `websocket` that acknowledges nothing (8.3)")
        return event

    def until(self, kind: str, action: str, key: str) -> dict[str, Any]:
        """Returns the first event of this type, action and key."""
        while True:
            event = self.next()
            if (event["Type"], event["Action"], event["Key"]) == (kind, action, key):
                return event

    def ping(self) -> None:
        """Sends a ping and waits for its pong."""
        self._socket.ping(b"conformance")
        while True:
            code, data = self._socket.recv_data(control_frame=True)
            if code == websocket.ABNF.OPCODE_PONG:
                if data != b"conformance":
                    raise Fault(f"the pong has other data: {data!r}")
                return

    def leave(self) -> int:
        """Sends a close frame and returns the code of the one that answers it."""
        self._socket.send_close(1000)
        try:
            while True:
                code, data = self._socket.recv_data(control_frame=True)
                if code == websocket.ABNF.OPCODE_CLOSE:
                    return int.from_bytes(data[:2], "big")
        except websocket.WebSocketConnectionClosedException:
            raise Fault("a close frame is not answered (8.3)") from None

    def _receive(self, timeout: float, otherwise: str) -> dict[str, Any]:
        self._socket.settimeout(timeout)
        try:
            event: dict[str, Any] = json.loads(self._socket.recv())
            return event
        except websocket.WebSocketTimeoutException:
            raise Fault(f"{otherwise} (8.3)") from None
        except websocket.WebSocketConnectionClosedException:
            raise Fault(f"{otherwise}: the connection was closed (8.3)") from None


Check = Callable[[Session], None]

#: All checks by name, in the order in which they run: modules add theirs when they are imported.
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Adds a check under the name of its function; it raises a fault when the rule of its docstring is broken."""
    CHECKS[function.__name__] = function
    return function


def equal(what: str, found: Any, wanted: Any) -> None:
    """Raises unless both are equal."""
    if found != wanted:
        raise Fault(
            f"{what}: {json.dumps(found, default=str)[:400]} instead of {json.dumps(wanted, default=str)[:400]}"
        )
