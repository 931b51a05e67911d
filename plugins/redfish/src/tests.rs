use std::cell::RefCell;
use std::rc::Rc;

use formwork_sdk::http::{HttpError, Method, Request};
use formwork_sdk::log;
use formwork_sdk::plugin::Config;
use formwork_sdk::testing::{Host, Reply};
use serde_json::json;

use super::*;

const SYSTEM_1: &str = "/redfish/v1/Systems/1";
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// A management controller with one system, by the parts of Redfish that are asked for.
#[derive(Default)]
struct Controller {
    power: &'static str,
    next: Option<Value>,
    open_sessions: u32,
}

impl Controller {
    fn answer(&mut self, request: &Request) -> Result<Reply, HttpError> {
        let Some(path) = request.url.strip_prefix("https://bmc1.example") else {
            return Err(HttpError::Unavailable(format!("nobody is at {}", request.url)));
        };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if (request.method, path) == (Method::Post, SESSIONS) {
            self.open_sessions += 1;
            let reply = Reply::status(201).header("X-Auth-Token", "token-1");
            return Ok(reply.header("Location", format!("https://bmc1.example{SESSIONS}/1")));
        }
        let has =
            |name: &str, value: &str| request.headers.iter().any(|(own, is)| own == name && is == value);
        if !has("x-auth-token", "token-1") && !has("authorization", "Basic dXNlcjpodXNo") {
            return Ok(Reply::status(401));
        }
        Ok(match (request.method, path) {
            (Method::Get, "/redfish/v1/Systems") => {
                Reply::status(200).json(json!({"Members": [{"@odata.id": SYSTEM_1}]}))
            }
            (Method::Get, SYSTEM_1) => Reply::status(200).header("ETag", "\"5\"").json(self.system()),
            (Method::Post, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset") => self.reset(&body),
            (Method::Patch, SYSTEM_1) if !has("if-match", "\"5\"") => Reply::status(412),
            (Method::Patch, SYSTEM_1) => {
                self.next = Some(body["Boot"]["BootSourceOverrideTarget"].clone());
                Reply::status(204)
            }
            (Method::Delete, "/redfish/v1/SessionService/Sessions/1") => {
                self.open_sessions -= 1;
                Reply::status(204)
            }
            _ => Reply::status(404).json(json!({"error": {"message": "no such resource"}})),
        })
    }

    fn system(&self) -> Value {
        json!({
            "PowerState": self.power,
            "Status": {"Health": "OK"},
            "Actions": {"#ComputerSystem.Reset": {
                "target": format!("{SYSTEM_1}/Actions/ComputerSystem.Reset"),
                "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart"],
            }},
        })
    }

    fn reset(&mut self, body: &Value) -> Reply {
        match (body["ResetType"].as_str(), self.power) {
            (Some("On"), "Off") | (Some("ForceRestart"), "On") => self.power = "On",
            (Some("ForceOff"), "On") => self.power = "Off",
            (kind, power) => {
                let words = format!("{kind:?} while {power}");
                return Reply::status(409).json(json!({"error": {"message": words}}));
            }
        }
        Reply::status(204)
    }
}

/// A controller and a host from which it can be reached.
fn controlled(power: &'static str) -> (Rc<RefCell<Controller>>, Host) {
    let controller = Rc::new(RefCell::new(Controller { power, ..Controller::default() }));
    let answers = Rc::clone(&controller);
    let host = Host::new()
        .grants(["http: https://*/redfish/*", "secrets: redfish/password"])
        .unwrap()
        .secret(PASSWORD, "hush")
        .http(move |request| answers.borrow_mut().answer(request));
    (controller, host)
}

fn call(action: &str, more: &[(&str, &str)]) -> ActionCall {
    let params = [(ADDRESS, "bmc1.example"), (USER, "user")];
    let params: Config = params.iter().chain(more).copied().collect();
    ActionCall { action: action.to_owned(), model: "machines".to_owned(), params, ..ActionCall::default() }
}

#[test]
fn machine_is_switched_on_once_and_left_alone_when_it_is_on() {
    let (controller, host) = controlled("Off");
    let first = host.act::<Redfish>(&call("poweron", &[])).unwrap();
    let expected = json!({
        "system": SYSTEM_1, "power": "Off", "health": "OK", "nextBoot": null, "asked": {"ResetType": "On"},
    });
    assert_eq!((first, controller.borrow().power), (expected, "On"));
    let again = host.act::<Redfish>(&call("poweron", &[])).unwrap();
    assert_eq!((&again["power"], &again["asked"]), (&json!("On"), &Value::Null));
    let posts = host.requests().into_iter().filter(|request| request.method == Method::Post);
    assert_eq!(posts.count(), 1);
}

#[test]
fn cycle_takes_the_best_reset_that_the_controller_offers() {
    let (controller, host) = controlled("On");
    let done = host.act::<Redfish>(&call("powercycle", &[])).unwrap();
    assert_eq!((&done["asked"], controller.borrow().power), (&json!({"ResetType": "ForceRestart"}), "On"));
    host.act::<Redfish>(&call("poweroff", &[])).unwrap();
    assert_eq!(controller.borrow().power, "Off");
}

#[test]
fn next_boot_device_is_set_only_on_the_system_that_was_read() {
    let (controller, host) = controlled("On");
    host.act::<Redfish>(&call("nextbootpxe", &[])).unwrap();
    assert_eq!(controller.borrow().next, Some(json!("Pxe")));
    let patch = host.requests().pop().unwrap();
    assert!(patch.headers.contains(&("if-match".to_owned(), "\"5\"".to_owned())), "{patch:?}");
}

#[test]
fn session_is_closed_also_when_the_action_fails() {
    let (controller, host) = controlled("On");
    let session = |action, system| call(action, &[(AUTH, "session"), (SYSTEM, system)]);
    host.act::<Redfish>(&session("powerstatus", "1")).unwrap();
    let failure = host.act::<Redfish>(&session("powerstatus", "2")).unwrap_err();
    assert_eq!(failure.code, "bmc-refused");
    assert!(failure.message.ends_with("Systems/2`: no such resource"), "{failure}");
    assert_eq!(controller.borrow().open_sessions, 0);
    let logins = host.requests().into_iter().filter(|request| request.url.ends_with("/Sessions"));
    assert_eq!(logins.count(), 2);
}

#[test]
fn wrong_password_is_told_and_no_password_is_told_before_anybody_is_asked() {
    let (_, host) = controlled("On");
    let failure = host.act::<Redfish>(&call("poweron", &[(PASSWORD, "wrong")])).unwrap_err();
    assert_eq!(failure.code, "bmc-login");
    assert!(!failure.message.contains("wrong"), "{failure}");
    let host = Host::new();
    assert_eq!(host.act::<Redfish>(&call("poweron", &[])).unwrap_err().code, "no-password");
    assert!(host.requests().is_empty());
}

#[test]
fn password_is_in_no_line_of_the_log() {
    let (_, host) = controlled("On");
    host.act::<Redfish>(&call("poweroff", &[(AUTH, "session")])).unwrap();
    let lines = host.lines();
    assert!(lines.iter().any(|(level, _)| *level == log::Level::Info), "{lines:?}");
    assert!(lines.iter().all(|(_, line)| !line.contains("hush") && !line.contains("token-1")), "{lines:?}");
}

#[test]
fn controller_that_is_dead_or_not_granted_is_told() {
    let (_, host) = controlled("On");
    let fails =
        |address: &str| host.act::<Redfish>(&call("poweron", &[(ADDRESS, address)])).unwrap_err().message;
    assert!(fails("bmc2.example").contains("nobody is at https://bmc2.example"));
    let refused = fails("http://bmc1.example");
    assert!(refused.contains("is not granted to this component"), "{refused}");
    // The grant is a pattern, which never reaches the machine itself.
    assert!(fails("127.0.0.1").contains("is not granted to this component"));
}
