//! Verbs of every type.

use super::super::{
    Flag,
    Http::*,
    On, Shows, Verb,
    actions::{arguments, nothing},
    list, meta, objects, params, wait,
};

const AGGREGATE: Flag = Flag::switch("aggregate", "aggregate", "Add params from all sources");
const DECODE: Flag = Flag::switch("decode", "decode", "Show secure params in the clear");
const SLIM: Flag = Flag::value("slim", "MEMBERS", "slim", "Leave these members out, a comma list");
const PARAMS: Flag = Flag::value("params", "NAMES", "params", "Keep only these params, a comma list");
const PLUGIN: Flag = Flag::value("plugin", "NAME", "plugin", "Only of this plugin");

const WAIT: Flag =
    Flag::own("wait", Some("TIME"), "Answer when the object has changed, at the latest after this time");
const ETAG: Flag = Flag::own("etag", Some("TAG"), "The tag of the object that you know");

/// Verbs of every type.
pub(super) const ROWS: &[Verb] = &[
    Verb::own(
        On::Every,
        "list",
        "[FILTER...]",
        |given, context| Box::pin(list::list(given, context)),
        "Lists the objects that match all filters",
    )
    .flags(&[
        Flag::value("limit", "N", "limit", "Show at most so many"),
        Flag::value("offset", "N", "offset", "Leave out so many first"),
        Flag::value("sort", "INDEX", "sort", "Sort by this index; can be given several times"),
        Flag::switch("reverse", "reverse", "The last first"),
        Flag::value("filter", "NAME", "filter", "Use this stored filter"),
        Flag::value("group-by", "INDEX", "group-by", "Group by this index"),
        AGGREGATE,
        DECODE,
        SLIM,
        PARAMS,
    ]),
    Verb::own(
        On::Every,
        "count",
        "[FILTER...]",
        |given, context| Box::pin(list::count(given, context)),
        "Counts the objects that match all filters",
    ),
    Verb::own(
        On::Every,
        "show",
        "ID",
        |given, context| Box::pin(objects::show(given, context)),
        "Shows an object",
    )
    .flags(&[
        AGGREGATE,
        DECODE,
        SLIM,
        PARAMS,
        Flag::switch("expand", "expand", "Expand templates in params"),
        WAIT,
        ETAG,
    ]),
    Verb::own(
        On::Every,
        "exists",
        "ID",
        |given, context| Box::pin(objects::exists(given, context)),
        "Tells by the exit code whether there is an object",
    )
    .flags(&[WAIT, ETAG]),
    Verb::own(
        On::Every,
        "etag",
        "ID",
        |given, context| Box::pin(objects::etag(given, context)),
        "Shows a tag that changes whenever the object does",
    ),
    Verb::ask(
        On::Every,
        "indexes",
        "",
        (Get, "indexes/{type}"),
        "Shows what lists can be filtered and sorted by",
    ),
    Verb::own(
        On::Every,
        "create",
        "JSON",
        |given, context| Box::pin(objects::create(given, context)),
        "Makes an object, from JSON or from a bare name",
    ),
    Verb::edit(
        On::Every,
        "update",
        "ID JSON",
        objects::update,
        "Changes the members that are given; null removes",
    ),
    Verb::own(
        On::Every,
        "patch",
        "OLD PATCH",
        |given, context| Box::pin(objects::patch(given, context)),
        "Applies a JSON patch to ID; or changes the object OLD, if it still is so",
    ),
    Verb::own(
        On::Every,
        "destroy",
        "ID",
        |given, context| Box::pin(objects::destroy(given, context)),
        "Removes an object",
    ),
    Verb::own(
        On::Every,
        "wait",
        "ID MEMBER VALUE [SECONDS]",
        |given, context| Box::pin(wait::wait(given, context)),
        "Waits until a member has a value; prints `complete`, `interrupt` or `timeout`",
    ),
    Verb::own(
        On::Every,
        "meta",
        "ID",
        |given, context| Box::pin(meta::show(given, context)),
        "Shows the metadata of an object",
    ),
    Verb::own(
        On::Every,
        "meta get",
        "ID KEY...",
        |given, context| Box::pin(meta::get(given, context)),
        "Shows one entry of the metadata",
    ),
    Verb::own(
        On::Every,
        "meta set",
        "ID key KEY to VALUE",
        |given, context| Box::pin(meta::set(given, context)),
        "Sets an entry of the metadata",
    ),
    Verb::own(
        On::Every,
        "meta add",
        "ID key KEY val|to VALUE",
        |given, context| Box::pin(meta::add(given, context)),
        "Sets an entry of the metadata that is not there yet",
    ),
    Verb::own(
        On::Every,
        "meta remove",
        "ID key KEY",
        |given, context| Box::pin(meta::remove(given, context)),
        "Removes an entry of the metadata",
    ),
    Verb::ask(
        On::Actions,
        "actions",
        "ID",
        (Get, "{type}/{ID}/{actions}"),
        "Lists what plugins can do with an object",
    )
    .flags(&[PLUGIN])
    .shows(Shows::Value(&["Command", "Provider", "RequiredParams", "OptionalParams"])),
    Verb::ask(
        On::Actions,
        "action",
        "ID ACTION",
        (Get, "{type}/{ID}/{actions}/{ACTION}"),
        "Shows what an action of a plugin needs",
    )
    .flags(&[PLUGIN]),
    Verb::ask(
        On::Actions,
        "runaction",
        "ID ACTION [PAIR...]",
        (Post, "{type}/{ID}/{actions}/{ACTION}"),
        "Has a plugin do something with an object",
    )
    .flags(&[PLUGIN])
    .body(arguments),
    Verb::own(
        On::Params,
        "params",
        "ID [JSON]",
        |given, context| Box::pin(params::params(given, context)),
        "Shows all params, or replaces them",
    )
    .flags(&[AGGREGATE, DECODE, PARAMS]),
    Verb::ask(On::Params, "get", "ID param KEY", (Get, "{type}/{ID}/params/{KEY/}"), "Shows a param").flags(
        &[
            AGGREGATE,
            DECODE,
            Flag::switch("compose", "compose", "Merge the values of all sources"),
            Flag::switch("expand", "expand", "Render the texts in the value"),
        ],
    ),
    Verb::own(
        On::Params,
        "explain",
        "ID param KEY",
        |given, context| Box::pin(params::explain(given, context)),
        "Shows where the value of a param comes from: every source, the one that wins, and all composed",
    )
    .flags(&[DECODE]),
    Verb::own(
        On::Only(&["params"]),
        "explain",
        "TYPE ID KEY",
        |given, context| Box::pin(params::explain(given, context)),
        "Shows where the value of a param of an object comes from",
    )
    .flags(&[DECODE]),
    Verb::own(
        On::Params,
        "set",
        "ID param KEY to|from VALUE",
        |given, context| Box::pin(params::set(given, context)),
        "Sets a param, to a value or from a file",
    ),
    Verb::own(
        On::Params,
        "add",
        "ID param KEY to|from VALUE",
        |given, context| Box::pin(params::add(given, context)),
        "Sets a param that is not there yet",
    ),
    Verb::ask(
        On::Params,
        "remove",
        "ID param KEY",
        (Delete, "{type}/{ID}/params/{KEY/}"),
        "Removes a param and shows what it was",
    ),
    Verb::ask(
        On::Params,
        "pubkey",
        "ID",
        (Get, "{type}/{ID}/pubkey"),
        "Shows the key that secure params of an object are sealed with",
    ),
    // Plugins' actions on jobs have another name, for `actions` says what a job does.
    Verb::ask(
        On::Only(&["jobs"]),
        "plugin_actions",
        "ID",
        (Get, "jobs/{ID}/plugin_actions"),
        "Lists what plugins can do with a job",
    )
    .flags(&[PLUGIN])
    .shows(Shows::Value(&["Command", "Provider"])),
    Verb::ask(
        On::Only(&["jobs"]),
        "plugin_action",
        "ID ACTION",
        (Get, "jobs/{ID}/plugin_actions/{ACTION}"),
        "Shows what an action of a plugin needs",
    )
    .flags(&[PLUGIN]),
    Verb::ask(
        On::Only(&["jobs"]),
        "run_plugin_action",
        "ID ACTION [PAIR...]",
        (Post, "jobs/{ID}/plugin_actions/{ACTION}"),
        "Has a plugin do something with a job",
    )
    .flags(&[PLUGIN])
    .body(arguments),
    Verb::ask(
        On::Only(&["alerts"]),
        "acknowledge",
        "ID",
        (Post, "alerts/{ID}/acknowledge"),
        "Says that somebody has seen an alert",
    )
    .body(nothing),
];
