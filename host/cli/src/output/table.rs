//! Tables for people, and the same as text for programs.

use comfy_table::{Table, presets};
use serde_json::{Map, Value};

use super::Style;
use crate::arguments::Format;

/// The columns of objects whose type has not said more.
const USUAL: &[&str] = &["Name"];

/// Returns an object: one row a member, in the order of their names.
pub(super) fn fields(members: &Map<String, Value>, style: &Style) -> String {
    let object = Value::Object(members.clone());
    let names: Vec<String> = if style.columns.is_empty() {
        let mut names: Vec<String> = members.keys().cloned().collect();
        names.sort();
        names
    } else {
        style.columns.clone()
    };
    let rows = names.into_iter().map(|name| {
        let value = plain(member(&object, &name));
        vec![name, value]
    });
    written(&["Field", "Value"].map(str::to_owned), rows.collect(), style)
}

/// Returns a list of objects: one row an object.
pub(super) fn list(items: &[Value], columns: &[&str], style: &Style) -> String {
    let columns: Vec<String> = match (style.columns.is_empty(), columns.is_empty()) {
        (false, _) => style.columns.clone(),
        (true, false) => columns.iter().map(|column| (*column).to_owned()).collect(),
        (true, true) => USUAL.iter().map(|column| (*column).to_owned()).collect(),
    };
    let rows = items.iter().map(|item| {
        columns.iter().map(|column| cut(plain(member(item, column)).replace('\n', " "), style)).collect()
    });
    let rows = rows.collect();
    written(&columns, rows, style)
}

/// Returns a value as people write it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

/// Returns a member; `Params.a/b` is one of a member.
fn member<'a>(object: &'a Value, name: &str) -> &'a Value {
    let whole = object.get(name);
    let part = || {
        let (outer, inner) = name.split_once('.')?;
        object.get(outer)?.get(inner)
    };
    whole.or_else(part).unwrap_or(&Value::Null)
}

fn written(header: &[String], rows: Vec<Vec<String>>, style: &Style) -> String {
    if style.format == Format::Text {
        let first = (!style.no_header && header != ["Field", "Value"]).then(|| header.to_vec());
        let clean = |cells: Vec<String>| {
            let cells = cells.into_iter().map(|cell| cell.replace(['\t', '\n'], " "));
            cells.collect::<Vec<_>>().join("\t")
        };
        return first.into_iter().chain(rows).map(clean).collect::<Vec<_>>().join("\n");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !style.no_header {
        table.set_header(header);
    }
    table.add_rows(rows);
    table.trim_fmt()
}

/// Cuts a text where a table would break.
fn cut(text: String, style: &Style) -> String {
    let Some(most) = style.truncate.filter(|most| text.chars().count() > *most) else { return text };
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    format!("{kept}...")
}
