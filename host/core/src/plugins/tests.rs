use formwork_model::Machine;
use serde_json::json;

use super::*;
use crate::{
    availability,
    machine::tests::{Shelf, words},
};

fn action(model: &str, command: &str, required: &[&str]) -> AvailableAction {
    AvailableAction {
        provider: "frog".into(),
        model: model.into(),
        command: command.into(),
        required_params: words(required),
        optional_params: words(&["jump/height"]),
    }
}

fn provider(actions: Vec<AvailableAction>) -> PluginProvider {
    let mut provider =
        PluginProvider { name: "frog".into(), available_actions: actions, ..PluginProvider::default() };
    provider.header.set_errors(Vec::new());
    provider
}

fn plugin(name: &str, params: Values) -> Plugin {
    let mut plugin =
        Plugin { name: name.into(), provider: "frog".into(), params: params.into(), ..Plugin::default() };
    plugin.header.set_errors(Vec::new());
    plugin
}

fn machine(params: Values) -> Machine {
    Machine { uuid: "m".into(), name: "m1".into(), params: params.into(), ..Machine::default() }
}

fn param(name: &str, secure: bool, default: Value) -> Param {
    Param { name: name.into(), secure, schema: json!({ "default": default }), ..Param::default() }
}

#[test]
fn action_is_offered_on_its_model_only() {
    let actions =
        vec![action("machines", "jump", &[]), action("system", "croak", &[]), action("", "sleep", &[])];
    let frog = plugin("kermit", Values::new());
    let shelf = Shelf::default().with(provider(actions)).with(frog.clone());
    let names = |subject: Option<&dyn Object>| -> Vec<String> {
        offers(&shelf, subject, None).into_iter().map(|offer| offer.action.command).collect()
    };
    assert_eq!(names(Some(&machine(Values::new()))), ["jump"]);
    assert_eq!(names(None), ["croak"]);
    assert_eq!(names(Some(&frog)), ["sleep"]);
    assert!(names(Some(&plugin("other", Values::new()))).is_empty());
}

#[test]
fn plugin_that_is_not_available_offers_nothing_and_is_named() {
    let mut frog = plugin("kermit", Values::new());
    frog.header.set_errors(vec!["no legs".into()]);
    let mut shelf = Shelf::default().with(provider(vec![action("machines", "jump", &[])]));
    shelf.put(Arc::new(frog));
    let chosen = choose(&shelf, Some(&machine(Values::new())), (None, "jump"), &Values::new());
    let Err(NoOffer::Unknown(lines)) = chosen else { panic!("{chosen:?}") };
    assert_eq!(lines, ["plugin kermit offers it, but is not available: no legs"]);
}

#[test]
fn required_param_comes_from_request_object_or_plugin_and_else_is_named() {
    let shelf = Shelf::default().with(provider(vec![action("machines", "jump", &["jump/to"])]));
    let given = Values::from([(String::from("jump/to"), json!("pond"))]);
    let ask = |shelf: &Shelf, object: &Values, request: &Values| {
        choose(shelf, Some(&machine(object.clone())), (None, "jump"), request).map(|_| ())
    };
    let none = Values::new();
    let poor = shelf.with(plugin("kermit", Values::new()));
    assert_eq!(ask(&poor, &none, &none), Err(NoOffer::Missing(words(&["jump/to"]))));
    assert_eq!(ask(&poor, &given, &none), Ok(()));
    assert_eq!(ask(&poor, &none, &given), Ok(()));
    let rich = poor.with(plugin("kermit", given));
    assert_eq!(ask(&rich, &none, &none), Ok(()));
}

#[test]
fn params_of_the_request_win_over_those_of_the_object_and_these_over_the_plugin() {
    let shelf = Shelf::default()
        .with(provider(vec![action("machines", "jump", &["jump/to"])]))
        .with(plugin(
            "kermit",
            Values::from([("jump/height".into(), json!(1)), ("jump/to".into(), json!("c"))]),
        ))
        .with(param("jump/height", false, json!(9)));
    let machine = machine(Values::from([("jump/to".into(), json!("b"))]));
    let offer = choose(&shelf, Some(&machine), (Some("kermit"), "jump"), &Values::new()).unwrap();
    let params = action_params(&shelf, Some(&machine), &offer, &Values::new());
    assert_eq!(params, Values::from([("jump/height".into(), json!(1)), ("jump/to".into(), json!("b"))]));
    let request = Values::from([("jump/to".into(), json!("a")), ("free".into(), json!(true))]);
    let params = action_params(&shelf, Some(&machine), &offer, &request);
    assert_eq!((&params["jump/to"], &params["free"]), (&json!("a"), &json!(true)));
}

#[test]
fn secure_param_is_given_by_request_only_and_is_no_part_of_the_configuration() {
    let own = Values::from([("jump/to".into(), json!("secret")), ("jump/height".into(), json!(2))]);
    let shelf = Shelf::default()
        .with(provider(vec![action("machines", "jump", &["jump/to"])]))
        .with(plugin("kermit", own.clone()))
        .with(param("jump/to", true, json!("default")));
    let machine = machine(Values::new());
    let offer = choose(&shelf, Some(&machine), (None, "jump"), &Values::new()).unwrap();
    assert!(!action_params(&shelf, Some(&machine), &offer, &Values::new()).contains_key("jump/to"));
    let request = Values::from([("jump/to".into(), json!("own"))]);
    assert_eq!(action_params(&shelf, Some(&machine), &offer, &request)["jump/to"], json!("own"));
    assert_eq!(config(&shelf, &offer.plugin), Values::from([("jump/height".into(), json!(2))]));
}

#[test]
fn plugin_without_a_required_param_is_not_available_and_says_which() {
    let mut frog = provider(Vec::new());
    frog.required_params = words(&["jump/to"]);
    let shelf = Shelf::default().with(frog);
    let mut poor = plugin("kermit", Values::new());
    availability::admit(&shelf, &mut poor, Vec::new()).unwrap();
    assert_eq!(poor.header.errors, ["kermit: required param `jump/to` has no value"]);
    let shelf = shelf.with(param("jump/to", false, json!("pond")));
    availability::admit(&shelf, &mut poor, Vec::new()).unwrap();
    assert!(poor.header.available);
}
