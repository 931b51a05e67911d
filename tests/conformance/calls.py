"""Calls of the Python client against an endpoint, and what they come to."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import drppy_client
import urllib3
from drppy_client.api_client import ApiClient
from drppy_client.configuration import Configuration
from drppy_client.rest import ApiException

from endpoint import PASSWORD, USER, Endpoint
from table import Row

#: Seconds that one answer may take.
TIMEOUT = 30
#: How often a request is sent whose connection breaks before an answer.
ATTEMPTS = 3
#: The most characters of a request or an answer that a failure shows.
SHOWN = 900

_ERROR_MEMBERS = {"Model", "Key", "Type", "Messages", "Code"}


@dataclass
class Answer:
    """What came back for one call."""

    status: int
    #: Header values by lower-case name.
    headers: dict[str, str]
    #: The body as text.
    text: str
    #: What the client decoded it to.
    value: Any = None
    #: The body as JSON, or none.
    json: Any = None


@dataclass(frozen=True)
class Wish:
    """What the contract wants of a call."""

    #: The status codes that it names for the route; empty for calls outside of its table.
    codes: frozenset[int] = frozenset()
    #: The refusals of which such a call is due one; none when it is to succeed.
    refusals: tuple[int, ...] = ()
    #: Whether the client sends the request with a placeholder in its path, so that it cannot reach an object.
    unreachable: bool = False
    #: Whether the success is raw bytes, of any media type.
    raw: bool = False
    #: Says what is wrong with a success, or nothing.
    check: Callable[[Answer], str | None] = field(default=lambda _: None)


class Client(ApiClient):  # type: ignore[misc]
    """The client, with the last request and its answer kept."""

    def __init__(self, endpoint: Endpoint) -> None:
        urllib3.disable_warnings()
        # Each of the client's configurations sets the level of its loggers anew.
        logging.disable(logging.WARNING)
        configuration = Configuration()
        configuration.host = endpoint.base
        configuration.username, configuration.password = USER, PASSWORD
        configuration.verify_ssl = False
        super().__init__(configuration)
        self.endpoint = endpoint
        self.sent: tuple[str, str, Any] = ("", "", None)
        #: The JSON of the last success of each operation, for operations that build on others.
        self.answers: dict[str, Any] = {}

    def request(self, method: str, url: str, **named: Any) -> Any:
        """Sends a request and keeps it.

        It is sent again when the connection turns out to be closed: that an endpoint may do so unasked is a check of
        its own in `go_requests.py`, and must not hit whichever operation happens to come next.
        """
        self.sent = (method, url, named.get("body"))
        named["_request_timeout"] = TIMEOUT
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(urllib3.exceptions.ProtocolError):
                return super().request(method, url, **named)
        return super().request(method, url, **named)

    def model(self, data: Any, kind: str) -> Any:
        """Returns the JSON value as the client's class `kind`; what has no class of its own stays as it is."""
        plain = kind in ("", "object", "str", "Patch") or kind.startswith("list[")
        return data if plain else self._ApiClient__deserialize(data, kind)  # The class's own decoder has this name.

    def plain(self, method: str, path: str, body: Any = None, media: str = "application/json") -> Any:
        """Makes a request outside of the operations and returns its JSON; what prepares a call may fail in silence."""
        try:
            self.call_api(
                path,
                method,
                {},
                [],
                {"Content-Type": media},
                body=body,
                auth_settings=["basicAuth"],
                _return_http_data_only=True,
            )
            return json.loads(self.last_response.data)
        except (ApiException, ValueError):
            return None

    def knows(self, url: str) -> bool:
        """Returns whether the endpoint has the route of a HEAD that was refused: only a GET tells why."""
        try:
            super().request("GET", url, headers=self._authorization(), _request_timeout=TIMEOUT)
        except ApiException as error:
            return not _no_route(error.status, _json(_text(error)))
        return True

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": str(self.configuration.get_basic_auth_token())}


def perform(client: Client, name: str, call: Callable[[], Any], wish: Wish) -> Row:
    """Makes one call and judges what comes back."""
    client.sent, client.last_response = ("", "", None), None
    try:
        value = call()
    except ApiException as error:
        outcome, reason = _refused(client, error, wish)
        return Row(name, outcome, reason, _detail(client, error.status, _text(error)))
    except urllib3.exceptions.HTTPError as error:
        return Row(name, "wrong", f"no answer: {type(error).__name__}", _detail(client, 0, str(error)))
    except Exception as error:  # noqa: BLE001 - the client's decoders raise whatever they happen to meet.
        answered = client.last_response
        detail = _detail(client, answered.status, answered.data) if answered else _detail(client, 0, "")
        return Row(name, "wrong", f"not decoded: {error}", detail)
    response = client.last_response
    answer = Answer(
        response.status,
        {key.lower(): value for key, value in response.getheaders().items()},
        response.data or "",
        value,
        _json(response.data),
    )
    fault = _fault(client.sent[0], answer, wish)
    if fault:
        return Row(name, "wrong", fault, _detail(client, answer.status, answer.text))
    client.answers[name] = answer.json
    unnamed = bool(wish.codes) and answer.status not in wish.codes
    named = " ".join(str(code) for code in sorted(wish.codes) if code < 300)
    return Row(name, "ok", f"{answer.status}, the contract names {named}" if unnamed else "")


def _refused(client: Client, error: ApiException, wish: Wish) -> tuple[str, str]:
    """Returns outcome and reason of an answer that is no success."""
    if error.status == 0:
        return "not-issuable", "the client cannot send it"
    body = _json(_text(error))
    head = client.sent[0] == "HEAD"
    absent = not client.knows(client.sent[1]) if head and error.status in (404, 405) else _no_route(error.status, body)
    if absent:
        return "missing", "no such route"
    messages = "; ".join(map(str, body.get("Messages") or [])) if isinstance(body, dict) else "no JSON"
    reason = f"{error.status} {'' if head else messages}".strip()
    if not head and (not isinstance(body, dict) or not set(body) >= _ERROR_MEMBERS or body["Code"] != error.status):
        return "wrong", f"{error.status} without the error object of 1.5"
    if error.status == 501:
        return "501", reason
    if error.status not in wish.refusals:
        return "wrong", reason
    return ("not-issuable" if wish.unreachable else "4xx"), reason


def _fault(method: str, answer: Answer, wish: Wish) -> str | None:
    """Returns what is wrong with a success."""
    media = answer.headers.get("content-type", "")
    if method != "HEAD" and not wish.raw and not media.startswith("application/json"):
        return f"{answer.status} with the media type `{media}` (1.2)"
    if wish.refusals and not wish.unreachable:
        named = " or ".join(map(str, wish.refusals))
        return f"{answer.status}, but the contract names {named} for this"
    try:
        return wish.check(answer)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        return f"unexpected shape: {type(error).__name__} {error}"


def _no_route(status: int, body: Any) -> bool:
    """Returns whether this is how an endpoint says that it has no such route, as opposed to no such object."""
    messages = (isinstance(body, dict) and body.get("Messages")) or [""]
    return status == 405 or (status == 404 and str(messages[0]).startswith("no route"))


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return None


def _text(error: ApiException) -> str:
    body = getattr(error, "body", "") or ""
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)


def _detail(client: Client, status: int, text: Any) -> str:
    method, url, body = client.sent
    lines = [f"{method} {url}"]
    if body is not None:
        lines.append("request: " + json.dumps(client.sanitize_for_serialization(body))[:SHOWN])
    return "\n".join([*lines, f"answer: {status} {str(text)[:SHOWN]}"])


def api(client: Client, name: str) -> Any:
    """Returns the API class `name` of the client."""
    return getattr(drppy_client, name)(client)
