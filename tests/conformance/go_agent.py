"""The Go client's agent (drp-api.md 9.1, 9.2)."""

from __future__ import annotations

from typing import Any

from go_session import Events, Fault, Session, check, equal, step, zero

_MACHINE = "00000000-0000-4000-8000-0000000000b1"
_NO_JOB = "00000000-0000-0000-0000-000000000000"
#: What the agent makes of how a task ends: its state, its exit state.
_ENDS = {"incomplete": ("incomplete", "complete"), "failed": ("failed", "failed"), "finished": ("finished", "complete")}


@check
def agent_makes_four_jobs(session: Session) -> None:
    """The example of 9.2: two tasks with incompletes and failures are exactly four jobs."""
    with _Agent(session, ["go-a", "go-b"]) as agent:
        agent.start()
        for task, ends in (
            ("go-a", ["incomplete"] * 3 + ["failed"]),
            ("go-a", ["incomplete", "finished"]),
            ("go-b", ["incomplete", "failed"]),
            ("go-b", ["incomplete", "finished"]),
        ):
            for number, end in enumerate(ends):
                agent.perform(task, end, again=number > 0)
        agent.nothing_to_do()
        machine = session.get(f"/machines/{_MACHINE}")
        equal("CurrentTask, WorkflowComplete", [machine["CurrentTask"], machine["WorkflowComplete"]], [2, True])
        jobs = session.get(f"/jobs?Machine=Eq({_MACHINE})&sort=StartTime")
        equal(
            "jobs",
            [(job["Task"], job["State"]) for job in jobs],
            [("go-a", "failed"), ("go-a", "finished"), ("go-b", "failed"), ("go-b", "finished")],
        )
        equal("Current", [job["Current"] for job in jobs], [False, False, False, True])
        equal("Previous", [job["Previous"] for job in jobs], [_NO_JOB, *(job["Uuid"] for job in jobs[:3])])
        equal("machine's job", machine["CurrentJob"], jobs[3]["Uuid"])


@check
def jobs_are_refused_in_order(session: Session) -> None:
    """The first rows of 9.2: no machine, not runnable, another context, a running job."""
    with _Agent(session, ["go-a"]) as agent:
        # The machine's own token may not ask for another's job; somebody who may is told that there is none.
        other = {**zero("Job"), "Machine": "00000000-0000-4000-8000-0000000000ff"}
        session.send("POST", "/jobs", other).wanted(422)
        session.patch(f"/machines/{_MACHINE}", ("replace", "/Runnable", False)).wanted(200)
        agent.job(409)
        session.patch(f"/machines/{_MACHINE}", ("replace", "/Runnable", True)).wanted(200)
        agent.job(204, Context="elsewhere")
        agent.job(201)
        agent.job(409)


@check
def machine_is_told_of_each_step(session: Session) -> None:
    """Every visible change of a machine, the server's too, is an `update` or `save` (8.3)."""
    with _Agent(session, ["go-a"]) as agent, Events(session) as events:
        for action in ("update", "save"):
            events.command(f"register machines.{action}.{_MACHINE}")
        agent.perform("go-a", "finished")
        agent.nothing_to_do()
        last: dict[str, Any] = {}
        while not last.get("WorkflowComplete"):
            last = events.next()["Object"]
        equal("CurrentTask", last["CurrentTask"], 1)


@check
def restart_of_an_agent(session: Session) -> None:
    """An agent that starts again fails the job of the one before, and gets a new one for the same task (9.1, 9.2)."""
    with _Agent(session, ["go-a"]) as agent:
        first = agent.job(201).json()
        agent.change(first, "running")
        agent.start()
        machine = session.get(f"/machines/{_MACHINE}")
        equal(
            "State, Runnable", [session.get(f"/jobs/{first['Uuid']}")["State"], machine["Runnable"]], ["failed", False]
        )
        session.patch(f"/machines/{_MACHINE}", ("replace", "/Runnable", True)).wanted(200)
        second = agent.job(201).json()
        equal("Previous, index", [second["Previous"], second["CurrentIndex"]], [first["Uuid"], 0])


@check
def log_is_appended(session: Session) -> None:
    """Chunks of the log are appended, also after the end of the job; an empty one is harmless (9.5)."""
    with _Agent(session, ["go-a"]) as agent:
        job = agent.job(201).json()
        path = f"/jobs/{job['Uuid']}/log"
        octets = {"Content-Type": "application/octet-stream"}
        for chunk in (b"one\n", b"", b"two\n"):
            reply = session.send("PUT", path, chunk, headers=octets).wanted(204)
            equal("body", reply.body, b"")
            equal("media type", reply.headers.get("content-type", "").split(";")[0], "application/json")
        agent.change(job, "running")
        agent.change({**job, "State": "running"}, "finished", "complete")
        session.send("PUT", path, b"three\n").wanted(204)
        equal("log", session.send("GET", path).wanted(200).body.decode(), "one\ntwo\nthree\n")


@check
def jobs_of_a_deleted_machine_stay(session: Session) -> None:
    """Jobs outlive their machine (5.4); `drpcli machines deletejobs` takes them away one by one."""
    with _Agent(session, ["go-a"]) as agent:
        job = agent.job(201).json()
        agent.change(job, "running")
        agent.change({**job, "State": "running"}, "finished", "complete")
        session.send("DELETE", f"/machines/{_MACHINE}").wanted(200)
        equal("jobs", [item["Uuid"] for item in _jobs(session)], [job["Uuid"]])
        session.send("DELETE", f"/jobs/{job['Uuid']}").wanted(200)
        equal("jobs", _jobs(session), [])


@check
def deletion_of_a_machine_fails_its_job(session: Session) -> None:
    """The job that runs on a machine fails when the machine is deleted, and stays (5.4, 9.3)."""
    with _Agent(session, ["go-a"]) as agent:
        job = agent.job(201).json()
        agent.change(job, "running")
        session.send("DELETE", f"/machines/{_MACHINE}").wanted(200)
        equal("State", session.get(f"/jobs/{job['Uuid']}")["State"], "failed")


@check
def bulk_purge_of_jobs(session: Session) -> None:
    """`drpcli jobs purge --dryrun` is a DELETE of the list with queries (9.9)."""
    session.send("DELETE", "/jobs?dryrun=true&machine=missing").wanted(200).json()


@check
def stage_is_changed_by_an_agent(session: Session) -> None:
    """Without a workflow the agent changes the stage once its list is done; the machine gets its tasks (7.8, 9.8)."""
    session.create("stages", {"Name": "go-next", "Tasks": ["go-a"]}, "Stage")
    with _Agent(session, []) as agent:
        agent.nothing_to_do()
        machine = (
            session.patch(f"/machines/{_MACHINE}", ("test", "/Stage", "none"), ("replace", "/Stage", "go-next"))
            .wanted(200)
            .json()
        )
        equal("Tasks, CurrentTask", [machine["Tasks"], machine["CurrentTask"]], [["go-a"], -1])
        error = session.patch(f"/machines/{_MACHINE}", ("replace", "/Stage", "none")).wanted(422, 409).json()
        equal("Messages", error["Messages"], ["Can not change stages with pending tasks unless forced"])
        session.send("PATCH", f"/machines/{_MACHINE}?force=true", [step("replace", "/Stage", "none")]).wanted(200)
    session.send("DELETE", "/stages/go-next").wanted(200)


class _Agent:
    """A machine with tasks, and its agent; leaving the block takes both away."""

    def __init__(self, session: Session, tasks: list[str]) -> None:
        """Makes the tasks, the machine, and a session with the machine's token."""
        self._admin = session
        for task in ("go-a", "go-b"):
            template = {
                "Name": "say",
                "Path": "",
                "ID": "",
                "Contents": "echo {{ .Machine.Name }}\n",
                "Meta": {"OS": "linux"},
            }
            session.send("POST", "/tasks", {**zero("Task"), "Name": task, "Templates": [template]}).wanted(201, 409)
        session.create("machines", {"Uuid": _MACHINE, "Name": "go-agent", "Tasks": tasks}, "Machine")
        self._session = session.bearer(session.get(f"/machines/{_MACHINE}/token?ttl=600")["Token"])

    def __enter__(self) -> _Agent:
        return self

    def __exit__(self, *_: object) -> None:
        for job in _jobs(self._admin):
            if job["State"] in ("created", "running"):
                self._admin.patch(f"/jobs/{job['Uuid']}", ("replace", "/State", "failed"))
        self._admin.send("DELETE", f"/machines/{_MACHINE}")
        for job in _jobs(self._admin):
            self._admin.send("DELETE", f"/jobs/{job['Uuid']}")
        for task in ("go-a", "go-b"):
            self._admin.send("DELETE", f"/tasks/{task}")

    def start(self) -> None:
        """Does what an agent does first: look for its folder's name, fail the job that another left (9.1, 1 and 2)."""
        equal("runner-tmpdir", self._session.get(f"/machines/{_MACHINE}/params/runner-tmpdir?aggregate=true"), None)
        current = self._session.get(f"/machines/{_MACHINE}")["CurrentJob"]
        if not current:
            self._session.send("GET", "/jobs").wanted(200, 403)
            return
        job = self._session.get(f"/jobs/{current}")
        if job["State"] in ("created", "running"):
            self.change(job, "failed")

    def job(self, status: int, **members: Any) -> Any:
        """Posts a job, in whole, and returns the answer with this status."""
        body = {**zero("Job"), "Machine": _MACHINE, **members}
        return self._session.send("POST", "/jobs", body).wanted(status)

    def nothing_to_do(self) -> None:
        """Posts a job and is told that there is nothing, without a body (9.2)."""
        reply = self.job(204)
        equal("body", reply.body, b"")
        if not reply.headers.get("content-type", "").startswith("application/json"):
            raise Fault("204 without the JSON media type (9.2)")

    def change(self, job: dict[str, Any], state: str, exit_state: str | None = None) -> dict[str, Any]:
        """Patches the job's state, with a test of the state before, and returns the job."""
        operations = [step("test", "/State", job["State"]), step("replace", "/State", state)]
        if exit_state is not None:
            operations.append(step("replace", "/ExitState", exit_state))
        path = f"/jobs/{job['Uuid']}"
        found: dict[str, Any] = self._session.send("PATCH", path, operations).wanted(200).json()
        equal("State", found["State"], state)
        return found

    def perform(self, task: str, end: str, again: bool = False) -> None:
        """Gets a job for `task`, the one before when `again`, and ends it; then somebody makes the machine runnable."""
        job = self.job(202 if again else 201).json()
        equal("Task, State", [job["Task"], job["State"]], [task, "incomplete" if again else "created"])
        job = self.change(job, "running")
        actions = self._session.get(f"/jobs/{job['Uuid']}/actions?os=linux")
        equal(
            "actions",
            [(action["Name"], action["Path"], action["Content"]) for action in actions],
            [("say", "", "echo go-agent\n")],
        )
        equal("actions of another system", self._session.get(f"/jobs/{job['Uuid']}/actions?os=windows"), [])
        self._session.send("PUT", f"/jobs/{job['Uuid']}/log", b"done\n").wanted(204)
        state, exit_state = _ENDS[end]
        if end != "finished":
            self._session.patch(
                f"/machines/{_MACHINE}", ("test", "/Runnable", True), ("replace", "/Runnable", False)
            ).wanted(200)
        self.change(job, state, exit_state)
        if end != "finished":
            self._admin.patch(f"/machines/{_MACHINE}", ("replace", "/Runnable", True)).wanted(200)


def _jobs(session: Session) -> Any:
    return session.get(f"/jobs?Machine=Eq({_MACHINE})&sort=StartTime&reverse=true")
