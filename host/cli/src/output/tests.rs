//! What each format looks like.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn styled(style: Style, value: &Value, columns: &[&str]) -> (String, Result<()>) {
    let kept = Kept::default();
    let ended = Output::to(style, Box::new(kept.clone())).value(value, columns);
    let bytes = kept.0.lock().unwrap().clone();
    (String::from_utf8(bytes).unwrap(), ended)
}

fn written(format: Format, value: &Value, columns: &[&str]) -> String {
    styled(Style { format, truncate: Some(20), ..Style::default() }, value, columns).0
}

fn machines() -> Value {
    json!([
        {"Name": "m1", "Tasks": ["a", "b"], "Available": true, "Params": {"rack/row": 7}, "Meta": {"color": "red"}},
        {"Name": "a name that is longer than any column", "Tasks": [], "Available": false}
    ])
}

#[test]
fn every_format_of_a_list_is_as_it_was() {
    let columns = ["Name", "Tasks", "Available"];
    let table = "\
Name                  Tasks  Available
m1                    a, b   true
a name that is lo...         false";
    let shown = written(Format::Table, &machines(), &columns);
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    assert_eq!(lines.join("\n"), table);
    assert_eq!(
        written(Format::Text, &json!([{"Name": "m1", "Tasks": ["a", "b"], "Available": true}]), &columns),
        "Name\tTasks\tAvailable\nm1\ta, b\ttrue\n"
    );
    assert_eq!(
        written(Format::Yaml, &json!([{"Name": "m1", "Tasks": ["a"]}]), &columns),
        "- Name: m1\n  Tasks:\n  - a\n"
    );
    assert_eq!(
        written(Format::Json, &json!([{"Name": "m1", "Tasks": ["a"]}]), &columns),
        "[\n  {\n    \"Name\": \"m1\",\n    \"Tasks\": [\n      \"a\"\n    ]\n  }\n]\n"
    );
}

#[test]
fn every_format_of_an_object_is_as_it_was() {
    let object = json!({"b": 1, "a": "x", "c": null});
    let shown = written(Format::Table, &object, &[]);
    let lines: Vec<String> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["Field Value", "a x", "b 1", "c"]);
    assert_eq!(written(Format::Text, &object, &[]), "a\tx\nb\t1\nc\t\n");
    assert_eq!(written(Format::Yaml, &object, &[]), "b: 1\na: x\nc: null\n");
}

#[test]
fn texts_are_bare_for_people_and_json_for_programs() {
    let value = json!("red");
    assert_eq!(written(Format::Json, &value, &[]), "\"red\"\n");
    assert_eq!(written(Format::Text, &value, &[]), "red\n");
    assert_eq!(written(Format::Table, &json!(["a", "b"]), &[]), "a\nb\n");
    assert_eq!(written(Format::Text, &json!([]), &[]), "Name\n");
}

#[test]
fn columns_that_are_asked_for_win_and_reach_into_params_and_metadata() {
    let columns = ["Name", "Params.rack/row", "Meta.color"].map(str::to_owned).to_vec();
    let style = Style { format: Format::Text, columns, no_header: true, ..Style::default() };
    let (shown, _) = styled(style, &json!([machines()[0]]), &["Available"]);
    assert_eq!(shown, "m1\t7\tred\n");
}

#[test]
fn header_can_be_left_out() {
    let style = Style { format: Format::Table, no_header: true, ..Style::default() };
    let (shown, _) = styled(style, &machines(), &["Name"]);
    assert!(shown.trim_start().starts_with("m1"), "{shown}");
}

#[test]
fn nothing_is_cut_without_a_length() {
    let style = Style { format: Format::Table, ..Style::default() };
    assert!(styled(style, &machines(), &["Name"]).0.contains("longer than any column"));
}

#[test]
fn answer_in_a_table_is_one_row_of_columns() {
    let kept = Kept::default();
    let style = Style { format: Format::Table, ..Style::default() };
    let mut output = Output::to(style, Box::new(kept.clone()));
    output.row(&json!({"Name": "x", "Secret": "s"}), &["Name"]).unwrap();
    assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap().trim(), "Name\n x");
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let value = json!({"a": ["x", 1, true, null, {}, []], "b": {}});
    let style = Style { colors: Colors::parse("0=31;4=1,4"), ..Style::default() };
    let (shown, _) = styled(style, &value, &[]);
    assert!(shown.contains("\u{1b}[1;4m\"a\"\u{1b}[0m: [") && shown.contains("\u{1b}[31m\"x\""), "{shown}");
    let mut plain = String::new();
    let mut escape = false;
    for character in shown.chars() {
        match character {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            other if !escape => plain.push(other),
            _ => {}
        }
    }
    assert_eq!(plain, written(Format::Json, &value, &[]));
    assert_eq!(Colors::parse("0=red"), None);
    assert_eq!(Colors::parse("5=35;6=95"), Some(Colors::default()));
}

#[test]
fn object_with_errors_is_an_error_only_where_that_was_asked_for() {
    let broken = json!({"Name": "x", "Errors": ["Stage s does not exist"]});
    assert!(styled(Style::default(), &broken, &[]).1.is_ok());
    let strict = Style { errors_are_fatal: true, ..Style::default() };
    let (shown, ended) = styled(strict.clone(), &broken, &[]);
    assert!(shown.contains("\"Name\": \"x\""));
    assert!(ended.unwrap_err().to_string().contains("Stage s does not exist"));
    assert!(styled(strict, &json!({"Errors": []}), &[]).1.is_ok());
}
