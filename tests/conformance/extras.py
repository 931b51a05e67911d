"""Calls beside the 661: the routes that the client names but cannot reach, and its class for declared types."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import drppy_client
from drppy_client.api.custom_overrides import SecureData
from drppy_client.api.raw_model_api import RawModelApi

import bodies
import checks
from bodies import BATCH, BROKER, CLUSTER, DECLARED, JOB, MACHINE, NAME, NOTE, ORDER
from calls import Client, Wish, perform
from table import Row

_LOG = "line one\n"
_START = [{"op": "add", "path": "/Description", "value": "started"}]

#: A route with a real key: the operation that names it, method, path, body, class of the answer, and what is wanted.
_REAL: tuple[tuple[str, str, str, Any, str | None, Wish], ...] = (
    ("put_job_log", "PUT", f"/jobs/{JOB}/log", _LOG, None, Wish(frozenset({204}))),
    ("get_job_log", "GET", f"/jobs/{JOB}/log", None, "str", Wish(raw=True, check=checks.text(_LOG))),
    ("get_job_action", "GET", f"/jobs/{JOB}/plugin_actions/{NAME}", None, "AvailableAction", Wish()),
    ("post_job_action", "POST", f"/jobs/{JOB}/plugin_actions/{NAME}", {}, "object", Wish()),
    (
        "start_machine",
        "PATCH",
        f"/machines/{MACHINE}/start",
        _START,
        "Machine",
        Wish(check=checks.member("Description", "started")),
    ),
    (
        "start_cluster",
        "PATCH",
        f"/clusters/{CLUSTER}/start",
        _START,
        "Cluster",
        Wish(check=checks.member("Description", "started")),
    ),
    (
        "start_resource_broker",
        "PATCH",
        f"/resource_brokers/{BROKER}/start",
        _START,
        "ResourceBroker",
        Wish(check=checks.member("Description", "started")),
    ),
    ("pick_machine_work_order", "POST", f"/machines/{MACHINE}/pick/{NAME}", {}, None, Wish(refusals=(409,))),
    ("get_pipeline_execution", "GET", f"/machines/{MACHINE}/pipeline-execution", None, None, Wish()),
    (
        "get_pipeline_execution_by_id",
        "GET",
        f"/machines/{MACHINE}/pipeline-execution/{bodies.RUN}",
        None,
        None,
        Wish(),
    ),
    (
        "post_machine_release_to_pool",
        "POST",
        f"/machines/{MACHINE}/releaseToPool",
        {},
        "list[PoolResult]",
        Wish(),
    ),
    ("restart_batch", "POST", f"/batches/{BATCH}/restart", {}, "Batch", Wish(refusals=(409,))),
    ("restart_work_order", "POST", f"/work_orders/{ORDER}/restart", {}, "WorkOrder", Wish(refusals=(409,))),
    ("purge_local_boot_env", "DELETE", f"/bootenvs/{NAME}/purgeLocal", ["amd64"], "bool", Wish()),
    (
        "put_user_password",
        "PUT",
        f"/users/{NAME}/password",
        {"Password": "another"},
        "User",
        Wish(check=checks.member("Name", NAME)),
    ),
    ("get_user_token", "GET", f"/users/{NAME}/token", None, "UserToken", Wish()),
    ("system_update_stage", "POST", "/system/upgrade/stage", bodies.RELEASE, "BlobInfo", Wish()),
    ("system_update", "POST", "/system/upgrade", "no release", "BlobInfo", Wish(refusals=(400,))),
)

#: Routes whose bodies are raw bytes.
_BYTES = ("put_job_log", "system_update", "system_update_stage")


def rows(client: Client) -> list[Row]:
    """Makes the calls: `real:` are routes with real keys, `secure:` sealed values, `raw:` a declared type."""
    run = [{"op": "add", "path": "/Meta/pipeline-uuid", "value": bodies.RUN}]
    client.plain("PATCH", f"/machines/{MACHINE}", run)
    client.plain("POST", "/pools/default/allocateMachines", bodies.ALONE)
    return [_real(client, *row) for row in _REAL] + _sealed(client) + _declared(client)


def _real(client: Client, name: str, method: str, path: str, body: Any, kind: str | None, wish: Wish) -> Row:
    media = "application/octet-stream" if name in _BYTES else "application/json"
    return perform(
        client,
        f"real:{name}",
        lambda: client.call_api(
            path,
            method,
            {},
            [],
            {"Content-Type": media},
            body=body,
            response_type=kind,
            auth_settings=["basicAuth"],
            _return_http_data_only=True,
        ),
        wish,
    )


def _sealed(client: Client) -> list[Row]:
    """A value that the client's own helper sealed comes back sealed, and clear with `decode` (6.3)."""
    params, profiles = drppy_client.ParamsApi(client), drppy_client.ProfilesApi(client)
    secret = client.model({"Name": bodies.SECRET, "Secure": True, "Schema": {"type": "string"}}, "Param")
    made = perform(
        client, "secure:create", lambda: params.create_param(secret), Wish(check=checks.member("Secure", True))
    )

    def seal() -> Any:
        sealed = SecureData()
        sealed.seal(base64.b64decode(profiles.get_profile_pub_key(NAME)), "quiet")
        return profiles.post_profile_param(vars(sealed), NAME, bodies.SECRET)

    def stays_sealed(answer: Any) -> str | None:
        sealed = isinstance(answer.json, dict) and set(answer.json) == {"Key", "Nonce", "Payload"}
        return None if sealed else f"{answer.json!r} is no sealed value (6.3)"

    everywhere = [_round_trip(client, fixture) for fixture in bodies.FIXTURES if "Params" in fixture.body]
    return [
        made,
        *everywhere,
        perform(client, "secure:machine_override", lambda: _override(client), Wish(check=checks.equals("quiet"))),
        perform(client, "secure:post_sealed", seal, Wish()),
        perform(
            client, "secure:get", lambda: profiles.get_profile_param(NAME, bodies.SECRET), Wish(check=stays_sealed)
        ),
        perform(
            client,
            "secure:get_decoded",
            lambda: profiles.get_profile_param(NAME, bodies.SECRET, decode=True),
            Wish(check=checks.equals("quiet")),
        ),
        perform(client, "secure:post_clear", lambda: profiles.post_profile_param("loud", NAME, bodies.SECRET), Wish()),
        perform(
            client,
            "secure:get_sealed_by_the_server",
            lambda: profiles.get_profile_param(NAME, bodies.SECRET),
            Wish(check=stays_sealed),
        ),
        perform(client, "secure:delete_value", lambda: profiles.delete_profile_param(NAME, bodies.SECRET), Wish()),
        perform(client, "secure:delete", lambda: params.delete_param(bodies.SECRET), Wish()),
    ]


def _round_trip(client: Client, fixture: bodies.Fixture) -> Row:
    """What the client's helper sealed to the key of an object of one type opens again, and goes."""
    item = f"/{fixture.prefix}/{fixture.key}"
    path = f"{item}/params/{bodies.SECRET}"

    def trip() -> Any:
        sealed = SecureData()
        sealed.seal(base64.b64decode(_asked(client, "GET", f"{item}/pubkey")), fixture.prefix)
        posted = _asked(client, "POST", path, vars(sealed))
        clear = _asked(client, "GET", f"{path}?decode=true")
        if (posted, clear) != (vars(sealed), fixture.prefix):
            raise ValueError(f"{posted!r} opens to {clear!r}")
        return _asked(client, "DELETE", path)

    return perform(client, f"secure:round_trip_{fixture.prefix}", trip, Wish())


def _override(client: Client) -> Any:
    """Sets a param by the method that the client replaces with one which seals, and reads it in the clear."""
    machines = drppy_client.MachinesApi(client)
    machines.post_machine_param("quiet", MACHINE, bodies.SECRET)
    clear = machines.get_machine_param(MACHINE, bodies.SECRET, decode=True)
    answer = client.last_response
    machines.delete_machine_param(MACHINE, bodies.SECRET)
    client.last_response = answer
    return clear


def _asked(client: Client, method: str, path: str, body: Any = None) -> Any:
    """Makes a request and returns the JSON of its answer; a refusal is raised."""
    client.call_api(
        path,
        method,
        {},
        [],
        {"Content-Type": "application/json"},
        body=body,
        auth_settings=["basicAuth"],
        _return_http_data_only=True,
    )
    return json.loads(client.last_response.data)


def _declared(client: Client) -> list[Row]:
    """The whole life of an object of a type that a store object declares (7.26)."""
    raw = RawModelApi(client)
    body = {"Id": NAME, "Description": "a gadget", "Weight": 3, "Params": {NOTE: "first"}}
    change = [{"op": "test", "path": "/Weight", "value": 4}, {"op": "replace", "path": "/Weight", "value": 5}]
    note = [{"op": "replace", "path": "/conformance~1note", "value": "patched"}]
    steps: list[tuple[str, Callable[[], Any], Wish]] = [
        ("create", lambda: raw.create(DECLARED, body), Wish(frozenset({201}), check=checks.member("Type", DECLARED))),
        ("list", lambda: raw.list(DECLARED, "Id", "Eq", NAME), Wish(check=checks.lists("Id", NAME))),
        ("count", lambda: raw.count(DECLARED), Wish(check=checks.counts)),
        ("exists", lambda: raw.exists(DECLARED, NAME) or raw.show(DECLARED, NAME), Wish()),
        ("show", lambda: raw.show(DECLARED, NAME), Wish(check=checks.member("Weight", 3))),
        (
            "update",
            lambda: raw.update(DECLARED, NAME, {**body, "Type": DECLARED, "Weight": 4}),
            Wish(check=checks.member("Weight", 4)),
        ),
        ("patch", lambda: raw.patch(DECLARED, NAME, change), Wish(check=checks.member("Weight", 5))),
        (
            "patch_against_the_schema",
            lambda: raw.patch(DECLARED, NAME, [{"op": "replace", "path": "/Weight", "value": "heavy"}]),
            Wish(refusals=(422,)),
        ),
        (
            "set_params",
            lambda: raw.set_params(DECLARED, NAME, {NOTE: "posted"}),
            Wish(check=checks.equals({NOTE: "posted"})),
        ),
        ("patch_params", lambda: raw.patch_params(DECLARED, NAME, note), Wish(check=checks.equals({NOTE: "patched"}))),
        ("get_params", lambda: raw.get_params(DECLARED, NAME), Wish(check=checks.member(NOTE, "patched"))),
        ("set_param", lambda: raw.set_param(DECLARED, NAME, NOTE, "set"), Wish(check=checks.equals("set"))),
        ("get_param", lambda: raw.get_param(DECLARED, NAME, NOTE), Wish(check=checks.equals("set"))),
        ("delete_param", lambda: raw.delete_param(DECLARED, NAME, NOTE), Wish(check=checks.equals("set"))),
        ("get_pubkey", lambda: raw.get_pubkey(DECLARED, NAME), Wish(check=checks.public_key)),
        ("list_actions", lambda: raw.list_actions(DECLARED, NAME), Wish()),
        ("get_action", lambda: raw.get_action(DECLARED, NAME, NAME), Wish(refusals=(404,))),
        ("run_action", lambda: raw.run_action(DECLARED, NAME, NAME, {}), Wish(refusals=(404,))),
        (
            "undeclare_with_objects",
            lambda: drppy_client.StoreObjectsApi(client).delete_store_object(DECLARED),
            Wish(refusals=(409,)),
        ),
        ("delete", lambda: raw.delete(DECLARED, NAME), Wish(check=checks.member("Id", NAME))),
    ]
    return [perform(client, f"raw:{name}", call, wish) for name, call, wish in steps]
