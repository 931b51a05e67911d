//! Verbs of single types.

use super::super::{
    Flag,
    Http::*,
    On, Shows, Verb,
    actions::{json, nothing, pairs_as_query, restart_mode},
    events, fetch, files, local, pools, system,
};

const SUBNETS: On = On::Only(&["subnets"]);
const POOLS: On = On::Only(&["pools"]);
const JOBS: On = On::Only(&["jobs"]);
const USERS: On = On::Only(&["users"]);
const MEMBERS: Shows = Shows::Value(&["Name", "Uuid", "Status", "Allocated"]);

/// Verbs of single types.
pub(super) const ROWS: &[Verb] = &[
    Verb::edit(SUBNETS, "range", "ID START END", pools::range, "Sets the first and the last address to give"),
    Verb::edit(
        SUBNETS,
        "pickers",
        "ID PICKERS",
        pools::pickers,
        "Sets how addresses are picked, a comma list",
    ),
    Verb::edit(SUBNETS, "nextserver", "ID ADDRESS", pools::next_server, "Sets where machines boot from"),
    Verb::edit(SUBNETS, "subnet", "ID CIDR", pools::network, "Sets the network"),
    Verb::edit(
        SUBNETS,
        "leasetimes",
        "ID ACTIVE RESERVED",
        pools::lease_times,
        "Sets for how many seconds addresses are given",
    ),
    Verb::own(
        SUBNETS,
        "set",
        "ID param|option KEY to|from VALUE",
        |given, context| Box::pin(set_of_subnet(given, context)),
        "Sets a param or a DHCP option; the option null removes it",
    ),
    Verb::own(
        SUBNETS,
        "get",
        "ID param|option KEY",
        |given, context| Box::pin(get_of_subnet(given, context)),
        "Shows a param or a DHCP option",
    )
    .flags(&[
        Flag::switch("aggregate", "aggregate", "Add params from all sources"),
        Flag::switch("decode", "decode", "Show secure params in the clear"),
    ]),
    Verb::ask(
        SUBNETS,
        "allocate",
        "ID [JSON]",
        (Post, "subnets/{ID}/allocate"),
        "Gives an address away by hand",
    )
    .body(json),
    Verb::ask(
        SUBNETS,
        "release",
        "ID ADDRESS",
        (Delete, "subnets/{ID}/release/{ADDRESS}"),
        "Takes an address back",
    ),
    Verb::ask(POOLS, "active", "", (Get, "pools-active"), "Lists the pools that have machines"),
    Verb::ask(
        POOLS,
        "status",
        "ID",
        (Get, "pools/{ID}/status"),
        "Shows the machines of a pool by their status",
    ),
    Verb::ask(
        POOLS,
        "manage add",
        "ID [FILTER...]",
        (Post, "pools/{ID}/addMachines"),
        "Takes machines into a pool",
    )
    .flags(pools::FLAGS)
    .body(pools::transition)
    .shows(MEMBERS),
    Verb::ask(
        POOLS,
        "manage remove",
        "ID [FILTER...]",
        (Post, "pools/{ID}/removeMachines"),
        "Takes machines out of a pool",
    )
    .flags(pools::FLAGS)
    .body(pools::transition)
    .shows(MEMBERS),
    Verb::ask(
        POOLS,
        "manage allocate",
        "ID [FILTER...]",
        (Post, "pools/{ID}/allocateMachines"),
        "Gives machines of a pool to a user",
    )
    .flags(pools::FLAGS)
    .body(pools::transition)
    .shows(MEMBERS),
    Verb::ask(
        POOLS,
        "manage release",
        "ID [FILTER...]",
        (Post, "pools/{ID}/releaseMachines"),
        "Gives machines back to a pool",
    )
    .flags(pools::FLAGS)
    .body(pools::transition)
    .shows(MEMBERS),
    Verb::ask(
        USERS,
        "password",
        "ID SECRET",
        (Put, "users/{ID}/password"),
        "Sets the password of a user; all of the user's tokens end",
    )
    .body(system::password),
    Verb::local(
        USERS,
        "passwordhash",
        "SECRET",
        |given, context| Box::pin(local::password_hash(given, context)),
        "Shows the record of a password, for the member PasswordHash",
    ),
    Verb::ask(
        USERS,
        "token",
        "ID [PAIR...]",
        (Get, "users/{ID}/token"),
        "Shows a token of a user: ttl TIME, roles NAMES, scope, action, specific",
    )
    .query(pairs_as_query),
    Verb::ask(JOBS, "actions", "ID", (Get, "jobs/{ID}/actions"), "Shows what a job does, rendered now")
        .flags(&[Flag::value("os", "NAME", "os", "The operating system")])
        .query(|given| {
            Ok(match given.optional("os") {
                Some(_) => formwork_client::Query::new(),
                None => formwork_client::Query::new().with("os", "linux"),
            })
        })
        .shows(Shows::Value(&["Name", "Path", "Meta"])),
    Verb::own(
        JOBS,
        "log",
        "ID [TEXT]",
        |given, context| Box::pin(events::job_log(given, context)),
        "Shows the log of a job, or appends to it",
    ),
    Verb::ask(JOBS, "archive", "ID", (Get, "jobs/{ID}/archive"), "Shows where the log of a job is kept"),
    Verb::own(
        JOBS,
        "purge",
        "",
        |given, context| Box::pin(events::purge_jobs(given, context)),
        "Removes jobs that nothing keeps; the endpoint's preferences say what is not said here",
    )
    .flags(&[
        Flag::value(
            "machine",
            "UUID",
            "machine",
            "Only jobs of this machine; `missing`: of machines that are gone",
        ),
        Flag::value("jobs-to-keep", "N", "jobsToKeep", "The newest jobs of each machine that stay"),
        Flag::value(
            "complete-after",
            "DURATION",
            "completeJobsPurgedAfter",
            "How long finished jobs stay, as 30d",
        ),
        Flag::value("failed-after", "DURATION", "failedJobsPurgedAfter", "How long failed jobs stay"),
        Flag::switch("dry-run", "dryrun", "Only tell"),
    ]),
    Verb::own(
        On::Only(&["bootenvs"]),
        "uploadiso",
        "ID [FILE]",
        |given, context| Box::pin(files::upload_iso(given, context)),
        "Sends the archive that a boot environment is made from",
    ),
    Verb::own(
        On::Only(&["bootenvs"]),
        "fetch",
        "[ID]",
        |given, context| Box::pin(fetch::run(given, context)),
        "Fetches the archives that a boot environment is made from and sends them to the endpoint",
    )
    .flags(&[
        Flag::own("all", None, "Those of all boot environments"),
        Flag::own("from", Some("FOLDER|URL"), "A mirror that has them, in place of where they are published"),
        Flag::own("downloads", Some("FOLDER"), "Where parts are kept [default: ~/.cache/formwork/fetch]"),
    ]),
    Verb::ask(
        On::Only(&["bootenvs"]),
        "purgeLocalInstall",
        "ID [ARCH...]",
        (Delete, "bootenvs/{ID}/purgeLocal"),
        "Removes the unpacked archive of a boot environment",
    )
    .flags(&[Flag::switch("reexplode-isos", "reexplodeIsos", "Unpack it again")])
    .body(|given| Ok(serde_json::json!(given.texts("ARCH")))),
    Verb::own(
        On::Only(&["templates"]),
        "upload",
        "FILE as ID",
        |given, context| Box::pin(files::upload_template(given, context)),
        "Makes a template of a file, or replaces its text",
    ),
    Verb::ask(
        On::Only(&["templates"]),
        "render",
        "ID on MACHINE",
        (Get, "templates/{ID}/render/{MACHINE}"),
        "Renders a template for a machine",
    ),
    Verb::ask(
        On::Only(&["batches"]),
        "restart",
        "ID",
        (Post, "batches/{ID}/restart"),
        "Runs what failed in a batch once more, as another batch",
    )
    .body(nothing),
    Verb::ask(
        On::Only(&["work_orders"]),
        "restart",
        "ID [MODE]",
        (Post, "work_orders/{ID}/restart"),
        "Runs a work order in workflow mode once more: retry the task that failed, continue behind it, or from-start",
    )
    .body(restart_mode),
    Verb::own(
        On::Only(&["work_orders"]),
        "run",
        "BLUEPRINT on MACHINE [JSON]",
        |given, context| Box::pin(system::run_blueprint(given, context)),
        "Has a machine run a blueprint, with these params",
    ),
    Verb::ask(
        On::Only(&["zones"]),
        "view",
        "ID",
        (Get, "zones/{ID}/view"),
        "Shows the records of a zone by name and type",
    ),
    Verb::ask(
        On::Only(&["zones"]),
        "info",
        "",
        (Get, "zones-info"),
        "Shows which types of records there are",
    ),
    Verb::ask(
        On::Only(&["zones"]),
        "import",
        "TEXT",
        (Post, "zones-import"),
        "Makes a zone of the text of a zone file",
    )
    .body(super::super::actions::words),
    Verb::ask(On::Only(&["plugins"]), "log", "ID", (Get, "plugins/{ID}/log"), "Shows the log of a plugin")
        .shows(Shows::Raw),
    Verb::ask(
        On::Only(&["plugins"]),
        "letters",
        "ID",
        (Get, "plugins/{ID}/dead_letters"),
        "Lists the events that a plugin could not take",
    )
    .shows(Shows::Value(&["Number", "Type", "Action", "Key", "Reason"])),
    Verb::ask(
        On::Only(&["plugins"]),
        "letters retry",
        "ID",
        (Post, "plugins/{ID}/dead_letters/retry"),
        "Gives a plugin the events again that it could not take",
    )
    .body(nothing),
    Verb::ask(
        On::Only(&["plugins"]),
        "letters drop",
        "ID",
        (Delete, "plugins/{ID}/dead_letters"),
        "Forgets the events that a plugin could not take",
    ),
];

async fn set_of_subnet(
    given: super::super::Given<'_>,
    context: &mut crate::commands::Context,
) -> anyhow::Result<()> {
    match given.text("param|option") {
        "option" => super::super::edit::run(&given, pools::set_option, context).await,
        _ => super::super::params::set(given, context).await,
    }
}

async fn get_of_subnet(
    given: super::super::Given<'_>,
    context: &mut crate::commands::Context,
) -> anyhow::Result<()> {
    if given.text("param|option") == "option" {
        return pools::option(given, context).await;
    }
    super::super::params::get(given, context).await
}
