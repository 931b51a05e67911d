"""What the Go client asks of an endpoint: what a fresh one holds, connections, headers, tokens, long polls."""

from __future__ import annotations

import http.client
import threading
import time
from urllib.parse import urlsplit

from endpoint import USER, unverified
from go_session import Fault, Reply, Session, check, equal

#: Seconds that a poll without a change is held.
_POLL = 1


# --- a fresh server (3.6, 11.1, 12.3) ---


@check
def fresh_bootenvs(session: Session) -> None:
    """The only boot environments are `ignore` and `local`, in this order (3.6)."""
    equal("names", [item["Name"] for item in session.get("/bootenvs")], ["ignore", "local"])


@check
def fresh_writable_layer(session: Session) -> None:
    """The writable layer has the profile `global`, the first user and preferences (3.6)."""
    sections = session.get("/contents/BackingStore")["sections"]
    found = {prefix: sorted(objects) for prefix, objects in sections.items() if objects and prefix != "preferences"}
    equal("objects", found, {"profiles": ["global"], "users": [USER]})


@check
def fresh_lists(session: Session) -> None:
    """Nothing else exists: machines, jobs, leases, isos are empty lists, never null (3.1, 7.11)."""
    for prefix in ("machines", "jobs", "leases", "isos"):
        equal(prefix, session.get(f"/{prefix}"), [])


@check
def fresh_files(session: Session) -> None:
    """The files are the six helper programs (11.1)."""
    programs = [
        f"drpcli.{platform}"
        for platform in ("amd64.darwin", "amd64.linux", "amd64.windows", "arm64.linux", "ppc64le.linux")
    ]
    equal("names", session.get("/files"), [*programs, "jq"])


@check
def fresh_objects(session: Session) -> None:
    """The list of types is that of 4.8, with `kk` (12.3)."""
    words = (
        "bootenvs catalog_items contexts endpoints jobs kk leases machines params plugins pools preferences profiles "
        "reservations roles stages subnets tasks templates tenants users version_sets workflows"
    )
    equal("types", session.get("/objects"), words.split())


# --- connection and headers (1) ---


@check
def handshake_within_a_second(session: Session) -> None:
    """Five connections in turn, without ALPN, are through their TLS handshake in a second each (1.1, 17.1)."""
    address = urlsplit(session.endpoint.url)
    for _ in range(5):
        connection = http.client.HTTPSConnection(address.hostname or "", address.port, timeout=10, context=unverified())
        start = time.monotonic()
        connection.connect()
        spent = time.monotonic() - start
        connection.close()
        if spent >= 1:
            raise Fault(f"the handshake took {spent:.2f} s")


@check
def host_is_not_looked_at(session: Session) -> None:
    """A request through the local relay has `Host: unix` (1.1)."""
    session.send("GET", "/info", headers={"Host": "unix", "X-Forwarded-For": "127.0.0.1"}).wanted(200)


@check
def log_headers_are_taken(session: Session) -> None:
    """Log headers are taken, empty and unknown ones too (1.3)."""
    for level in ("trace", "err", "", "shouting"):
        session.send("GET", "/info", headers={"X-Log-Request": level, "X-Log-Token": ""}).wanted(200)


@check
def own_id_is_a_prefix(session: Session) -> None:
    """`/{id}/api/v3/...` with the server's own id is served locally; an unknown id is 404 (1.1)."""
    own = session.get("/info")["id"]
    for name, status in ((own, 200), ("nobody-of-this-name", 404)):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", session.endpoint.api_port, timeout=10, context=unverified()
        )
        connection.request("GET", f"/{name}/api/v3/info", headers={"Authorization": session.authorization})
        found = connection.getresponse().status
        connection.close()
        equal(f"status for `{name}`", found, status)


@check
def answer_without_a_body_has_a_json_type(session: Session) -> None:
    """204 has the JSON media type and no body (1.2)."""
    event = {
        "Time": "0001-01-01T00:00:00Z",
        "Type": "beeblebrox",
        "Action": "wave",
        "Key": "x",
        "Principal": "",
        "Object": None,
        "Original": None,
    }
    reply = session.send("POST", "/events", event).wanted(204)
    _bodiless(reply)


@check
def empty_body_is_an_empty_object(session: Session) -> None:
    """A POST with a media type and no body at all is one with `{}` (1.2)."""
    session.send("POST", "/whoami", b"").wanted(200)


@check
def role_change_takes_an_empty_body(session: Session) -> None:
    """`POST /system/active` comes with an empty body (1.2, A.3)."""
    session.send("POST", "/system/active", b"").wanted(200, 204, 409)


@check
def refused_body_does_not_break_the_connection(session: Session) -> None:
    """A refusal before the body has come leaves the connection usable, or says that it closes it (1.2, 17.1)."""
    own = {"Authorization": session.authorization}
    for path, headers in (("/profiles/none", own), ("/no-such-route", own), ("/profiles", {})):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", session.endpoint.api_port, timeout=10, context=unverified()
        )
        connection.putrequest("PATCH", f"/api/v3{path}")
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": "2"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        # The body comes in a packet of its own, as it does from every client; a refusal may be faster.
        time.sleep(0.2)
        connection.send(b"[]")
        first = connection.getresponse()
        first.read()
        closes = first.getheader("Connection", "").lower() == "close"
        try:
            if not closes:
                connection.request("GET", "/api/v3/info", headers=own)
                connection.getresponse().read()
        except (http.client.HTTPException, OSError) as error:
            raise Fault(f"PATCH {path}: {first.status}, then the connection broke: {type(error).__name__}") from None
        finally:
            connection.close()


@check
def list_without_conditions_can_be_counted(session: Session) -> None:
    """`drpcli X count` prints `X-DRP-LIST-FILTER-COUNT` of a HEAD (1.4)."""
    reply = session.send("HEAD", "/stages?Name=Eq(none)").wanted(200)
    equal("filter count", reply.headers.get("x-drp-list-filter-count"), "1")


# --- tokens (2) ---


@check
def session_starts_with_a_token(session: Session) -> None:
    """A token comes with the whole of `GET /info`, works, and gets the next one (2.2, 17.1)."""
    first = session.get(f"/users/{USER}/token?ttl=600")
    info = session.get("/info")
    equal("members of Info", sorted(first["Info"]), sorted(info))
    with_token = session.bearer(first["Token"])
    equal("address", with_token.get("/info")["address"], "127.0.0.1")
    refreshed = with_token.get(f"/users/{USER}/token?ttl=7200&scope=machines&action=list&specific=")
    session.bearer(refreshed["Token"]).send("GET", "/machines").wanted(200)
    session.bearer(refreshed["Token"]).send("GET", "/users").wanted(403)


@check
def token_ends(session: Session) -> None:
    """A token is refused once it expired, and once its user's secret is another (2.2)."""
    session.create("users", {"Name": "go-token", "Roles": ["superuser"]}, "User")
    try:
        long = session.bearer(session.get("/users/go-token/token?ttl=10m")["Token"])
        long.send("GET", "/info").wanted(200)
        session.patch("/users/go-token", ("add", "/Secret", "another")).wanted(200)
        long.send("GET", "/info").wanted(403)
        _refused_within(session.bearer(session.get("/users/go-token/token?ttl=1")["Token"]), 10)
    finally:
        session.send("DELETE", "/users/go-token")


@check
def bad_credentials(session: Session) -> None:
    """A wrong password is 403, none at all 401 (1.5)."""
    Session(session.endpoint, "Basic cm9ja2V0c2thdGVzOm5v").send("GET", "/machines").wanted(403)
    Session(session.endpoint, "Bearer nonsense").send("GET", "/machines").wanted(403)
    session.send("GET", "/machines", headers={"Authorization": ""}).wanted(400, 401)


# --- entity tags and long polls (1.3, 1.4) ---


@check
def entity_tag_follows_the_object(session: Session) -> None:
    """HEAD and GET have the same tag; a change, through the object or its params, gives another (1.4)."""
    session.create("profiles", {"Name": "go-tag"}, "Profile")
    tags = [_tag(session, "HEAD"), _tag(session, "GET")]
    session.patch("/profiles/go-tag", ("add", "/Description", "x")).wanted(200)
    tags.append(_tag(session, "HEAD"))
    session.send("POST", "/profiles/go-tag/params/go", 1).wanted(200)
    tags.append(_tag(session, "HEAD"))
    session.send("DELETE", "/profiles/go-tag").wanted(200)
    equal("tags of the same state", tags[0], tags[1])
    equal("different tags", len(set(tags)), 3)


@check
def long_poll_ends_with_304(session: Session) -> None:
    """`--wait` with the tag of now is held for its time, then answered with 304 (1.3)."""
    tag = session.send("HEAD", "/profiles/global").wanted(200).headers["etag"]
    for method in ("GET", "HEAD"):
        start = time.monotonic()
        _poll(session, method, "/profiles/global", tag, f"{_POLL}s").wanted(304)
        spent = time.monotonic() - start
        if not _POLL * 0.8 <= spent <= _POLL + 5:
            raise Fault(f"{method} was held for {spent:.2f} s instead of {_POLL} s")


@check
def long_poll_without_the_tag_of_now(session: Session) -> None:
    """An empty or older tag is answered at once (1.3)."""
    for tag in ("", '"older"'):
        start = time.monotonic()
        _poll(session, "GET", "/profiles/global", tag, "5m").wanted(200)
        if time.monotonic() - start > 5:
            raise Fault(f"the tag {tag!r} was held")


@check
def long_poll_ends_with_a_change(session: Session) -> None:
    """A change ends the wait with the new object and its tag (1.3)."""
    session.create("profiles", {"Name": "go-poll"}, "Profile")
    tag = session.send("HEAD", "/profiles/go-poll").wanted(200).headers["etag"]
    replies: list[Reply] = []
    other = Session(session.endpoint)
    poll = threading.Thread(target=lambda: replies.append(_poll(other, "GET", "/profiles/go-poll", tag, "1m", 15)))
    poll.start()
    poll.join(0.3)  # The poll is to be at the server; if it is not yet, the tag it brings is an older one.
    session.patch("/profiles/go-poll", ("add", "/Description", "changed")).wanted(200)
    poll.join(20)
    session.send("DELETE", "/profiles/go-poll").wanted(200)
    if not replies:
        raise Fault("the poll did not end with the change")
    equal("Description", replies[0].wanted(200).json()["Description"], "changed")
    if replies[0].headers["etag"] == tag:
        raise Fault("the answer has the tag from before the change")


# --- helpers ---


def _bodiless(reply: Reply) -> None:
    equal("body", reply.body.decode(), "")
    media = reply.headers.get("content-type", "")
    if not media.startswith("application/json"):
        raise Fault(f"{reply.request}: the media type is {media!r} (1.2)")


def _tag(session: Session, method: str) -> str:
    return session.send(method, "/profiles/go-tag").wanted(200).headers["etag"]


def _poll(session: Session, method: str, path: str, tag: str, wait: str, timeout: float = 10) -> Reply:
    return session.send(method, path, headers={"If-None-Match": tag, "Prefer": f"wait={wait}"}, timeout=timeout)


def _refused_within(session: Session, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while session.send("GET", "/info").status != 403:
        if time.monotonic() > deadline:
            raise Fault("an expired token still works (2.2)")
        time.sleep(0.1)
