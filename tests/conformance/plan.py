"""What each of the client's operations is called with, in which order, and what the contract wants of it.

Routes of one shape are called alike for all types; what is left has a row in `SPECIAL`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import drppy_client

import bodies
import checks
from bodies import BROKER, BUNDLE, BY_PREFIX, CLUSTER, JOB, MACHINE, NAME, NOTE, PROVIDER, Fixture
from calls import Client, Wish
from operations import Operation, Route

#: What is done in turn: everything is made, looked at and changed, then taken away in the reverse order.
CREATE, USE, LATER, DELETE = range(4)

#: How to find the item in a path of objects: `*` stands for an argument.
_SHAPES = (
    "GET ",
    "HEAD ",
    "POST ",
    "GET *",
    "HEAD *",
    "PUT *",
    "PATCH *",
    "POST */params",
    "PATCH */params",
    "GET */params",
    "POST */params/*",
    "GET */params/*",
    "DELETE */params/*",
    "GET */pubkey",
    "GET */actions",
    "GET */actions/*",
    "POST */actions/*",
    "DELETE *",
)

_FILE, _ISO = "conformance/hello.txt", "conformance.tar"
_HELLO = "hello from the conformance run\n"
_POOL = bodies.ALONE

Arguments = Callable[[Client], dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One operation with its arguments, and what the contract wants of it."""

    operation: Operation
    order: tuple[int, int, int]
    arguments: Arguments
    wish: Wish
    #: Makes what the call needs, with plain requests.
    prepare: Callable[[Client], object]


@dataclass(frozen=True)
class Special:
    """A call that has a shape of its own."""

    arguments: Arguments | dict[str, Any]
    check: checks.Check = checks.nothing
    refusals: tuple[int, ...] = ()
    raw: bool = False
    phase: int = USE
    prepare: Callable[[Client], object] = lambda _: None


def _token(client: Client) -> str:
    """Returns the token of the content update that was started."""
    return str((client.answers.get("start_content_archive_update") or {}).get("Token", "none"))


def _allocated(client: Client) -> str:
    """Returns the address that the subnet allocated."""
    return str((client.answers.get("allocate_subnet") or {}).get("Addr", "10.99.0.50"))


def _connection(client: Client) -> str:
    """Returns the key of a connection: there is at least the one that asks."""
    listed = client.answers.get("list_connections") or []
    return listed[0]["RemoteAddr"] if listed else "127.0.0.1:1"


def _spare(prefix: str, name: str) -> Special:
    """Cleans up an object that was made for it."""
    key = bodies.SPARE[prefix]
    return Special(
        {"uuid": key},
        checks.member("Uuid", key),
        prepare=lambda client: client.plain("POST", f"/{prefix}", {"Uuid": key, "Name": name}),
    )


def _stage(client: Client) -> None:
    """Stages what looks like a release."""
    client.plain("POST", "/system/upgrade/stage", bodies.RELEASE, "application/octet-stream")


_RENAME = [{"op": "add", "path": "/Description", "value": "started"}]
_NO_OBJECT = {"body": _RENAME}

#: Calls of one route each. Their order is their order here; everything of `LATER` follows everything of `USE`.
SPECIAL: dict[str, Special] = {
    # 8.2, 12
    "post_event": Special({"body": bodies.EVENT}),
    "get_info": Special({}, lambda answer: None if answer.json["address"] == "127.0.0.1" else "`address` (12.1)"),
    "get_logs": Special({}),
    "list_objects": Special({}, checks.contains("machines")),
    "fill_whoami": Special(
        {"body": {"MacAddrs": [bodies.MAC], "OnDiskUUID": MACHINE}},
        lambda answer: None if answer.json["Result"]["Uuid"] == MACHINE else "the machine was not found (12.6)",
    ),
    "list_prefs": Special({}, checks.contains("defaultStage")),
    "set_prefs": Special({"body": {"unknownTokenTimeout": "601"}}, checks.member("unknownTokenTimeout", "601")),
    "list_interfaces": Special({}, lambda answer: None if answer.json else "no interface at all (7.14)"),
    "get_interface": Special({"name": "lo"}, checks.member("Name", "lo")),
    "list_indexes": Special({}, checks.contains("machines")),
    "get_index": Special({"prefix": "machines"}, checks.contains("Name")),
    "get_single_index": Special({"prefix": "machines", "param": "Name"}, checks.member("Unique", True)),
    "get_meta": Special({"type": "machines", "id": MACHINE}, checks.member("color", "green")),
    "patch_meta": Special(
        {"type": "machines", "id": MACHINE, "body": [{"op": "replace", "path": "/color", "value": "red"}]},
        checks.member("color", "red"),
    ),
    "list_connections": Special({}),
    "get_connection": Special(lambda client: {"id": _connection(client)}),
    # 11.1
    "upload_file": Special({"path": _FILE, "body": _HELLO}, checks.member("Path", f"/{_FILE}")),
    "list_files": Special({}, checks.contains("conformance/")),
    "get_file": Special({"path": _FILE}, checks.text(_HELLO), raw=True),
    "head_file": Special({"path": _FILE}, checks.tagged),
    "delete_file": Special({"path": _FILE}),
    "upload_iso": Special({"path": _ISO, "body": _HELLO}, checks.member("Path", _ISO)),
    "list_isos": Special({}, checks.contains(_ISO)),
    "get_iso": Special({"path": _ISO}, checks.text(_HELLO), raw=True),
    "head_iso": Special({"path": _ISO}, checks.tagged),
    "delete_iso": Special({"path": _ISO}),
    # 11.4, 14.3
    "create_content": Special({"body": BUNDLE}, checks.member("Counts", {"params": 1})),
    "list_contents": Special({}, lambda answer: checks.contains(BUNDLE["meta"]["Name"])(_names(answer))),
    "get_content": Special({"name": BUNDLE["meta"]["Name"]}, checks.member("meta", BUNDLE["meta"])),
    "upload_content": Special({"name": BUNDLE["meta"]["Name"], "body": BUNDLE}, checks.member("Counts", {"params": 1})),
    "delete_content": Special({"name": BUNDLE["meta"]["Name"]}),
    "list_content_archives": Special({}),
    "list_content_archive_sources": Special({}),
    "start_content_archive_update": Special({}, lambda answer: None if answer.json["Token"] else "no token (14.3)"),
    "get_update_status": Special({}),
    "add_staged_item": Special(lambda client: {"token": _token(client), "body": BUNDLE}),
    "commit_update": Special(
        lambda client: {
            "token": _token(client),
            "body": [{"Op": "add", "Name": BUNDLE["meta"]["Name"], "Version": "v1.0.0", "Path": ""}],
        }
    ),
    "cancel_content_update": Special(
        {}, prepare=lambda client: client.plain("POST", "/content_archives/update/start", {})
    ),
    # 11.5: a text is no component, and so no provider; bytes the client cannot send. A fresh endpoint has none.
    "upload_plugin_provider": Special({"name": NAME, "body": "no component"}, refusals=(400, 422)),
    "list_plugin_providers": Special({}),
    "head_plugin_providers": Special({"name": NAME}),
    "get_plugin_provider": Special({"name": PROVIDER}),
    "head_plugin_provider": Special({"name": PROVIDER}),
    # The client takes every answer for text, which a program is not.
    "get_plugin_provider_binary": Special({"name": NAME}, refusals=(404,)),
    "delete_plugin_provider": Special({"name": NAME}, refusals=(404,)),
    # 6.5, 12.5, 14.4: nothing is staged, so there is nothing to execute.
    "get_system_actions": Special({}),
    "get_system_action": Special({"cmd": NAME}),
    "post_system_action": Special({"cmd": NAME, "body": {}}),
    "system_status": Special({}),
    "system_update_exec": Special({}, refusals=(404, 409)),
    "system_update_run": Special({}, refusals=(404, 409)),
    "system_update_unstage": Special({}, prepare=_stage),
    # 2.2, 2.6, 17.2
    "get_user_token": Special({"name": NAME}, lambda answer: None if answer.json["Token"] else "no token (2.2)"),
    "put_user_password": Special({"body": {"Password": "another"}}, refusals=(404,)),
    # 7, 7A: one type each
    "purge_local_boot_env": Special({"body": ["amd64"]}, refusals=(404,)),
    "get_template_render": Special({"id": NAME, "uuid": MACHINE}, checks.text(f"{NAME}.example.org")),
    "get_machine_render": Special(
        {"uuid": MACHINE, "body": "{{ .Machine.Name }}"}, checks.text(f"{NAME}.example.org"), raw=True
    ),
    "get_cluster_render": Special({"uuid": CLUSTER, "body": "{{ .Machine.Name }}"}, checks.text(f"{NAME}-cluster")),
    "get_resource_broker_render": Special(
        {"uuid": BROKER, "body": "{{ .Machine.Name }}"}, checks.text(f"{NAME}-broker")
    ),
    "get_machine_token": Special({"uuid": MACHINE}, lambda answer: None if answer.json["Token"] else "no token (2.3)"),
    "get_cluster_token": Special({"uuid": CLUSTER}, lambda answer: None if answer.json["Token"] else "no token (2.3)"),
    "get_resource_broker_token": Special(
        {"uuid": BROKER}, lambda answer: None if answer.json["Token"] else "no token (2.3)"
    ),
    "list_machine_connections": Special({"uuid": MACHINE}),
    "list_cluster_connections": Special({"uuid": CLUSTER}),
    "list_resource_broker_connections": Special({"uuid": BROKER}),
    "start_machine": Special(_NO_OBJECT, refusals=(404,)),
    "start_cluster": Special(_NO_OBJECT, refusals=(404,)),
    "start_resource_broker": Special(_NO_OBJECT, refusals=(404,)),
    "pick_machine_work_order": Special({"uuid": MACHINE, "key": NAME}, refusals=(404,)),
    "post_machine_release_to_pool": Special({"uuid": MACHINE}, refusals=(404,)),
    "get_pipeline_execution": Special({}, refusals=(404,)),
    "get_pipeline_execution_by_id": Special({}, refusals=(404,)),
    "post_alert_ack": Special({"uuid": bodies.ALERT}, checks.member("Acknowledged", True)),
    "restart_batch": Special({}, refusals=(404,)),
    "restart_work_order": Special({}, refusals=(404,)),
    "delete_work_orders": Special({}),
    "allocate_subnet": Special(
        {"name": NAME, "body": {"Token": NAME, "Strategy": "MAC", "Scoped": False}}, checks.member("Allocated", True)
    ),
    "del_subnet_release": Special(
        lambda client: {"name": NAME, "ip": _allocated(client)}, checks.member("Token", NAME)
    ),
    "get_zone_info": Special({}),
    "get_zone_view": Special({"name": NAME}, checks.contains("www")),
    "post_zone_import": Special({"body": bodies.ZONE_FILE}, checks.member("Origin", "imported.example.")),
    # 9
    "get_job_actions": Special(
        {"uuid": JOB}, lambda answer: None if answer.json[0]["Name"] == "say" else "actions (9.4)"
    ),
    "get_job_plugin_actions": Special({"uuid": JOB}),
    "get_job_action": Special({"uuid": JOB}, refusals=(404,)),
    "post_job_action": Special({"uuid": JOB}, refusals=(404,)),
    "put_job_log": Special({"uuid": JOB}),
    "get_job_log": Special({"uuid": JOB}, raw=True),
    "head_job_log": Special({"uuid": JOB}),
    "get_job_log_archive": Special({"uuid": JOB}),
    "system_update": Special({}),
    "system_update_stage": Special({}),
    # 13, in the order of a machine's way through a pool
    "list_active_pools": Special({}, checks.contains("default"), phase=LATER),
    "post_pool_add_machines": Special({"id": NAME, "body": _POOL}, lambda answer: _pooled(answer, "Free"), phase=LATER),
    "post_pool_allocate_machines": Special(
        {"id": NAME, "body": _POOL}, lambda answer: _pooled(answer, "InUse"), phase=LATER
    ),
    "get_pool_status": Special({"id": NAME}, checks.contains("InUse"), phase=LATER),
    "post_pool_release_machines": Special(
        {"id": NAME, "body": _POOL}, lambda answer: _pooled(answer, "Free"), phase=LATER
    ),
    "post_pool_remove_machines": Special(
        {"id": NAME, "body": _POOL}, lambda answer: _pooled(answer, "Free"), phase=LATER
    ),
    "post_cluster_release_to_pool": Special({"uuid": CLUSTER}, refusals=(409, 422), phase=LATER),
    "post_resource_broker_release_to_pool": Special({"uuid": BROKER}, refusals=(409, 422), phase=LATER),
    # 14.9
    "cleanup_machine": _spare("machines", f"{NAME}-spare"),
    "cleanup_cluster": _spare("clusters", f"{NAME}-spare-cluster"),
    "cleanup_resource_broker": _spare("resource_brokers", f"{NAME}-spare-broker"),
}

#: What calls of a common shape need before them.
_PREPARE: dict[str, Callable[[Client], object]] = {
    # The current job of a machine ends before it goes.
    "delete_job": lambda client: client.plain(
        "PATCH",
        f"/jobs/{JOB}",
        [
            {"op": "replace", "path": "/State", "value": "finished"},
            {"op": "replace", "path": "/ExitState", "value": "complete"},
        ],
    ),
    # A work order and a batch go only when they are over.
    "delete_batch": lambda client: client.plain(
        "PATCH", f"/batches/{bodies.BATCH}", [{"op": "replace", "path": "/State", "value": "cancelled"}]
    ),
    "delete_work_order": lambda client: client.plain(
        "PATCH", f"/work_orders/{bodies.ORDER}", [{"op": "replace", "path": "/State", "value": "cancelled"}]
    ),
}

_SPECIAL_ORDER = {name: place for place, name in enumerate(SPECIAL)}
_TYPE_ORDER = {fixture.prefix: place for place, fixture in enumerate(bodies.FIXTURES)}


def calls(operations: list[Operation], contract: dict[str, Route]) -> list[Call]:
    """Returns a call of each operation, in the order in which they are made."""
    return sorted((_call(operation, contract[operation.name]) for operation in operations), key=lambda call: call.order)


def undocumented(planned: list[Call]) -> list[str]:
    """Returns the refusals of the plan that the contract's table does not name for their routes."""
    return [
        f"{call.operation.name}: the contract does not name {code}"
        for call in planned
        for code in call.wish.refusals
        if code not in call.wish.codes
    ]


def misspelt(operations: list[Operation]) -> list[str]:
    """Returns the members of the fixtures that the client's classes do not know, and so would drop in silence."""
    kinds = {
        operation.prefix: operation.body_type
        for operation in operations
        if operation.path == f"/{operation.prefix}" and operation.method == "POST"
    }
    lines = []
    for fixture in bodies.FIXTURES:
        known = set(getattr(drppy_client, kinds[fixture.prefix]).attribute_map.values())
        lines += [f"{fixture.prefix}: `{name}` is no member" for name in fixture.body if name not in known]
    return lines


def _call(operation: Operation, route: Route) -> Call:
    special = SPECIAL.get(operation.name)
    if special is not None:
        given = special.arguments
        arguments = given if callable(given) else lambda _: dict(given)
        order = (special.phase, len(bodies.FIXTURES), _SPECIAL_ORDER[operation.name])
        wish = Wish(route.codes, special.refusals, bool(operation.literal), special.raw, special.check)
        return Call(operation, order, arguments, wish, special.prepare)
    fixture = BY_PREFIX.get(operation.prefix)
    words = ["*" if segment.startswith("{") else segment for segment in operation.segments[1:] if segment != "group"]
    shape = f"{operation.method} {'/'.join(words)}"
    if fixture is None or shape not in _SHAPES:
        raise LookupError(f"`{operation.name}` has no row in the plan")
    wish = Wish(route.codes, (404,) if operation.literal else (), bool(operation.literal), False, _check(shape, fixture, operation))
    prepare = _PREPARE.get(operation.name, lambda _: None)
    return Call(operation, _order(shape, fixture, operation), _arguments(shape, fixture, operation), wish, prepare)


def _order(shape: str, fixture: Fixture, operation: Operation) -> tuple[int, int, int]:
    place = _TYPE_ORDER[fixture.prefix]
    if shape == "POST ":
        return CREATE, place, 0
    if shape == "DELETE *":
        return DELETE, -place, 0
    # The params of the group come after those of the object itself.
    return USE, place, _SHAPES.index(shape) + ("group" in operation.segments) * len(_SHAPES)


def _arguments(shape: str, fixture: Fixture, operation: Operation) -> Arguments:
    """Returns what a call of this shape is made with; the first argument of a path is the object's key."""
    values = {"cmd": NAME, "key": NOTE}

    def arguments(client: Client) -> dict[str, Any]:
        given = {word: values.get(word, fixture.key) for word in operation.required if word != "body"}
        if operation.takes_body:
            given["body"] = _body(shape, fixture, client)
        return given

    return arguments


def _body(shape: str, fixture: Fixture, client: Client) -> Any:
    put, patched = fixture.values
    if shape == "PUT *":
        # As people do it: what was read, with one member changed.
        read = client.answers.get(f"GET {fixture.prefix}") or fixture.body
        return {**read, fixture.member: put} if fixture.member else read
    change = [
        {"op": "test", "path": f"/{fixture.member}", "value": put},
        {"op": "replace", "path": f"/{fixture.member}", "value": patched},
    ]
    return {
        "POST ": fixture.body,
        "PATCH *": change,
        "POST */params": {NOTE: "posted"},
        "PATCH */params": [
            {"op": "test", "path": "/conformance~1note", "value": "posted"},
            {"op": "replace", "path": "/conformance~1note", "value": "patched"},
        ],
        "POST */params/*": "set",
        "POST */actions/*": {},
    }[shape]


def _check(shape: str, fixture: Fixture, operation: Operation) -> checks.Check:
    key_member = {"leases": "Addr", "reservations": "Addr", "templates": "ID"}.get(fixture.prefix)
    key_member = key_member or next(name for name in ("Uuid", "Id", "Name") if name in fixture.body)
    found = {
        "GET ": checks.lists(key_member, fixture.key),
        "HEAD ": checks.counts,
        "POST ": checks.holds(fixture),
        "HEAD *": checks.tagged,
        "PUT *": checks.member(fixture.member, fixture.values[0]),
        "PATCH *": checks.member(fixture.member, fixture.values[1]),
        "DELETE *": checks.member(key_member, fixture.key),
        "POST */params": checks.equals({NOTE: "posted"}),
        "PATCH */params": checks.equals({NOTE: "patched"}),
        "GET */params": checks.member(NOTE, "patched"),
        "POST */params/*": checks.equals("set"),
        "GET */params/*": checks.equals("set"),
        "DELETE */params/*": checks.equals("set"),
        "GET */pubkey": checks.public_key,
    }
    if shape == "GET *":
        return checks.whole(fixture, operation.answer_type or "")
    return found.get(shape, checks.nothing)


def _names(answer: Any) -> Any:
    """Returns the answer with the names of its bundles in place of their summaries."""
    answer.json = [summary["meta"]["Name"] for summary in answer.json]
    return answer


def _pooled(answer: Any, status: str) -> str | None:
    """The one machine is in this status now (13.3)."""
    return (
        None if [result["Status"] for result in answer.json] == [status] else f"{answer.json!r}, not `{status}` (13.3)"
    )
