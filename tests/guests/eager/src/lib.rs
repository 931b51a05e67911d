//! A task that changes things outside of the endpoint, and tells what came of it: it asks a web service, writes a file, runs
//! a program and writes to the store of its pack. With `eager/insists` it fails when one of these did.

use formwork_sdk::{Call, Failure, Outcome, Task, exec, files, http, kv, log, params, random};

struct Eager;

impl Task for Eager {
    fn run(_call: &Call) -> Result<Outcome, Failure> {
        let place: String = params::read("eager/place")?.unwrap_or_default();
        let url: String = params::read("eager/url")?.unwrap_or_default();
        params::write("eager/early", &random::bytes(4).len())?;
        let refusals: Vec<String> = [
            kv::set("eager", &1).err().map(|error| error.to_string()),
            http::Request::post(&url).body("{}").send().err().map(|error| error.to_string()),
            files::write(&format!("{place}/eager"), b"text").err().map(|error| error.to_string()),
            files::read(&format!("{place}/eager"), 16).err().map(|error| error.to_string()),
            exec::run(&exec::Command::new("touch").arg("eager")).err().map(|error| error.to_string()),
        ]
        .into_iter()
        .flatten()
        .collect();
        for refusal in &refusals {
            log::info!("{refusal}");
        }
        params::write("eager/refusals", &refusals.len())?;
        match refusals.into_iter().next() {
            Some(refusal) if params::read("eager/insists")?.unwrap_or(false) => {
                Ok(Outcome::Failed(Failure::new("refused", refusal)))
            }
            _ => Ok(Outcome::Done),
        }
    }
}

formwork_sdk::export_task!(Eager);
