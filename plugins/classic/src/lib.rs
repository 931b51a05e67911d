//! The classic rules of workflows: stages become one flat task list, and a failed job is retried, then handled, then
//! left to the operator.

mod plan;

use formwork_sdk::{Decision, Failure, JobReport, JobState, PlanRequest, Workflow};

struct Classic;

impl Workflow for Classic {
    fn plan(request: &PlanRequest) -> Result<Vec<String>, Failure> {
        plan::plan(request)
    }

    fn after_job(report: &JobReport) -> Decision {
        after_job(report)
    }
}

formwork_sdk::export_workflow!(Classic);

/// Decides what follows a job, by the rules of drp-api.md 9.7.
///
/// 1. While param `task-retry` allows it, the task runs again, after 2, 4, 8 ... seconds.
/// 2. Param `task-error-handlers` diverts to its tasks, unless a handler is what failed.
/// 3. Otherwise the machine stays not runnable.
fn after_job(report: &JobReport) -> Decision {
    let task = &report.task;
    match report.state {
        JobState::Finished => return Decision::Advance,
        JobState::Incomplete => {
            return Decision::Stop(format!(
                "task `{task}` is incomplete and resumes when the machine becomes runnable"
            ));
        }
        JobState::Failed => {}
    }
    if report.attempt < report.retries.unwrap_or(0) {
        let seconds = 2_u64.saturating_pow(report.attempt.saturating_add(1));
        return Decision::RetryAfterMs(seconds.saturating_mul(1000));
    }
    if report.handlers.is_empty() {
        return Decision::Stop(format!("task `{task}` failed"));
    }
    if report.error_depth == 0 {
        return Decision::Divert(report.handlers.clone());
    }
    Decision::Stop(format!("task `{task}` failed while an error was handled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> JobReport {
        JobReport {
            task: "t".to_owned(),
            state: JobState::Failed,
            attempt: 0,
            retries: None,
            handlers: Vec::new(),
            error_depth: 0,
        }
    }

    #[test]
    fn a_failed_task_is_retried_after_twice_the_time_of_the_last() {
        let delays: Vec<_> =
            (0..4).map(|attempt| after_job(&JobReport { attempt, retries: Some(3), ..failed() })).collect();
        let stop = Decision::Stop("task `t` failed".to_owned());
        let expected = [2000, 4000, 8000].map(Decision::RetryAfterMs).into_iter().chain([stop]);
        assert_eq!(format!("{delays:?}"), format!("{:?}", expected.collect::<Vec<_>>()));
    }

    #[test]
    fn a_huge_number_of_attempts_waits_for_ever_instead_of_overflowing() {
        let report = JobReport { attempt: 400, retries: Some(u32::MAX), ..failed() };
        assert!(matches!(after_job(&report), Decision::RetryAfterMs(u64::MAX)));
    }

    #[test]
    fn handlers_come_after_the_retries_and_only_once() {
        let report = JobReport { attempt: 1, retries: Some(1), handlers: vec!["fix".to_owned()], ..failed() };
        assert!(matches!(after_job(&report), Decision::Divert(tasks) if tasks == ["fix"]));
        assert!(matches!(after_job(&JobReport { error_depth: 1, ..report }), Decision::Stop(_)));
    }

    #[test]
    fn a_finished_task_advances_and_an_incomplete_one_waits() {
        assert!(matches!(after_job(&JobReport { state: JobState::Finished, ..failed() }), Decision::Advance));
        let report = JobReport { state: JobState::Incomplete, retries: Some(9), ..failed() };
        assert!(matches!(after_job(&report), Decision::Stop(reason) if reason.contains("incomplete")));
    }
}
