//! `list` and `count`.

use anyhow::{Result, bail};
use formwork_client::Query;

use super::Given;
use crate::{commands::Context, failure::UsageError};

/// Lists the objects that match all filters.
pub(super) async fn list(given: Given<'_>, context: &mut Context) -> Result<()> {
    let mut query = filters(&given.texts("FILTER"))?;
    given.query().iter().for_each(|(name, value)| query.push(name, value));
    let is_sorted = query.iter().any(|(name, _)| name == "sort");
    // People read a list of jobs as what happened; programs get the keys in order, as of every type.
    if given.name == "jobs" && context.out.is_table() && !is_sorted {
        query.push("sort", "StartTime");
    }
    let objects = context.client()?.collection(given.name).list(&query).await?;
    context.out.value(&objects, given.columns())
}

/// Counts the objects that match all filters.
pub(super) async fn count(given: Given<'_>, context: &mut Context) -> Result<()> {
    let query = filters(&given.texts("FILTER"))?;
    let count = context.client()?.collection(given.name).count(&query).await?;
    context.out.line(&count.to_string())
}

/// Reads filters: `NAME=VALUE`.
pub(super) fn filters(words: &[&str]) -> Result<Query> {
    let mut query = Query::new();
    for filter in words {
        let Some((name, value)) = filter.split_once('=') else {
            bail!(UsageError(format!(
                "filter `{filter}` is not of the form NAME=VALUE\nhint: such as Name=fred or CurrentTask='Gt(2)'"
            )));
        };
        query.push(name, value);
    }
    Ok(query)
}
