//! The commands that an operator types.

use serde_json::{Value, json};

use crate::endpoint::Endpoint;

fn json_of(endpoint: &Endpoint, arguments: &[&str]) -> Value {
    let output = endpoint.cli(arguments);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(endpoint: &Endpoint, arguments: &[&str]) -> String {
    let output = endpoint.cli(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn verbs_of_the_ecosystem_work_on_every_type() {
    let endpoint = Endpoint::start();
    let made = json_of(&endpoint, &["profiles", "create", "web"]);
    assert_eq!(made["Name"], "web");
    let set = json_of(&endpoint, &["profiles", "set", "web", "param", "a/b", "to", "{\"x\": 1}"]);
    assert_eq!(set, json!({"x": 1}));
    assert_eq!(json_of(&endpoint, &["profiles", "get", "web", "param", "a/b"]), json!({"x": 1}));
    let updated = json_of(&endpoint, &["profiles", "update", "web", "{\"Description\": \"d\"}"]);
    assert_eq!((&updated["Description"], &updated["Params"]), (&json!("d"), &json!({"a/b": {"x": 1}})));
    assert_eq!(json_of(&endpoint, &["profiles", "count"]), json!(2));
    assert!(endpoint.cli(&["profiles", "exists", "web"]).status.success());
    assert!(endpoint.cli(&["profiles", "destroy", "web"]).status.success());
    assert!(refused(&endpoint, &["profiles", "exists", "web"]).contains("Not Found"));
    for prefix in
        ["machines", "params", "stages", "tasks", "workflows", "bootenvs", "jobs", "users", "templates"]
    {
        assert!(json_of(&endpoint, &[prefix, "list"]).is_array(), "{prefix}");
    }
}

#[test]
fn formats_are_json_yaml_and_table() {
    let endpoint = Endpoint::start();
    let table = endpoint.cli(&["stages", "list", "--format", "table"]);
    assert!(String::from_utf8_lossy(&table.stdout).lines().next().unwrap().contains("BootEnv"));
    let yaml = endpoint.cli(&["stages", "show", "none", "--format", "yaml"]);
    assert!(String::from_utf8_lossy(&yaml.stdout).contains("Name: none"));
}

#[test]
fn machine_follows_a_workflow_that_the_operator_sets() {
    let endpoint = Endpoint::start();
    json_of(&endpoint, &["machines", "create", "m1"]);
    let machine = json_of(&endpoint, &["machines", "workflow", "Name:m1", "discover"]);
    assert_eq!(machine["Workflow"], "discover");
    assert_eq!(machine["Tasks"][0], "stage:discover");
    let refused = refused(&endpoint, &["machines", "workflow", "Name:m1", "nowhere"]);
    assert!(refused.contains("Workflow nowhere does not exist"), "{refused}");
}

#[test]
fn errors_name_the_object_and_a_way_out() {
    let endpoint = Endpoint::start();
    let missing = refused(&endpoint, &["machines", "show", "Name:nobody"]);
    assert!(missing.contains("machines/Name:nobody") && missing.contains("Not Found"), "{missing}");
    let unreachable = refused(&endpoint, &["-E", "https://127.0.0.1:1", "info", "get"]);
    assert!(unreachable.contains("hint: is the endpoint running?"), "{unreachable}");
    let preference = refused(&endpoint, &["prefs", "set", "unknownBootEnv", "local"]);
    assert!(preference.contains("OnlyUnknown"), "{preference}");
}
