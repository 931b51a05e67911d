//! Which events are wanted: `TYPE.ACTION.KEY`, each part `*` or a comma list of values.

/// Tells whether a pattern fits an event. One with fewer than three parts fits none.
pub(crate) fn matches(pattern: &str, kind: &str, action: &str, key: &str) -> bool {
    let mut parts = pattern.splitn(3, '.');
    [kind, action, key].iter().all(|value| {
        parts
            .next()
            .is_some_and(|part| part.split(',').map(str::trim).any(|word| word == "*" || word == *value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_a_star_or_a_list() {
        assert!(matches("*.*.*", "machines", "update", "a"));
        assert!(matches("machines, jobs.create,update.*", "jobs", "update", "x"));
        assert!(!matches("machines.create.*", "machines", "update", "x"));
        assert!(matches("machines.update.a.b", "machines", "update", "a.b"));
        assert!(!matches("machines.update", "machines", "update", "x"));
        assert!(!matches("", "machines", "update", "x"));
    }
}
