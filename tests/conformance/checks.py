"""What an answer must show besides that the client can decode it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import drppy_client

from bodies import Fixture
from calls import Answer

Check = Callable[[Answer], str | None]

_SCALARS = ("str", "int", "bool", "datetime")


def nothing(_: Answer) -> str | None:
    """Accepts every success."""
    return None


def whole(fixture: Fixture, kind: str) -> Check:
    """The object has every member that the client's class knows, and null where null may be (3.1, 17.1)."""
    model = getattr(drppy_client, kind)
    types = {model.attribute_map[name]: text for name, text in model.swagger_types.items()}

    def check(answer: Answer) -> str | None:
        missing = sorted(types.keys() - answer.json.keys() - fixture.optional - {"PasswordHash"})
        if missing:
            return f"members are missing (17.1): {', '.join(missing)}"
        solid = [name for name, text in types.items() if text in _SCALARS or text.startswith(("list[", "dict("))]
        null = [name for name in sorted(solid) if name in answer.json and answer.json[name] is None]
        return f"members are null (3.1): {', '.join(null)}" if null else None

    return check


def holds(fixture: Fixture) -> Check:
    """The object has what was posted, but for what the server decides."""

    def check(answer: Answer) -> str | None:
        for name, posted in fixture.body.items():
            if name not in fixture.decided and not _within(posted, answer.json.get(name)):
                return f"`{name}` was posted as {posted!r} and came back as {answer.json.get(name)!r}"
        return None

    return check


def member(name: str | None, value: Any) -> Check:
    """The object's member has this value now."""

    def check(answer: Answer) -> str | None:
        if name is None or _within(value, answer.json.get(name)):
            return None
        return f"`{name}` was set to {value!r} and came back as {answer.json.get(name)!r}"

    return check


def equals(value: Any) -> Check:
    """The answer is this JSON value."""
    return lambda answer: None if answer.json == value else f"{answer.json!r} instead of {value!r}"


def text(value: str) -> Check:
    """The answer's body is this text, raw or as a JSON string."""
    return lambda answer: None if value in (answer.text, answer.json) else f"{answer.text!r} instead of {value!r}"


def contains(value: Any) -> Check:
    """The answer is a list with this item, or a map with this key."""
    return lambda answer: None if value in answer.json else f"{value!r} is not in {answer.json!r}"


def lists(key_member: str, key: str) -> Check:
    """The answer is a list of objects, one of them with this key."""

    def check(answer: Answer) -> str | None:
        keys = [item[key_member] for item in answer.json]
        if key not in keys:
            return f"`{key}` is not in the list"
        return None

    return check


def counts(answer: Answer) -> str | None:
    """The three counts of a list came in its headers (1.4)."""
    names = {stat.name for stat in answer.value}
    missing = {"count", "filter-count", "total-count"} - names
    if missing:
        return f"no header of a list's counts (1.4): {', '.join(sorted(missing))}"
    return None if all(stat.count > 0 for stat in answer.value) else "a count is 0, but there is an object"


def tagged(answer: Answer) -> str | None:
    """The answer has a quoted entity tag (1.4)."""
    tag = answer.headers.get("etag", "")
    return None if len(tag) > 2 and tag.startswith('"') and tag.endswith('"') else f"the entity tag is {tag!r} (1.4)"


def public_key(answer: Answer) -> str | None:
    """The answer is a JSON string with the base64 of 32 bytes (6.3)."""
    return None if len(base64.b64decode(answer.json, validate=True)) == 32 else "not a key of 32 bytes (6.3)"


def _within(posted: Any, answered: Any) -> bool:
    """Returns whether the answer has the posted value; its maps may have more members."""
    if isinstance(posted, dict) and isinstance(answered, dict):
        return all(_within(value, answered.get(name)) for name, value in posted.items())
    if isinstance(posted, list) and isinstance(answered, list):
        return len(posted) == len(answered) and all(map(_within, posted, answered))
    return bool(posted == answered)
