//! A task whose calls are measured: what it does stands in the name of the task.
//!
//! | name | what it does |
//! |---|---|
//! | `small` | reads a parameter, writes a line to the log |
//! | `reads N` | reads a parameter N times |
//! | `lines N` | writes N lines of 40 bytes to the log |

use formwork_sdk::{Call, Failure, Outcome, Task, log, params};

struct Bench;

impl Task for Bench {
    fn run(call: &Call) -> Result<Outcome, Failure> {
        if let Some(count) = call.machine.task.strip_prefix("reads ") {
            for _ in 0..number(count)? {
                params::read::<bool>("bench/flag")?;
            }
        } else if let Some(count) = call.machine.task.strip_prefix("lines ") {
            for _ in 0..number(count)? {
                log::debug!("a line that is of exactly forty bytes: 40");
            }
        } else if params::read::<bool>("bench/flag")?.unwrap_or_default() {
            log::info!("the flag is set");
        }
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Bench);

fn number(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::new("no-number", format!("`{text}` is no number")))
}
