//! A workflow that tries each task three times and then goes on.

use formwork_sdk::{Decision, Failure, JobReport, JobState, PlanRequest, Workflow, log};

const TRIES: u32 = 3;
const PAUSE_MS: u64 = 5000;

struct Rules;

impl Workflow for Rules {
    /// The task list of a machine: each stage, its boot environment, its tasks.
    fn plan(request: &PlanRequest) -> Result<Vec<String>, Failure> {
        let mut tasks = Vec::new();
        for stage in &request.stages {
            if request.workflow.is_some() {
                tasks.push(format!("stage:{}", stage.name));
                if !stage.bootenv.is_empty() {
                    tasks.push(format!("bootenv:{}", stage.bootenv));
                }
            }
            tasks.extend(stage.tasks.iter().cloned());
        }
        Ok(tasks)
    }

    /// What follows the end of a job.
    fn after_job(report: &JobReport) -> Decision {
        match report.state {
            JobState::Finished => Decision::Advance,
            JobState::Incomplete => Decision::Stop(format!("task {} is incomplete", report.task)),
            JobState::Failed if report.attempt + 1 < TRIES => Decision::RetryAfterMs(PAUSE_MS),
            JobState::Failed => {
                log::warn!("task {} failed {TRIES} times and is left behind", report.task);
                Decision::Advance
            }
        }
    }
}

formwork_sdk::export_workflow!(Rules);

#[cfg(test)]
mod tests {
    use formwork_sdk::testing::Host;

    use super::*;

    #[test]
    fn failed_task_is_tried_three_times_and_then_left_behind() {
        let host = Host::new();
        let after = |attempt| {
            let report = JobReport {
                task: "t".to_owned(),
                state: JobState::Failed,
                attempt,
                retries: None,
                handlers: Vec::new(),
                error_depth: 0,
            };
            host.enter(|| Rules::after_job(&report))
        };
        assert!(matches!(after(0), Decision::RetryAfterMs(PAUSE_MS)));
        assert!(matches!(after(1), Decision::RetryAfterMs(PAUSE_MS)));
        assert!(matches!(after(2), Decision::Advance));
        let words = "task t failed 3 times and is left behind".to_owned();
        assert_eq!(host.lines(), [(log::Level::Warn, words)]);
    }
}
