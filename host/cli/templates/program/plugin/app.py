"""Gives machines the action `greet` and notes each machine that is created."""

import json

from wit_world import exports
from wit_world.exports.plugin import Action, ActionCall, Description, Event
from wit_world.imports import log


class Plugin(exports.Plugin):
    def describe(self) -> Description:
        return Description(
            name="@NAME@",
            version="0.1.0",
            display_name="@NAME@",
            documentation="Says hello to machines.",
            actions=[Action("greet", "machines", [], ["@NAME@/name"])],
            events=["machines.create.*"],
            required_params=[],
            optional_params=[],
            auto_start=True,
        )

    def act(self, call: ActionCall) -> str:
        """Answers an action with JSON."""
        machine = json.loads(call.object)
        log.write(log.Level.INFO, f"greeted {machine['Name']}")
        return json.dumps(f"hello {json.loads(call.params).get('@NAME@/name') or machine['Name']}")

    def on_event(self, event: Event, config: str) -> None:
        """Takes in one event. An `Err` has it delivered again later."""
        name = json.loads(event.object).get("Name", event.key)
        log.write(log.Level.INFO, f"machine {name} was created")
