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

/// The operators of filters (drp-api.md 4.1).
const OPERATORS: [&str; 11] = ["Eq", "Ne", "Lt", "Lte", "Gt", "Gte", "Between", "Except", "In", "Nin", "Re"];

/// Reads filters: `NAME=VALUE`, or the three words `NAME OPERATOR VALUE`.
pub(super) fn filters(words: &[&str]) -> Result<Query> {
    let mut query = Query::new();
    let mut left = words;
    while let Some((filter, rest)) = left.split_first() {
        left = rest;
        if let Some((name, value)) = filter.split_once('=') {
            query.push(name, value);
            continue;
        }
        let operator =
            |word: &str| OPERATORS.into_iter().find(|operator| operator.eq_ignore_ascii_case(word));
        match *rest {
            [word, value, ..] if operator(word).is_some() => {
                query.push(*filter, format!("{}({value})", operator(word).unwrap_or_default()));
                left = rest.get(2..).unwrap_or_default();
            }
            _ => bail!(UsageError(format!(
                "filter `{filter}` is not of the form NAME=VALUE\nhint: such as Name=fred, Name Eq fred or \
                 CurrentTask='Gt(2)'"
            ))),
        }
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_is_one_word_with_an_equals_sign_or_three_words() {
        let read = |words: &[&str]| {
            let query = filters(words).unwrap();
            query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(read(&["Name", "Eq", "fred"]), ["Name=Eq(fred)"]);
        assert_eq!(read(&["A=B", "N", "between", "1,3", "C=Gt(2)"]), ["A=B", "N=Between(1,3)", "C=Gt(2)"]);
        for words in [&["Name"][..], &["Name", "Eq"], &["Name", "Is", "fred"]] {
            assert!(filters(words).is_err(), "{words:?}");
        }
    }
}
