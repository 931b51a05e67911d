//! Says hello: the smallest useful task, and the first one to read.

use formwork_sdk::{Call, Failure, Outcome, Task, log, params};
use serde_json::Value;

struct Greet;

impl Task for Greet {
    fn run(call: &Call) -> Result<Outcome, Failure> {
        let name = params::read::<String>("greet/name")?;
        let cpu = params::read::<Value>("inventory/cpu")?;
        let message = greeting(name.as_deref().unwrap_or(&call.machine.name), cpu.as_ref());
        log::info(&message);
        params::write("greet/message", &message)?;
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Greet);

/// The greeting, with the processor when the inventory knows it.
fn greeting(name: &str, cpu: Option<&Value>) -> String {
    let model = cpu.and_then(|cpu| cpu.get("model")).and_then(Value::as_str);
    let threads = cpu.and_then(|cpu| cpu.get("threads")).and_then(Value::as_u64);
    match (model, threads) {
        (Some(model), Some(threads)) => format!("hello {name}, {threads} threads of {model}"),
        (Some(model), None) => format!("hello {name}, {model}"),
        (None, _) => format!("hello {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn greeting_names_the_processor_when_it_is_known() {
        let cpu = json!({"model": "Made CPU 5", "threads": 8});
        assert_eq!(greeting("n1", Some(&cpu)), "hello n1, 8 threads of Made CPU 5");
        assert_eq!(greeting("n1", Some(&json!({"threads": "odd"}))), "hello n1");
        assert_eq!(greeting("n1", None), "hello n1");
    }
}
