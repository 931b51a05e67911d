"""Says hello: the smallest useful task, and the first one to read."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.task import Call, Failure, Outcome, Outcome_Done
from wit_world.imports import log, params


class Task(exports.Task):
    def run(self, call: Call) -> Outcome:
        try:
            message = greeting(param("greet/name") or call.machine.name, param("inventory/cpu") or {})
            log.write(log.Level.INFO, message)
            params.write("greet/message", json.dumps(message))
            return Outcome_Done()
        except Err as refused:  # by the host: a variant, such as `Error_NotGranted` with the name
            raise Err(Failure("error", str(refused.value), None))


def param(name: str):
    return json.loads(params.read(name) or "null")


def greeting(name: str, cpu: dict) -> str:
    model, threads = cpu.get("model"), cpu.get("threads")
    if model and threads:
        return f"hello {name}, {threads} threads of {model}"
    return f"hello {name}, {model}" if model else f"hello {name}"
