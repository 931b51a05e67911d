//! The table of verbs (drp-behaviour.md 10.3, drp-api.md appendix A).

mod common;
mod endpoint;
mod files;
mod machines;
mod types;

use super::Verb;

/// The first words that are no types, and what they are about.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("autocomplete", "Writes what a shell needs to complete commands into a file"),
    ("boot", "Shows how machines booted, and why they did not"),
    ("catalog", "Shows and installs what can be had from elsewhere"),
    ("completion", "Writes what a shell needs to complete commands"),
    ("connections", "Shows who is connected to the endpoint"),
    ("content_archives", "Changes several content bundles at once"),
    ("contents", "Lists, shows, makes and installs content bundles"),
    ("debug", "Fetches what the endpoint tells those who look for a fault in it"),
    ("events", "Follows and posts events"),
    ("extended", "Lists, shows and changes objects of a type that somebody declared, which -l names"),
    ("files", "Lists, sends and fetches files"),
    ("fingerprint", "Shows what this computer knows of itself"),
    ("gohai", "Shows the hardware and the system of this computer"),
    ("indexes", "Shows what lists can be filtered and sorted by"),
    ("info", "Shows what the endpoint says of itself"),
    ("interfaces", "Shows the network cards of the endpoint"),
    ("isos", "Lists, sends and fetches the archives of boot environments"),
    ("jq", "Filters JSON with the language of the program jq"),
    ("loaders", "Sends the boot loaders of the distribution to the endpoint"),
    ("logs", "Shows the log of the endpoint"),
    ("objects", "Shows the types of objects"),
    ("prefs", "Reads and changes the settings of the endpoint"),
    ("proxy", "Passes requests of programs on this computer on to the endpoint"),
    ("support", "Gathers what support needs to know"),
    ("system", "Upgrades, certificates, high availability and actions of the endpoint"),
    ("whocan", "Shows who may do something"),
    ("whoami", "Asks which machine this computer is"),
];

/// Returns all rows.
pub(super) fn all() -> impl Iterator<Item = &'static Verb> {
    [common::ROWS, machines::ROWS, types::ROWS, files::ROWS, endpoint::ROWS].into_iter().flatten()
}
