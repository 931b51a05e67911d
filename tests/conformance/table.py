"""Tables of outcomes: what was expected, what came, and how the two differ."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

#: Outcomes from the best to the worst. `4xx` is the refusal that the contract names for such a call; `not-issuable`
#: means that the client cannot send what the route needs (drp-api.md 17.2); `wrong` is an answer that the contract
#: does not allow; `missing` means that the endpoint has no such route.
OUTCOMES = ("ok", "4xx", "not-issuable", "501", "wrong", "missing")

#: The most characters of a reason in a file: what follows is of one run, as times are.
REASON = 160


@dataclass(frozen=True)
class Row:
    """One row of a table of outcomes."""

    name: str
    outcome: str
    #: Why it is not `ok`; nothing compares it.
    reason: str = ""
    #: The request and the answer, for people.
    detail: str = ""


def read(path: Path) -> dict[str, Row]:
    """Returns the rows of the file by name; a file that does not exist has none."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = [Row(*cells) for cells in list(rows)[1:]]
    unknown = [row.name for row in found if row.outcome not in OUTCOMES]
    if unknown:
        raise ValueError(f"`{path.name}` has an unknown outcome at {', '.join(unknown)}")
    return {row.name: row for row in found}


def write(path: Path, rows: list[Row]) -> None:
    """Writes the file anew, sorted by name."""
    lines = ["\t".join((row.name, row.outcome, _plain(row.reason))) for row in sorted(rows, key=lambda row: row.name)]
    path.write_text("\n".join(["name\toutcome\treason", *lines]) + "\n", encoding="utf-8")


def differences(expected: dict[str, Row], rows: list[Row]) -> list[str]:
    """Returns a line for each outcome that is not the expected one; a better one too: the file is to stay right."""
    lines = []
    for row in sorted(rows, key=lambda row: row.name):
        wanted = expected.get(row.name)
        if wanted is None:
            lines.append(f"{row.name}: {row.outcome}, but it has no row")
        elif wanted.outcome != row.outcome:
            better = OUTCOMES.index(row.outcome) < OUTCOMES.index(wanted.outcome)
            word = "better than expected" if better else "worse than expected"
            because = f" ({row.reason})" if row.reason else ""
            lines.append(f"{row.name}: {row.outcome}{because}, {word}: {wanted.outcome}" + _indented(row.detail))
    names = {row.name for row in rows}
    lines += [f"{name}: has a row, but is no longer called" for name in sorted(expected) if name not in names]
    return lines


def show(rows: list[Row], as_json: bool, everything: bool) -> None:
    """Prints the rows that are not `ok`, or all, and the counts of all outcomes; as JSON one object a line."""
    if as_json:
        for row in rows:
            print(json.dumps({"name": row.name, "outcome": row.outcome, "reason": row.reason}))
        return
    shown = [row for row in rows if everything or row.outcome in ("wrong",)]
    width = max((len(row.name) for row in shown), default=0)
    for row in shown:
        print(f"{row.name:<{width}}  {row.outcome:<12}  {row.reason}".rstrip())
        if row.outcome == "wrong":
            print(_indented(row.detail).lstrip("\n"))
    counts = Counter(row.outcome for row in rows)
    print(f"{len(rows)} calls: " + ", ".join(f"{counts[word]} {word}" for word in OUTCOMES if counts[word]))


def finish(path: Path, rows: list[Row], update: bool) -> int:
    """Compares the rows with the file, or rewrites it, and returns the exit code."""
    if update:
        write(path, rows)
        print(f"`{path.name}` is written", file=sys.stderr)
        return 0
    lines = differences(read(path), rows)
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        print(f"{len(lines)} outcomes are not those of `{path.name}`; `--update` rewrites it", file=sys.stderr)
        return 1
    print(f"all outcomes are those of `{path.name}`", file=sys.stderr)
    return 0


def _plain(text: str) -> str:
    return " ".join(text.split())[:REASON]


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in text.splitlines())
