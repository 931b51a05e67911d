"""What the Go client asks of objects: bodies with null, patches with tests, the errors that its fixtures compare."""

from __future__ import annotations

import json
from typing import Any

import drppy_client

from go_session import Fault, Session, check, equal, step, zero

#: An object of each type that the Go client has a struct for, apart from jobs: its class, its key, and what is posted
#: besides an unset struct.
TYPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bootenvs": ("BootEnv", "go-bootenv", {"Name": "go-bootenv"}),
    "catalog_items": ("CatalogItem", "go-item", {"Id": "go-item", "Type": "catalog_items"}),
    "contexts": ("Context", "go-context", {"Name": "go-context"}),
    "endpoints": ("Endpoint", "go-endpoint", {"Id": "go-endpoint"}),
    "leases": ("Lease", "10.98.0.6", {"Addr": "10.98.0.6", "Token": "a", "Strategy": "MAC", "State": "ACK"}),
    "machines": ("Machine", "Name:go-machine", {"Name": "go-machine"}),
    "params": ("Param", "go/param", {"Name": "go/param"}),
    "plugins": ("Plugin", "go-plugin", {"Name": "go-plugin", "Provider": "go-provider"}),
    "pools": ("Pool", "go-pool", {"Id": "go-pool"}),
    "profiles": ("Profile", "go-profile", {"Name": "go-profile"}),
    "reservations": ("Reservation", "10.98.0.5", {"Addr": "10.98.0.5", "Token": "b", "Strategy": "MAC"}),
    "roles": ("Role", "go-role", {"Name": "go-role"}),
    "stages": ("Stage", "go-stage", {"Name": "go-stage"}),
    "subnets": (
        "Subnet",
        "go-subnet",
        {
            "Name": "go-subnet",
            "Subnet": "10.98.0.1/24",
            "ActiveStart": "10.98.0.100",
            "ActiveEnd": "10.98.0.200",
            "ActiveLeaseTime": 60,
            "ReservedLeaseTime": 7200,
            "Strategy": "MAC",
        },
    ),
    "tasks": ("Task", "go-task", {"Name": "go-task"}),
    "templates": ("Template", "go-template", {"ID": "go-template", "Contents": "x"}),
    "tenants": ("Tenant", "go-tenant", {"Name": "go-tenant"}),
    "users": ("User", "go-user", {"Name": "go-user"}),
    "version_sets": ("VersionSet", "go-set", {"Id": "go-set"}),
    "workflows": ("Workflow", "go-workflow", {"Name": "go-workflow"}),
}
#: Members that a Go struct leaves out when they are empty.
_OMITTED = {
    "pools": {
        "Description",
        "Documentation",
        "ParentPool",
        "EnterActions",
        "ExitActions",
        "AllocateActions",
        "ReleaseActions",
        "AutoFill",
    }
}


def _whole_life(prefix: str) -> None:
    kind, key, least = TYPES[prefix]

    def life(session: Session) -> None:
        posted = {**zero(kind), **least}
        made = session.send("POST", f"/{prefix}", posted).wanted(201).json()
        _canonical(kind, made, _OMITTED.get(prefix, set()))
        item = f"/{prefix}/{key}"
        read = session.get(item)
        # What Go writes again: the answer decoded over what it posted.
        omitted = _OMITTED.get(prefix, set())
        kept = {name: value for name, value in posted.items() if value is not None and name not in omitted}
        again = {**kept, **read}
        member = "Description" if "Description" in members_of(kind) else "Meta"
        value = {"color": "red"} if member == "Meta" else "changed"
        session.patch(item, ("test", "", again), ("add", f"/{member}", value)).wanted(200)
        equal(member, session.get(item)[member], value)
        _test_fails(session, prefix, item, member)
        session.send("HEAD", item).wanted(200)
        equal("answer to DELETE", session.send("DELETE", item).wanted(200).json()[member], value)
        session.send("HEAD", item).wanted(404)

    life.__name__ = f"life_of_{prefix}"
    life.__doc__ = (
        f"Unset lists and maps are posted as null, the whole document is tested, {prefix} go (3.1, 5.3, 17.1)."
    )
    check(life)


def _test_fails(session: Session, prefix: str, item: str, member: str) -> None:
    """A `test` that does not hold has the two messages of 1.5, the second with the whole patch."""
    error = session.patch(item, ("test", f"/{member}", "nothing like it")).wanted(409).json()
    # Go writes the members of a struct in their order, indented by two spaces; so does this.
    wanted = "Patch: " + json.dumps([step("test", f"/{member}", "nothing like it")], indent=2)
    equal("Messages", error["Messages"], ["Patch error at line 0: Test op failed.", wanted])
    equal("Type, Model", [error["Type"], error["Model"]], ["PATCH", prefix])


def members_of(kind: str) -> set[str]:
    """Returns the members of a class of the Python client, which are those of the Go struct."""
    return set(getattr(drppy_client, kind).attribute_map.values())


def _canonical(kind: str, found: dict[str, Any], omitted: set[str]) -> None:
    """The answer has every member, and neither lists, maps nor strings are null (3.1)."""
    model = getattr(drppy_client, kind)
    for name, text in model.swagger_types.items():
        member = model.attribute_map[name]
        if member not in found and member not in omitted | {"PasswordHash"}:
            raise Fault(f"the answer lacks `{member}` (17.1)")
        if found.get(member, "") is None and (text == "str" or text.startswith(("list[", "dict("))):
            raise Fault(f"`{member}` is null (3.1)")


for _prefix in TYPES:
    _whole_life(_prefix)


@check
def create_of_an_existing_key(session: Session) -> None:
    """A POST that is sent again after a lost answer is told that the object exists (1.5, 17.1)."""
    body = {**zero("Profile"), "Name": "go-again"}
    session.send("POST", "/profiles", body).wanted(201)
    error = session.send("POST", "/profiles", body).wanted(409).json()
    session.send("DELETE", "/profiles/go-again").wanted(200)
    equal(
        "error",
        error,
        {"Model": "profiles", "Key": "go-again", "Type": "CREATE", "Messages": ["already exists"], "Code": 409},
    )


@check
def empty_patch_changes_nothing(session: Session) -> None:
    """A patch of no operations is a success (5.3)."""
    equal("profile", session.patch("/profiles/global").wanted(200).json()["Name"], "global")


@check
def params_are_patched_against_their_map(session: Session) -> None:
    """`drpcli X params` tests the whole map at the empty path; an unset param is null, not 404 (5.3, 6.1)."""
    session.send("PATCH", "/profiles/global/params", [step("test", "", {}), step("add", "/go~1note", 1)]).wanted(200)
    equal("param", session.get("/profiles/global/params/go/note"), 1)
    equal("encoded param", session.get("/profiles/global/params/go%2Fnote"), 1)
    equal("removed", session.send("DELETE", "/profiles/global/params/go/note").wanted(200).json(), 1)
    equal("unset", session.get("/profiles/global/params/go/note?aggregate=true"), None)


@check
def meta_is_patched_against_its_map(session: Session) -> None:
    """`drpcli X meta set` patches the map of one object (6.4)."""
    meta = session.get("/meta/profiles/global")
    changed = session.send("PATCH", "/meta/profiles/global", [step("test", "", meta), step("add", "/go", "x")]).wanted(
        200
    )
    equal("meta", changed.json(), {**meta, "go": "x"})
    session.send("PATCH", "/meta/profiles/global", [step("remove", "/go")]).wanted(200)


@check
def errors_of_single_objects(session: Session) -> None:
    """Error objects are as fixtures compare them (1.5)."""
    rows: tuple[tuple[str, str, Any, str, str, int, str], ...] = (
        ("GET", "/machines/foo", None, "machines", "foo", 404, "Not Found"),
        ("DELETE", "/machines/foo", None, "machines", "foo", 404, "Not Found"),
        ("PATCH", "/machines/foo", [], "machines", "foo", 404, "Not Found"),
        ("GET", "/bootenvs/OnlyUnknown:true", None, "bootenvs", "OnlyUnknown:true", 404, "Not Found"),
        ("GET", "/leases/0.0.0.0", None, "leases", "00000000", 404, "Not Found"),
        ("GET", "/contents/foo", None, "contents", "foo", 404, "No such content store"),
        ("DELETE", "/contents/foo", None, "contents", "foo", 404, "No such content store"),
        ("GET", "/stages?limit=-1", None, "stages", "", 406, "Limit cannot be negative"),
        ("GET", "/stages?offset=-1", None, "stages", "", 406, "Offset cannot be negative"),
    )
    for method, path, body, model, key, code, message in rows:
        error = session.send(method, path, body).wanted(code).json()
        equal(
            f"{method} {path}", error, {"Model": model, "Key": key, "Type": method, "Messages": [message], "Code": code}
        )


@check
def errors_of_files(session: Session) -> None:
    """Error objects of files are as fixtures compare them (1.5)."""
    for path, method, message in (
        ("/files/none", "GET", "Not a regular file"),
        ("/files/none", "DELETE", "Unable to delete"),
        ("/isos/none", "GET", "Not a regular file"),
    ):
        error = session.send(method, path).wanted(404).json()
        equal(f"{method} {path}", [error["Key"], error["Messages"]], ["/none", [message]])


@check
def error_of_an_unknown_interface(session: Session) -> None:
    """An unknown interface is `No interface` (1.5, 7.14)."""
    equal("messages", session.send("GET", "/interfaces/none").wanted(404).json()["Messages"], ["No interface"])


@check
def errors_of_machines(session: Session) -> None:
    """The messages about a machine's references are as fixtures compare them (1.5)."""
    key = "00000000-0000-4000-8000-0000000000aa"
    rows: tuple[tuple[dict[str, Any], list[str]], ...] = (
        ({"Name": ""}, [f"{key}: Invalid Name ``"]),
        ({"Name": "go", "Stage": "nil", "BootEnv": "nil"}, ["Stage nil does not exist", "Bootenv nil does not exist"]),
        (
            {"Name": "go", "BootEnv": "ignore"},
            ["BootEnv ignore does not allow Machine assignments, it has the OnlyUnknown flag."],
        ),
        ({"Name": "go", "Profiles": ["nil"]}, [f"{key}: Profile nil (at 0) does not exist"]),
        ({"Name": "go", "Profiles": ["global", "global"]}, [f"{key}: Duplicate profile global: at 0 and 1"]),
    )
    for more, messages in rows:
        error = session.send("POST", "/machines", {**zero("Machine"), "Uuid": key, **more}).wanted(422).json()
        equal(str(more), [error["Type"], error["Messages"]], ["ValidationError", messages])
