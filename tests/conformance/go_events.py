"""The Go client's event stream (drp-api.md 8)."""

from __future__ import annotations

import websocket

from go_session import Events, Fault, Session, check, equal


@check
def every_command_is_acknowledged(session: Session) -> None:
    """Each register and deregister is acknowledged once: known, twice the same, unknown, malformed (8.3)."""
    commands = [
        "register machines.*.*",
        "register machines.*.*",
        "deregister machines.*.*",
        "deregister nothing.at.all",
        "register malformed",
        "register a,b . c , d . *",
        "register profiles.update.with\\1dot",
        "register ...",
    ]
    with Events(session) as events:
        for command in commands:
            events.command(command)
        equal("acknowledgements", events.acknowledged, len(commands))
        # Nothing is left over: the next event is one that was asked for.
        events.command("register beeblebrox.*.*")
        _inject(session, "beeblebrox", "last")
        equal("next event", events.next()["Key"], "last")


@check
def change_after_the_acknowledgement_is_told(session: Session) -> None:
    """Register, modify, read: a change after the acknowledgement is told, with the object before it (8.3)."""
    with Events(session) as events:
        events.command("register profiles.*.go-event")
        session.create("profiles", {"Name": "go-event"}, "Profile")
        session.patch("/profiles/go-event", ("add", "/Description", "x")).wanted(200)
        session.send("DELETE", "/profiles/go-event").wanted(200)
        told = [events.next() for _ in range(3)]
    equal("actions", [event["Action"] for event in told], ["create", "update", "delete"])
    members = {"Time", "Type", "Action", "Key", "Principal", "Object", "Original"}
    for event in told:
        if not members <= event.keys():
            raise Fault(f"an event lacks {', '.join(sorted(members - event.keys()))} (8.1)")
    equal("Principal", told[1]["Principal"], "user:rocketskates")
    equal("Original", [event["Original"] and event["Original"]["Description"] for event in told], [None, "", None])
    equal("Object", [event["Object"]["Description"] for event in told], ["", "x", "x"])


@check
def nothing_is_told_after_deregister(session: Session) -> None:
    """After the acknowledgement of a deregister no event of that filter comes (8.3)."""
    with Events(session) as events:
        events.command("register beeblebrox.*.*")
        events.command("register zaphod.*.*")
        events.command("deregister beeblebrox.*.*")
        _inject(session, "beeblebrox", "unheard")
        _inject(session, "zaphod", "heard")
        equal("next event", events.next()["Key"], "heard")


@check
def event_is_told_once(session: Session) -> None:
    """An event that several filters match is told once, and unchanged (8.2, 8.3)."""
    with Events(session) as events:
        for command in ("register beeblebrox.*.*", "register *.wave.*", "register *.*.twice"):
            events.command(command)
        _inject(session, "beeblebrox", "twice")
        _inject(session, "beeblebrox", "end")
        first = events.next()
        equal("keys", [first["Key"], events.next()["Key"]], ["twice", "end"])
    equal("Object", first["Object"], {"Heads": 2})


@check
def filters_have_lists_and_escapes(session: Session) -> None:
    """A part is a list of values with blanks around them; `\\1` is a dot; the third part may have dots (8.3)."""
    with Events(session) as events:
        events.command("register beeblebrox , zaphod.wave,nod.a.b")
        events.command("register tri\\1cia.*.*")
        for kind, key in (("beeblebrox", "a.c"), ("beeblebrox", "a.b"), ("zaphod", "a.b"), ("tri.cia", "x")):
            _inject(session, kind, key)
        told = [events.next() for _ in range(3)]
    equal(
        "events",
        [[event["Type"], event["Key"]] for event in told],
        [["beeblebrox", "a.b"], ["zaphod", "a.b"], ["tri.cia", "x"]],
    )


@check
def order_is_that_of_the_commits(session: Session) -> None:
    """Events of one connection come in the order in which the operations committed (8.3)."""
    with Events(session) as events:
        events.command("register profiles.update.go-order")
        session.create("profiles", {"Name": "go-order"}, "Profile")
        wanted = [str(number) for number in range(30)]
        for number in wanted:
            session.patch("/profiles/go-order", ("add", "/Description", number)).wanted(200)
        told = [events.next()["Object"]["Description"] for _ in wanted]
    session.send("DELETE", "/profiles/go-order").wanted(200)
    equal("order", told, wanted)


@check
def password_is_not_told(session: Session) -> None:
    """Events of users have no password hash (8.1)."""
    with Events(session) as events:
        events.command("register users.*.go-secret")
        session.create("users", {"Name": "go-secret"}, "User")
        session.send("PUT", "/users/go-secret/password", {"Password": "quiet"}).wanted(200)
        session.send("DELETE", "/users/go-secret").wanted(200)
        told = [events.next() for _ in range(3)]
    for event in told:
        for member in ("Object", "Original"):
            if (event[member] or {}).get("PasswordHash"):
                raise Fault(f"`{member}` of `{event['Action']}` has the password hash (8.1)")


@check
def stream_needs_credentials(session: Session) -> None:
    """Without valid credentials the upgrade is refused with 401 or 403; a token may be in the query (8.3, 2.1)."""
    token = session.get("/users/rocketskates/token?ttl=60")["Token"]
    with Events(session, f"/ws?token={token}", headers=False) as events:
        events.command("register machines.*.*")
    for path in ("/ws", "/ws?token=nonsense"):
        try:
            Events(session, path, headers=False)
        except websocket.WebSocketBadStatusException as error:
            if error.status_code not in (401, 403):
                raise Fault(f"`{path}` without credentials: {error.status_code} (8.3)") from None
        else:
            raise Fault(f"`{path}` is open to anybody (8.3)")


@check
def stream_of_the_own_id(session: Session) -> None:
    """The Go client asks for `/api/v3/ws/{id}` when it goes through an endpoint (1.1)."""
    own = session.get("/info")["id"]
    try:
        with Events(session, f"/ws/{own}") as events:
            events.command("register machines.*.*")
    except websocket.WebSocketBadStatusException as error:
        raise Fault(f"`/ws/{{id}}`: {error.status_code} (1.1)") from None


@check
def stream_answers_ping_and_close(session: Session) -> None:
    """A ping is answered with its data, a close frame with a close frame (8.3)."""
    with Events(session) as events:
        events.command("register machines.*.*")
        events.ping()
        equal("code", events.leave(), 1000)


@check
def requests_in_the_event_loop(session: Session) -> None:
    """`drpcli machines wait`: register, read, change, be told, read; also of changes that the server made (8.3)."""
    session.create("stages", {"Name": "go-wait", "BootEnv": "go-wait-env"}, "Stage")
    with Events(session) as events:
        events.command("register stages.update.go-wait")
        events.command("register stages.save.go-wait")
        equal("Available", session.get("/stages/go-wait")["Available"], False)
        session.create("bootenvs", {"Name": "go-wait-env"}, "BootEnv")
        equal("Available in the event", events.next()["Object"]["Available"], True)
        equal("Available", session.get("/stages/go-wait")["Available"], True)
    session.send("DELETE", "/stages/go-wait").wanted(200)
    session.send("DELETE", "/bootenvs/go-wait-env").wanted(200)


@check
def change_by_the_server_is_a_save(session: Session) -> None:
    """What the server changes itself, as availability, is told as `save`, whoever caused it (8.4)."""
    session.create("stages", {"Name": "go-save", "BootEnv": "go-save-env"}, "Stage")
    try:
        with Events(session) as events:
            events.command("register stages.*.go-save")
            session.create("bootenvs", {"Name": "go-save-env"}, "BootEnv")
            equal("Action", events.next()["Action"], "save")
    finally:
        session.send("DELETE", "/stages/go-save")
        session.send("DELETE", "/bootenvs/go-save-env")


def _inject(session: Session, kind: str, key: str) -> None:
    """Posts an event of a type that the server does not know."""
    event = {
        "Time": "2035-01-02T03:04:05Z",
        "Type": kind,
        "Action": "wave",
        "Key": key,
        "Principal": "",
        "Object": {"Heads": 2},
        "Original": None,
    }
    session.send("POST", "/events", event).wanted(204)
