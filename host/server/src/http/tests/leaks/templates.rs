//! What templates that fail make of secure params.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;

/// Where a job is whose task does not render.
const JOB: &str = "22222222-2222-4333-8444-555555555555";

/// What fails in templates with a secret in its words; the first one is no template.
const FAILING: &[&str] = &[
    "{{ template (.Param \"leak/pin\") }}",
    "{{ .Param \"leak/pin\" | fromJson }}",
    "{{ .Param \"leak/pin\" | mustFromJson }}",
    "{{ .Param \"leak/pin\" | atoi }}",
    "{{ index (.Param \"leak/pin\") \"x\" }}",
    "{{ index (.ParamCompose \"leak/pin\") \"x\" }}",
    "{{ range .Param \"leak/pin\" }}{{ end }}",
    "{{ .Param (.Param \"leak/pin\") }}",
    "{{ .ParamCompose (.Param \"leak/pin\") }}",
    "{{ .CallTemplate (.Param \"leak/pin\") . }}",
    "{{ .ParseUrl \"host\" (.Param \"leak/pin\") }}",
    "{{ .ParseURL \"host\" (.Param \"leak/pin\") }}",
    "{{ .NetmaskToCIDR (.Param \"leak/pin\") }}",
    "{{ .BootParamsFor (.Param \"leak/pin\") }}",
    "{{ .Machine.MacAddr (.Param \"leak/pin\") }}",
    "{{ .Env.PathFor (.Param \"leak/pin\") \"x\" }}",
    "{{ fail (.Param \"leak/pin\") }}",
    "{{ fail (printf \"%q\" (.Param \"leak/pin\")) }}",
    "{{ fail (.ParamAsJSON \"leak/pin\") }}",
    "{{ fail (.ParamAsYAML \"leak/pin\") }}",
    "{{ fail (.Param \"leak/pin\" | b64enc) }}",
    "{{ fail (.Param \"leak/pin\" | trunc 14) }}",
    "{{ fail (.Param \"leak/pin\" | splitList \"-p\" | first) }}",
    "{{ fail .GenerateToken }}",
    "{{ fail .GenerateInfiniteToken }}",
    "{{ .ParamExpand \"leak/text\" }}",
    "{{ .ParamExpand \"leak/broken\" }}",
    "{{ .StringExpand (.Param \"leak/text\") }}",
];

/// Asks for what templates make of secure params, in all places that render.
pub(super) fn ask_all(machine: &str, ask: &mut impl FnMut(&'static str, &str, Value)) {
    for (name, value) in [
        ("text", format!("{{{{ fail \"{SECRET}text\" }}}}")),
        ("broken", format!("{{{{ .Param \"{SECRET}text\" | {SECRET} }}}}")),
    ] {
        let name = format!("leak/{name}");
        ask("POST", "/params", json!({"Name": name, "Secure": true, "Schema": {"type": "string"}}));
        let path = format!("/machines/{machine}/params/{}", name.replace('/', "%2F"));
        ask("POST", &path, json!(value));
        ask("GET", &format!("{path}?decode=true&expand=true"), Value::Null);
    }
    ask("GET", &format!("/machines/{machine}/params?decode=true&expand=true"), Value::Null);
    ask("GET", &format!("/machines/{machine}?decode=true&expand=true"), Value::Null);
    ask("GET", "/machines?decode=true&expand=true", Value::Null);
    let mut entries = vec![json!({"Name": "link", "Path": "a", "Link": "{{ .Param \"leak/pin\" }}"})];
    for (number, text) in FAILING.iter().enumerate() {
        ask("POST", &format!("/machines/{machine}/render"), json!(text));
        ask("POST", "/templates", json!({"ID": format!("leak-{number}"), "Contents": text}));
        ask("GET", &format!("/templates/leak-{number}/render/{machine}"), Value::Null);
        ask("POST", &format!("/machines/{machine}/params/expand-{number}"), json!(text));
        ask("GET", &format!("/machines/{machine}/params/expand-{number}?expand=true"), Value::Null);
    }
    for (number, text) in FAILING.iter().enumerate().skip(1) {
        entries.push(json!({"Name": format!("at-{number}"), "Path": text, "Contents": "x"}));
        entries.push(
            json!({"Name": format!("of-{number}"), "Path": format!("leak-{number}"), "Contents": text}),
        );
    }
    ask("POST", "/profiles", json!({"Name": "global"}));
    ask("POST", "/profiles/global/params", json!({"leak/pin": format!("{SECRET}param")}));
    for raw in [
        "{{ .Param \"leak/pin\" }}=x",
        "sort={{ .Param \"leak/pin\" }}",
        "limit={{ .Param \"leak/pin\" }}",
        "filter={{ .Param \"leak/pin\" }}",
        "Name=Re({{ .Param \"leak/pin\" }}(",
        "{{ fail (.Param \"leak/pin\") }}",
    ] {
        let raw = utf8_percent_encode(raw, NON_ALPHANUMERIC).to_string();
        ask("GET", &format!("/machines?raw={raw}"), Value::Null);
        ask("GET", &format!("/machines/{machine}?raw={raw}"), Value::Null);
    }
    ask("POST", "/tasks", json!({"Name": "leaky", "Templates": entries}));
    ask(
        "PATCH",
        &format!("/machines/{machine}"),
        json!([{"op": "add", "path": "/Tasks", "value": ["leaky"]}]),
    );
    ask("POST", "/jobs", json!({"Uuid": JOB, "Machine": machine}));
    ask("GET", &format!("/jobs/{JOB}/actions"), Value::Null);
    ask("POST", "/bootenvs", json!({"Name": "leaky", "Templates": entries}));
    let boots = json!([{"op": "add", "path": "/BootEnv", "value": "leaky"}]);
    ask("PATCH", &format!("/machines/{machine}?force=true"), boots);
}
