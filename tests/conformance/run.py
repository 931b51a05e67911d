#!/usr/bin/env python3
"""Calls every operation of the Python client against an endpoint and compares the outcomes with `expected.tsv`.

    run.py --program target/debug/formwork --plugin target/components/guest-offers.wasm [--update] [--json] [--all]

It needs `drppy-client` 4.17.0; `cargo xtask conformance` makes the environment and runs it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import extras  # noqa: E402
import operations  # noqa: E402
import plan  # noqa: E402
import provider  # noqa: E402
import table  # noqa: E402
from calls import Client, api, perform  # noqa: E402
from endpoint import Endpoint, limit  # noqa: E402

HERE = Path(__file__).parent
#: The most that a run may take.
SECONDS = 300


def main() -> int:
    """Runs the calls and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="the `formwork` program")
    parser.add_argument("--plugin", type=Path, required=True, help="the plugin that offers an action for every type")
    parser.add_argument("--update", action="store_true", help="rewrite `expected.tsv` with what came")
    parser.add_argument("--json", action="store_true", help="print one object a line instead of a table")
    parser.add_argument("--all", action="store_true", help="print every call, not only the wrong ones")
    args = parser.parse_args()
    limit(SECONDS)
    found = operations.read()
    contract = operations.routes(HERE / "routes.tsv")
    disagreements = operations.disagreements(found, contract)
    planned = [] if disagreements else plan.calls(found, contract)
    disagreements += plan.misspelt(found) + plan.undocumented(planned)
    if disagreements:
        print("\n".join(disagreements), file=sys.stderr)
        return 1
    with Endpoint(args.program) as endpoint:
        client = Client(endpoint)
        provider.offer(client, args.plugin)
        rows = _rows(client, planned)
        if not endpoint.alive():
            print(f"the endpoint ended:\n{endpoint.log()}", file=sys.stderr)
            return 1
    table.show(rows, args.json, args.all)
    return table.finish(HERE / "expected.tsv", rows, args.update)


def _rows(client: Client, calls: list[plan.Call]) -> list[table.Row]:
    rows = []
    before = [call for call in calls if call.order[0] < plan.DELETE]
    after = [call for call in calls if call.order[0] == plan.DELETE]
    rows += [_row(client, call) for call in before]
    rows += extras.rows(client)
    rows += [_row(client, call) for call in after]
    return rows


def _row(client: Client, call: plan.Call) -> table.Row:
    call.prepare(client)
    operation = call.operation
    arguments = call.arguments(client)
    if "body" in arguments:
        arguments["body"] = client.model(arguments["body"], operation.body_type)
    method = getattr(api(client, operation.api), operation.name)
    row = perform(client, operation.name, lambda: method(**arguments), call.wish)
    is_read = operation.method == "GET" and len(operation.segments) == 2 and operation.name in client.answers
    if is_read:
        client.answers.setdefault(f"GET {operation.prefix}", client.answers[operation.name])
    return row


if __name__ == "__main__":
    sys.exit(main())
