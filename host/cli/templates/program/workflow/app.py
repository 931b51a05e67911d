"""A workflow that tries each task three times and then goes on."""

from wit_world import exports
from wit_world.exports.workflow import (
    Decision,
    Decision_Advance,
    Decision_RetryAfterMs,
    Decision_Stop,
    JobReport,
    JobState,
    Request,
)
from wit_world.imports import log

TRIES = 3
PAUSE_MS = 5000


class Workflow(exports.Workflow):
    def plan(self, request: Request) -> list[str]:
        """The task list of a machine: each stage, its boot environment, its tasks."""
        tasks = []
        for stage in request.stages:
            if request.workflow is not None:
                tasks.append(f"stage:{stage.name}")
                if stage.bootenv:
                    tasks.append(f"bootenv:{stage.bootenv}")
            tasks.extend(stage.tasks)
        return tasks

    def after_job(self, report: JobReport) -> Decision:
        """What follows the end of a job."""
        if report.state == JobState.FINISHED:
            return Decision_Advance()
        if report.state == JobState.INCOMPLETE:
            return Decision_Stop(f"task {report.task} is incomplete")
        if report.attempt + 1 < TRIES:
            return Decision_RetryAfterMs(PAUSE_MS)
        log.write(log.Level.WARN, f"task {report.task} failed {TRIES} times and is left behind")
        return Decision_Advance()
