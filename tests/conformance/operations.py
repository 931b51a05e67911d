"""The operations of the installed Python client, read from its classes at run time."""

from __future__ import annotations

import csv
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drppy_client
from drppy_client.api_client import ApiClient

#: The operations of drppy-client 4.17 (drp-api.md appendix B).
COUNT = 661

_SUFFIX = "_with_http_info"
_PLACE = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Operation:
    """One method of one API class, and the request that it makes."""

    name: str
    api: str
    #: The arguments that it demands, in order.
    required: tuple[str, ...]
    #: Whether it takes a body, demanded or not.
    takes_body: bool
    #: The class of its body as the client documents it, for instance `Machine`, `object` or `list[str]`.
    body_type: str
    method: str
    path: str
    #: What its answer is decoded to; none when the client throws it away.
    answer_type: str | None
    #: Its media type when it is not JSON.
    media_type: str | None
    #: The placeholders that it sends as they are, for want of an argument (drp-api.md 17.2).
    literal: tuple[str, ...]

    @property
    def segments(self) -> list[str]:
        """Returns the path's segments."""
        return self.path.strip("/").split("/")

    @property
    def prefix(self) -> str:
        """Returns the first segment: for objects the name of the type."""
        return self.segments[0]


@dataclass(frozen=True)
class Route:
    """One row of `routes.tsv`: what the contract says of an operation."""

    operation: str
    method: str
    path: str
    codes: frozenset[int]


def routes(path: Path) -> dict[str, Route]:
    """Returns the contract's routes by operation."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        found = [
            Route(r["operation"], r["method"], r["path"], frozenset(map(int, r["codes"].split(",")))) for r in rows
        ]
    return {route.operation: route for route in found}


def read() -> list[Operation]:
    """Returns all operations of the installed client, in the order of its classes."""
    seen: list[dict[str, Any]] = []
    client = ApiClient()
    client.client_side_validation = False
    client.call_api = lambda path, method, *rest, **named: seen.append(
        {"path": path, "method": method, "places": rest[0], "headers": rest[2], "answer": named.get("response_type")}
    )
    found = []
    for api, kind in vars(drppy_client).items():
        if api.endswith("Api") and isinstance(kind, type):
            for name in sorted(vars(kind)):
                if name.endswith(_SUFFIX):
                    found.append(_operation(api, name.removesuffix(_SUFFIX), getattr(kind(client), name), seen))
    return found


def _operation(api: str, name: str, call: Callable[..., Any], seen: list[dict[str, Any]]) -> Operation:
    required = tuple(word for word in inspect.signature(call).parameters if word != "kwargs")
    seen.clear()
    call(*required)
    request = seen[0]
    body = re.search(r":param (\S+) body:", call.__doc__ or "")
    media = request["headers"].get("Content-Type", "application/json")
    return Operation(
        name=name,
        api=api,
        required=required,
        takes_body=body is not None,
        body_type=body.group(1) if body else "",
        method=request["method"],
        path=request["path"],
        answer_type=request["answer"],
        media_type=None if "json" in media else media,
        literal=tuple(place for place in _PLACE.findall(request["path"]) if place not in request["places"]),
    )


def disagreements(found: list[Operation], contract: dict[str, Route]) -> list[str]:
    """Returns what the installed client and the contract's table say differently."""
    lines = [] if len(found) == COUNT else [f"the client has {len(found)} operations, the contract counts {COUNT}"]
    by_name = {operation.name: operation for operation in found}
    lines += [f"{name}: not in `routes.tsv`" for name in by_name if name not in contract]
    for name, route in contract.items():
        operation = by_name.get(name)
        if operation is None:
            lines.append(f"{name}: not in the client")
        elif (operation.method, operation.path) != (route.method, route.path):
            lines.append(
                f"{name}: the client sends {operation.method} {operation.path}, not {route.method} {route.path}"
            )
    return lines
