//! Verbs of the endpoint itself, and of this program.

use super::super::{
    Flag,
    Http::*,
    On, Shows, Verb,
    actions::{arguments, nothing},
    boot, events, files, local, proxy, system,
};

const SYSTEM: On = On::Only(&["system"]);
const PLUGIN: Flag = Flag::value("plugin", "NAME", "plugin", "Only of this plugin");

/// Verbs of the endpoint itself, and of this program.
pub(super) const ROWS: &[Verb] = &[
    Verb::ask(On::Only(&["info"]), "get", "", (Get, "info"), "Shows version, ports and features"),
    Verb::own(
        On::Only(&["info"]),
        "check",
        "",
        |given, context| Box::pin(system::check(given, context)),
        "Shows whether the endpoint answers",
    ),
    Verb::own(
        On::Only(&["info"]),
        "status",
        "",
        |given, context| Box::pin(system::status(given, context)),
        "Shows what of the endpoint is on",
    ),
    Verb::ask(On::Only(&["prefs"]), "list", "", (Get, "prefs"), "Shows all settings"),
    Verb::own(
        On::Only(&["prefs"]),
        "get",
        "NAME",
        |given, context| Box::pin(system::preference(given, context)),
        "Shows one setting",
    ),
    Verb::ask(
        On::Only(&["prefs"]),
        "set",
        "PAIR...",
        (Post, "prefs"),
        "Changes settings: names and values in turn, or a JSON map",
    )
    .body(system::preferences),
    Verb::own(
        On::Only(&["events"]),
        "watch",
        "[EVENT...]",
        |given, context| Box::pin(events::watch(given, context)),
        "Shows events as they happen, one JSON line each",
    )
    .flags(&[Flag::own("since", Some("N"), "Begin behind this revision")]),
    Verb::own(
        On::Only(&["events"]),
        "post",
        "JSON",
        |given, context| Box::pin(events::post(given, context)),
        "Sends an event to all listeners",
    ),
    Verb::ask(On::Only(&["logs"]), "get", "", (Get, "logs"), "Shows the last lines of the log, oldest first")
        .shows(Shows::Value(&["Time", "Level", "Service", "Message"])),
    Verb::own(
        On::Only(&["logs"]),
        "watch",
        "[SERVICE...]",
        |given, context| Box::pin(events::watch_log(given, context)),
        "Shows lines of the log as they are written",
    ),
    Verb::ask(
        On::Only(&["boot"]),
        "list",
        "",
        (Get, "boot"),
        "Lists the network cards that were seen to boot, the last ones first",
    )
    .shows(Shows::Value(&["Mac", "Addresses", "Attempts", "Conclusion"])),
    Verb::own(
        On::Only(&["boot"]),
        "explain",
        "MAC|PCAP",
        |given, context| Box::pin(boot::explain(given, context)),
        "Tells what was seen of a boot, which rule decided, where it stopped, and what would boot it",
    )
    .flags(&[
        Flag::own("data", None, "Show it as data in place of a text"),
        Flag::own("mac", Some("MAC"), "Tell of this machine of a capture only"),
    ]),
    Verb::ask(On::Only(&["interfaces"]), "list", "", (Get, "interfaces"), "Lists network cards")
        .shows(Shows::Value(&["Name", "Index", "Addresses", "ActiveAddress"])),
    Verb::ask(On::Only(&["interfaces"]), "show", "NAME", (Get, "interfaces/{NAME}"), "Shows a network card"),
    Verb::ask(
        On::Only(&["interfaces"]),
        "exists",
        "NAME",
        (Get, "interfaces/{NAME}"),
        "Tells by the exit code whether there is a network card",
    ),
    Verb::ask(On::Only(&["objects"]), "list", "", (Get, "objects"), "Lists the types of objects"),
    Verb::ask(On::Only(&["indexes"]), "list", "", (Get, "indexes"), "Shows the indexes of all types"),
    Verb::ask(
        On::Only(&["indexes"]),
        "show",
        "TYPE [INDEX]",
        (Get, "indexes/{TYPE}/{INDEX?}"),
        "Shows the indexes of a type, or one of them",
    ),
    Verb::ask(On::Only(&["connections"]), "list", "", (Get, "connections"), "Lists connections")
        .shows(Shows::Value(&["RemoteAddr", "Type", "Principal", "CreateTime"])),
    Verb::ask(
        On::Only(&["connections"]),
        "show",
        "ADDRESS",
        (Get, "connections/{ADDRESS}"),
        "Shows a connection",
    ),
    Verb::ask(
        On::Only(&["whocan"]),
        "",
        "SCOPE ACTION [SPECIFIC]",
        (Get, "whocan"),
        "Shows who may do something: whocan machines update:/Locked",
    )
    .query(|given| {
        Ok(formwork_client::Query::new()
            .with("scope", given.text("SCOPE"))
            .with("action", given.text("ACTION"))
            .with("specific", given.optional("SPECIFIC").unwrap_or("*")))
    }),
    Verb::own(
        On::Only(&["whoami"]),
        "",
        "",
        |given, context| Box::pin(local::whoami(given, context)),
        "Asks which machine this computer is",
    ),
    Verb::local(
        On::Only(&["fingerprint"]),
        "",
        "",
        |given, context| Box::pin(local::fingerprint(given, context)),
        "Shows what this computer knows of itself",
    ),
    Verb::local(
        On::Only(&["completion"]),
        "",
        "SHELL",
        |given, context| Box::pin(local::completion(given, context)),
        "Writes what a shell needs to complete commands: bash, elvish, fish, powershell or zsh",
    ),
    Verb::local(
        On::Only(&["autocomplete"]),
        "",
        "[TARGET]",
        |given, context| Box::pin(local::completion(given, context)),
        "Writes what bash needs to complete commands into a file",
    ),
    Verb::own(
        On::Only(&["debug"]),
        "",
        "KIND [SECONDS|TARGET]",
        |given, context| Box::pin(system::debug(given, context)),
        "Fetches what the endpoint tells those who look for a fault in it",
    )
    .flags(&[Flag::own("seconds", Some("N"), "How long the endpoint looks at itself")]),
    Verb::local(
        On::Only(&["gohai"]),
        "",
        "",
        |given, context| Box::pin(local::gohai(given, context)),
        "Shows the hardware and the system of this computer",
    ),
    Verb::local(
        On::Only(&["jq"]),
        "",
        "[ARGUMENT...]",
        |given, context| Box::pin(local::jq(given, context)),
        "Filters JSON with the language of the program jq",
    ),
    // It settles itself who calls: the password is needed longer than for one request.
    Verb::local(
        On::Only(&["proxy"]),
        "",
        "SOCKET",
        |given, context| Box::pin(proxy::run(given, context)),
        "Passes requests of programs on this computer on to the endpoint, as the caller of this one",
    ),
    Verb::own(
        On::Only(&["support"]),
        "bundle",
        "[TARGET]",
        |given, context| Box::pin(system::support(given, context)),
        "Gathers what support needs to know of the endpoint",
    ),
    Verb::own(
        On::Only(&["support"]),
        "machine-bundle",
        "ID [TARGET]",
        |given, context| Box::pin(system::support(given, context)),
        "Gathers what support needs to know of a machine",
    ),
    Verb::ask(SYSTEM, "actions", "", (Get, "system/actions"), "Lists what plugins can do with the endpoint")
        .flags(&[PLUGIN])
        .shows(Shows::Value(&["Command", "Provider"])),
    Verb::ask(
        SYSTEM,
        "action",
        "ACTION",
        (Get, "system/actions/{ACTION}"),
        "Shows what an action of a plugin needs",
    )
    .flags(&[PLUGIN]),
    Verb::ask(
        SYSTEM,
        "runaction",
        "ACTION [PAIR...]",
        (Post, "system/actions/{ACTION}"),
        "Has a plugin do something with the endpoint",
    )
    .flags(&[PLUGIN])
    .body(arguments),
    Verb::own(
        SYSTEM,
        "upgrade",
        "FILE",
        |given, context| Box::pin(files::upload_release(given, context)),
        "Sends a release and runs it at once",
    ),
    Verb::own(
        SYSTEM,
        "upgrade stage",
        "FILE",
        |given, context| Box::pin(files::upload_release(given, context)),
        "Sends a release to be run later",
    ),
    Verb::ask(
        SYSTEM,
        "upgrade unstage",
        "",
        (Delete, "system/upgrade/stage"),
        "Removes the release that was staged",
    )
    .shows(Shows::Done("Deleted the staged release")),
    Verb::own(
        SYSTEM,
        "upgrade start",
        "",
        |given, context| Box::pin(system::start_upgrade(given, context)),
        "Upgrades all nodes to the staged release, one after the other",
    ),
    Verb::ask(SYSTEM, "upgrade run", "", (Post, "system/upgrade/run"), "The same as start").body(nothing),
    Verb::ask(
        SYSTEM,
        "upgrade exec",
        "",
        (Post, "system/upgrade/exec"),
        "Upgrades this node only to the staged release",
    )
    .body(nothing),
    Verb::ask(SYSTEM, "upgrade status", "", (Get, "system/upgrade/status"), "Shows how far the upgrade is"),
    Verb::ask(SYSTEM, "certs get", "", (Get, "system/cert"), "Shows the certificate of the API"),
    Verb::ask(SYSTEM, "certs set", "CERTFILE KEYFILE", (Post, "system/cert"), "Gives the API a certificate")
        .body(system::certificate),
    Verb::own(
        SYSTEM,
        "signurl",
        "URL",
        |given, context| Box::pin(system::sign_url(given, context)),
        "Shows a URL by which anybody can read a file or an iso for some time",
    )
    .flags(&[Flag::own("ttl", Some("TIME"), "How long it works: an hour by default, a week at most")]),
    Verb::ask(SYSTEM, "active", "", (Post, "system/active"), "Makes this node the active one")
        .shows(Shows::Done("This node is active")),
    Verb::ask(SYSTEM, "passive", "", (Post, "system/passive"), "Makes this node a passive one")
        .shows(Shows::Done("This node is passive")),
    Verb::ask(SYSTEM, "ha id", "", (Get, "system/consensus/id"), "Shows the id of this node"),
    Verb::ask(SYSTEM, "ha leader", "", (Get, "system/consensus/leader"), "Shows the leader"),
    Verb::ask(SYSTEM, "ha active", "", (Get, "system/consensus/active"), "Shows the active node"),
    Verb::ask(SYSTEM, "ha peers", "", (Get, "system/consensus/peers"), "Lists the nodes"),
    Verb::ask(SYSTEM, "ha state", "", (Get, "system/consensus/state"), "Shows the state of this node"),
    Verb::ask(SYSTEM, "ha dump", "", (Get, "system/consensus/fullstate"), "Shows the state of all nodes"),
    Verb::ask(
        SYSTEM,
        "ha introduction",
        "",
        (Get, "system/consensus/introduction"),
        "Shows what a new node has to know",
    ),
    Verb::ask(
        SYSTEM,
        "ha failOverSafe",
        "[TIME]",
        (Post, "system/consensus/failOverSafe"),
        "Tells whether another node can take over",
    )
    .query(|given| {
        Ok(match given.optional("TIME") {
            Some(time) => formwork_client::Query::new().with("waitFor", time),
            None => formwork_client::Query::new(),
        })
    })
    .body(|_| Ok(serde_json::Value::Null)),
    Verb::ask(SYSTEM, "ha enroll", "JSON", (Post, "system/consensus/enroll"), "Takes a node in")
        .body(|given| given.value("JSON")),
    Verb::ask(SYSTEM, "ha remove", "NODE", (Delete, "system/consensus/node/{NODE}"), "Takes a node out")
        .shows(Shows::Done("Deleted node {NODE}")),
];
