//! Says hello: the smallest useful task, and the first one to read.

use formwork_sdk::{Call, Failure, Outcome, Task, log, params};
use serde_json::Value;

struct Greet;

impl Task for Greet {
    fn run(call: &Call) -> Result<Outcome, Failure> {
        let name = params::read::<String>("greet/name")?;
        let cpu = params::read::<Value>("inventory/cpu")?;
        let message = greeting(name.as_deref().unwrap_or(&call.machine.name), cpu.as_ref());
        log::info!("{message}");
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
    use formwork_sdk::testing::Host;
    use serde_json::json;

    use super::*;

    #[test]
    fn machine_is_greeted_by_its_param_and_with_its_processor() {
        let host = Host::new()
            .param("greet/name", "Ann")
            .param("inventory/cpu", json!({"model": "Made CPU 5", "threads": 8}));
        assert_eq!(host.run::<Greet>(), Ok(Outcome::Done));
        let message = "hello Ann, 8 threads of Made CPU 5";
        assert_eq!(host.own_param("greet/message"), Some(json!(message)));
        assert_eq!(host.lines(), [(log::Level::Info, message.to_owned())]);
    }

    #[test]
    fn machine_without_params_is_greeted_by_its_name() {
        let host = Host::new().machine_name("n1");
        assert_eq!(host.run::<Greet>(), Ok(Outcome::Done));
        assert_eq!(host.own_param("greet/message"), Some(json!("hello n1")));
    }

    #[test]
    fn param_of_another_type_fails_the_job() {
        let failure = Host::new().param("greet/name", 5).run::<Greet>().unwrap_err();
        assert!(failure.message.starts_with("the value of param `greet/name`"), "{failure}");
    }

    #[test]
    fn greeting_needs_a_model_to_name_the_processor() {
        assert_eq!(greeting("n1", Some(&json!({"threads": "odd"}))), "hello n1");
        assert_eq!(greeting("n1", Some(&json!({"model": "Made CPU 5"}))), "hello n1, Made CPU 5");
    }
}
