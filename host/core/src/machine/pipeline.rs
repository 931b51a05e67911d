//! Runs of pipelines: the workflows that a machine goes through from the one that somebody begins to the last that a task
//! chains to it (drp-behaviour.md 3.13).

use formwork_model::{Machine, Meta, Objects, ObjectsExt, Profile};

/// The member of the meta that names the pipeline: of a profile that makes one of its machines, and of machines and jobs.
pub const NAME: &str = "pipeline";

/// The member of the meta of machines, jobs and work orders that says which run they belong to, a UUID.
pub const RUN: &str = "pipeline-uuid";

/// How the names of profiles begin that make a pipeline of an application.
const APPLICATION: &str = "universal-application-";

/// Returns the pipeline that a machine is in: its own, or that of its first profile that makes one.
#[must_use]
pub fn of(objects: &(impl Objects + ?Sized), machine: &Machine) -> Option<String> {
    if !machine.pipeline.is_empty() {
        return Some(machine.pipeline.clone());
    }
    machine.profiles.iter().find_map(|name| {
        let profile = objects.get::<Profile>(name)?;
        let marked = profile.header.meta.get(NAME)?;
        // A mark that is no name says only that it is one.
        let is_name = !matches!(marked.as_str(), "" | "true");
        let own = || name.strip_prefix(APPLICATION).unwrap_or(name).to_owned();
        Some(if is_name { marked.clone() } else { own() })
    })
}

/// Notes on a machine whose workflow has just begun which run of which pipeline it is. What a task of the machine begins goes on
/// with the run; what anybody else begins is a new one.
pub fn note_run(
    objects: &(impl Objects + ?Sized),
    machine: &mut Machine,
    by_own_task: bool,
    fresh: impl FnOnce() -> String,
) {
    let name = of(objects, machine);
    let meta = &mut machine.header.meta;
    let goes_on = by_own_task && meta.contains_key(RUN) && name.as_ref() == meta.get(NAME);
    match name {
        Some(_) if goes_on => {}
        Some(name) => {
            meta.insert(NAME.to_owned(), name);
            meta.insert(RUN.to_owned(), fresh());
        }
        None => {
            meta.remove(NAME);
            meta.remove(RUN);
        }
    }
}

/// Returns what the meta of a job says of the run of its machine.
#[must_use]
pub fn noted(machine: &Machine) -> Meta {
    let meta = &machine.header.meta;
    [NAME, RUN].iter().filter_map(|name| Some(((*name).to_owned(), meta.get(*name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Shelf;

    fn profile(name: &str, mark: Option<&str>) -> Profile {
        let mut profile = Profile { name: name.into(), ..Profile::default() };
        profile.header.meta.extend(mark.map(|mark| (NAME.to_owned(), mark.to_owned())));
        profile
    }

    #[test]
    fn pipeline_is_that_of_the_machine_or_of_its_first_profile_that_makes_one() {
        let shelf = Shelf::default()
            .with(profile("plain", None))
            .with(profile("universal-application-web", Some("true")))
            .with(profile("named", Some("db")));
        let of = |pipeline: &str, profiles: &[&str]| {
            let profiles = profiles.iter().map(ToString::to_string).collect();
            of(&shelf, &Machine { pipeline: pipeline.into(), profiles, ..Machine::default() })
        };
        assert_eq!(of("edge", &["named"]).as_deref(), Some("edge"));
        assert_eq!(of("", &["gone", "plain", "universal-application-web", "named"]).as_deref(), Some("web"));
        assert_eq!(of("", &["named"]).as_deref(), Some("db"));
        assert_eq!(of("", &["plain"]), None);
    }

    #[test]
    fn run_goes_on_where_a_task_chains_and_is_new_where_somebody_begins() {
        let shelf = Shelf::default().with(profile("named", Some("db")));
        let mut machine = Machine { profiles: vec!["named".into()], ..Machine::default() };
        let note = |machine: &mut Machine, by_own_task, fresh: &str| {
            note_run(&shelf, machine, by_own_task, || fresh.to_owned());
            noted(machine).get(RUN).cloned()
        };
        assert_eq!(note(&mut machine, true, "1").as_deref(), Some("1"), "there is none to go on with");
        assert_eq!(note(&mut machine, true, "2").as_deref(), Some("1"));
        assert_eq!(note(&mut machine, false, "3").as_deref(), Some("3"));
        machine.pipeline = "edge".into();
        assert_eq!(note(&mut machine, true, "4").as_deref(), Some("4"), "another pipeline is another run");
        machine = Machine { profiles: Vec::new(), pipeline: String::new(), ..machine };
        assert_eq!(note(&mut machine, true, "5"), None);
        assert!(machine.header.meta.is_empty());
    }
}
