//! Verbs that change an object: it is read, changed here, and the difference is sent with tests of what it replaces, so
//! that nothing is lost when somebody else was faster (drp-api.md 17.1).

use anyhow::{Result, bail};
use formwork_client::{PatchOp, Query};
use serde_json::{Value, json};

use super::Given;
use crate::{commands::Context, failure::UsageError, input};

/// Runs a verb that changes the object `ID`, and shows the object.
pub(super) async fn run(
    given: &Given<'_>,
    edit: fn(&Given<'_>, &mut Value) -> Result<()>,
    context: &mut Context,
) -> Result<()> {
    let changed = change(context, (given.name, given.text("ID")), |object| edit(given, object)).await?;
    context.out.value(&changed, &[])
}

/// Changes an object and returns it. Where the caller says with `--ref` what the object is, all of it has to be so.
pub(super) async fn change(
    context: &Context,
    (prefix, id): (&str, &str),
    edit: impl FnOnce(&mut Value) -> Result<()>,
) -> Result<Value> {
    let client = context.client()?;
    let collection = client.collection(prefix).force(context.settings.force);
    let known = context.settings.reference.as_deref().map(input::value).transpose()?;
    let old = match &known {
        Some(known) => known.clone(),
        None => collection.show(id, &Query::new()).await?,
    };
    let mut new = old.clone();
    edit(&mut new)?;
    let mut operations = PatchOp::between(&old, &new);
    match known {
        Some(known) => operations.insert(0, PatchOp::test("", known)),
        None if operations.is_empty() => return Ok(old),
        None => {}
    }
    Ok(collection.patch(id, &operations).await?)
}

/// Sets a member.
pub(super) fn set(object: &mut Value, member: &str, value: Value) -> Result<()> {
    match object.as_object_mut() {
        Some(members) => drop(members.insert(member.to_owned(), value)),
        None => bail!(UsageError(String::from("this is no object"))),
    }
    Ok(())
}

/// Changes a list of names.
pub(super) fn list(object: &mut Value, member: &str, edit: impl FnOnce(&mut Vec<String>)) -> Result<()> {
    let old = object.get_mut(member).map(Value::take).unwrap_or_default();
    let mut names: Vec<String> = serde_json::from_value(old).unwrap_or_default();
    edit(&mut names);
    set(object, member, json!(names))
}
