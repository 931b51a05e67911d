#!/usr/bin/env python3
"""Drives an endpoint as the Go client and its agent do (drp-api.md 8.3, 9.1, 9.2, 17.1); compares `expected-go.tsv`.

    goshape.py --program target/debug/formwork [--update] [--json] [--all] [--only NAME]

It is not the Go client: it sends what the contract says that it sends. `cargo xtask conformance` makes the environment.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import go_agent  # noqa: E402, F401
import go_events  # noqa: E402, F401
import go_objects  # noqa: E402, F401
import go_requests  # noqa: E402, F401
import table  # noqa: E402
from endpoint import Endpoint, limit  # noqa: E402
from go_session import CHECKS, Check, Fault, Missing, NotHereYet, Session  # noqa: E402

HERE = Path(__file__).parent
#: The most that a run may take.
SECONDS = 300


def main() -> int:
    """Runs the checks and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="the `formwork` program")
    parser.add_argument("--update", action="store_true", help="rewrite `expected-go.tsv` with what came")
    parser.add_argument("--json", action="store_true", help="print one object a line instead of a table")
    parser.add_argument("--all", action="store_true", help="print every check, not only the wrong ones")
    parser.add_argument(
        "--only", action="append", choices=CHECKS, metavar="NAME", help="run this check alone; compare nothing"
    )
    args = parser.parse_args()
    limit(SECONDS)
    # What a fresh endpoint holds is looked at first.
    names = args.only or sorted(CHECKS, key=lambda name: not name.startswith("fresh_"))
    chosen = {name: CHECKS[name] for name in names}
    with Endpoint(args.program, "dr-provision") as endpoint:
        rows = [_row(endpoint, name, check) for name, check in chosen.items()]
        if not endpoint.alive():
            print(f"the endpoint ended:\n{endpoint.log()}", file=sys.stderr)
            return 1
    table.show(rows, args.json, args.all or bool(args.only))
    return 0 if args.only else table.finish(HERE / "expected-go.tsv", rows, args.update)


def _row(endpoint: Endpoint, name: str, check: Check) -> table.Row:
    session = Session(endpoint)
    try:
        check(session)
    except Missing as missing:
        return table.Row(name, "missing", f"no route: {missing}")
    except NotHereYet as refusal:
        return table.Row(name, "501", str(refusal))
    except Fault as fault:
        return table.Row(name, "wrong", str(fault), check.__doc__ or "")
    except Exception as error:  # noqa: BLE001 - whatever a hostile answer makes of a check is that answer's fault.
        return table.Row(name, "wrong", f"{type(error).__name__}: {error}", check.__doc__ or "")
    finally:
        session.close()
    return table.Row(name, "ok")


if __name__ == "__main__":
    sys.exit(main())
