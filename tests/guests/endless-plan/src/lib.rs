//! A workflow whose plans are longer than a machine's task list may be, and whose decisions never come.

use formwork_sdk::{Decision, Failure, JobReport, PlanRequest, Workflow};

struct EndlessPlan;

impl Workflow for EndlessPlan {
    fn plan(request: &PlanRequest) -> Result<Vec<String>, Failure> {
        match request.stages.first() {
            Some(stage) => Ok(vec![stage.name.clone(); 20_000]),
            None => Err(Failure::new("no-stages", "there are no stages").hint("add one")),
        }
    }

    fn after_job(report: &JobReport) -> Decision {
        let mut attempt = report.attempt;
        while std::hint::black_box(attempt) != u32::MAX {
            attempt = attempt.wrapping_mul(2);
        }
        Decision::Advance
    }
}

formwork_sdk::export_workflow!(EndlessPlan);
