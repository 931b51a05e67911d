//! Verbs of files, content bundles and the catalog.

use super::super::{
    Flag, Http::*, On, Shows, Verb, actions::nothing, bundles, catalog, contents, files, loaders, sealing,
    system,
};

const BLOBS: On = On::Only(&["files", "isos"]);
const FILES: On = On::Only(&["files"]);
const BUNDLE_KEY: Flag =
    Flag::own(sealing::KEY, Some("FILE"), "The key of its secure values is in this file");
const CONTENTS: On = On::Only(&["contents"]);
const CATALOG: On = On::Only(&["catalog"]);
const PROVIDERS: On = On::Only(&["plugin_providers"]);
const ARCHIVES: On = On::Only(&["content_archives"]);

const ITEM: &[Flag] = &[
    Flag::own("version", Some("VERSION"), "The version [default: stable]"),
    Flag::own("tip", None, "The newest that there is"),
    Flag::own("arch", Some("NAME"), "The architecture [default: amd64]"),
    Flag::own("os", Some("NAME"), "The operating system [default: linux]"),
    Flag::own("overwrite", None, "Also when it is there already, as always"),
];

const LOADER_SOURCES: &[Flag] = &[Flag::own(
    "from",
    Some("PATH"),
    "A folder, an unpacked package or a .deb file, several times [default: what is installed here]",
)];

/// Verbs of files, content bundles and the catalog.
pub(super) const ROWS: &[Verb] = &[
    Verb::own(
        BLOBS,
        "list",
        "[FOLDER]",
        |given, context| Box::pin(files::list(given, context)),
        "Lists names; those of folders end with a slash",
    )
    .flags(&[Flag::own("all", None, "Also what is in its folders")]),
    Verb::own(
        FILES,
        "upload",
        "FILE [as TARGET]",
        |given, context| Box::pin(files::upload(given, context)),
        "Sends a file",
    )
    .flags(&[Flag::switch("explode", "explode", "Also take the archive apart where it is")]),
    Verb::own(
        On::Only(&["isos"]),
        "upload",
        "FILE [as TARGET]",
        |given, context| Box::pin(files::upload(given, context)),
        "Sends an archive",
    ),
    Verb::own(
        BLOBS,
        "download",
        "NAME [to TARGET]",
        |given, context| Box::pin(files::download(given, context)),
        "Fetches a file, to standard output or to one of this name",
    ),
    Verb::own(
        BLOBS,
        "exists",
        "NAME",
        |given, context| Box::pin(files::exists(given, context)),
        "Tells by the exit code whether there is a file",
    ),
    Verb::own(
        BLOBS,
        "destroy",
        "NAME",
        |given, context| Box::pin(files::destroy(given, context)),
        "Removes a file or an empty folder",
    ),
    Verb::ask(FILES, "certs get", "", (Get, "static/cert"), "Shows the certificate of the file server"),
    Verb::ask(
        FILES,
        "certs set",
        "CERTFILE KEYFILE",
        (Post, "static/cert"),
        "Gives the file server a certificate",
    )
    .body(system::certificate),
    Verb::own(
        On::Only(&["loaders"]),
        "import",
        "",
        |given, context| Box::pin(loaders::import(given, context)),
        "Looks for boot loaders and sends them where firmware asks for them",
    )
    .flags(LOADER_SOURCES),
    Verb::local(
        On::Only(&["loaders"]),
        "copy",
        "FOLDER",
        |given, context| Box::pin(loaders::copy(given, context)),
        "Looks for boot loaders and copies them into a folder here, such as a file root",
    )
    .flags(LOADER_SOURCES),
    Verb::own(
        CONTENTS,
        "list",
        "",
        |given, context| Box::pin(contents::list(given, context)),
        "Lists content bundles",
    ),
    Verb::own(
        CONTENTS,
        "count",
        "",
        |given, context| Box::pin(contents::count(given, context)),
        "Counts content bundles",
    ),
    Verb::own(
        CONTENTS,
        "show",
        "NAME",
        |given, context| Box::pin(contents::show(given, context)),
        "Shows a content bundle with its objects",
    )
    .flags(&[Flag::own(sealing::KEY, Some("FILE"), "Write the key of its secure values to this file")]),
    Verb::own(
        CONTENTS,
        "exists",
        "NAME",
        |given, context| Box::pin(contents::exists(given, context)),
        "Tells whether there is such a bundle",
    ),
    Verb::own(
        CONTENTS,
        "create",
        "SOURCE",
        |given, context| Box::pin(contents::create(given, context)),
        "Installs a new bundle: a file, a folder or a URL",
    )
    .flags(&[BUNDLE_KEY]),
    Verb::own(
        CONTENTS,
        "update",
        "NAME SOURCE",
        |given, context| Box::pin(contents::update(given, context)),
        "Replaces a bundle",
    )
    .flags(&[BUNDLE_KEY]),
    Verb::own(
        CONTENTS,
        "upload",
        "SOURCE",
        |given, context| Box::pin(contents::upload(given, context)),
        "Installs a bundle, or replaces it when it is there",
    )
    .flags(&[BUNDLE_KEY]),
    Verb::ask(CONTENTS, "destroy", "NAME", (Delete, "contents/{NAME}"), "Removes a bundle")
        .shows(Shows::Done("Deleted content {NAME}")),
    Verb::local(
        CONTENTS,
        "bundle",
        "TARGET [FOLDER...]",
        |given, context| Box::pin(bundles::bundle(given, context)),
        "Makes one file of a folder, with MEMBER=VALUE of the metadata",
    ),
    Verb::local(
        CONTENTS,
        "unbundle",
        "SOURCE [FOLDER]",
        |given, context| Box::pin(bundles::unbundle(given, context)),
        "Makes a folder of one file",
    ),
    Verb::own(
        CONTENTS,
        "bundlize",
        "TARGET OBJECT...",
        |given, context| Box::pin(bundles::bundlize(given, context)),
        "Makes a bundle of objects: TYPE:KEY or TYPE:INDEX=VALUE, and MEMBER=VALUE of the metadata",
    )
    .flags(&[
        Flag::own("delete", None, "Remove the objects then"),
        Flag::own("reload", None, "Remove the objects, then install the bundle"),
        Flag::own(sealing::KEY, Some("FILE"), "Write the key of its secure values to this file"),
    ]),
    Verb::own(
        CONTENTS,
        "convert",
        "NAME",
        |given, context| Box::pin(contents::convert(given, context)),
        "Makes the objects of a bundle writable ones",
    ),
    Verb::local(
        CONTENTS,
        "document",
        "SOURCE [TARGET]",
        |given, context| Box::pin(bundles::document(given, context)),
        "Writes the documentation of a bundle as reStructuredText",
    ),
    Verb::local(
        CONTENTS,
        "document-md",
        "SOURCE [TARGET]",
        |given, context| Box::pin(bundles::document(given, context)),
        "Writes the documentation of a bundle as Markdown",
    ),
    Verb::own(
        CATALOG,
        "show",
        "",
        |given, context| Box::pin(catalog::show(given, context)),
        "Shows the whole catalog",
    ),
    Verb::own(
        CATALOG,
        "items",
        "",
        |given, context| Box::pin(catalog::items(given, context)),
        "Lists what the catalog has",
    ),
    Verb::own(
        CATALOG,
        "item show",
        "NAME",
        |given, context| Box::pin(catalog::item(given, context)),
        "Shows an item",
    )
    .flags(ITEM),
    Verb::own(
        CATALOG,
        "item download",
        "NAME [to TARGET]",
        |given, context| Box::pin(catalog::item_download(given, context)),
        "Fetches the file of an item",
    )
    .flags(ITEM),
    Verb::own(
        CATALOG,
        "item install",
        "NAME",
        |given, context| Box::pin(catalog::item_install(given, context)),
        "Fetches an item and gives it to the endpoint",
    )
    .flags(ITEM),
    Verb::own(
        CATALOG,
        "updateLocal",
        "",
        |given, context| Box::pin(catalog::update_local(given, context)),
        "Gives the endpoint the catalog and all its files",
    ),
    Verb::own(
        CATALOG,
        "create",
        "[TARGET]",
        |given, context| Box::pin(catalog::create(given, context)),
        "Writes a catalog of the endpoint's catalog items",
    )
    .flags(&[Flag::own("pkg-version", Some("VERSION"), "The version of the catalog")]),
    Verb::own(
        PROVIDERS,
        "upload",
        "FILE [as|from TARGET]",
        |given, context| Box::pin(files::upload_provider(given, context)),
        "Sends the program of a plugin: FILE as NAME, or NAME from FILE",
    ),
    Verb::ask(
        PROVIDERS,
        "download",
        "NAME",
        (Get, "plugin_providers/{NAME}/binary"),
        "Fetches the program of a plugin to standard output",
    )
    .shows(Shows::Raw),
    Verb::ask(ARCHIVES, "list", "", (Get, "content_archives"), "Lists what is in the archives")
        .shows(Shows::Value(&["Name", "Version", "Source"])),
    Verb::ask(ARCHIVES, "sources", "", (Get, "content_archives/sources"), "Lists the archives"),
    Verb::ask(
        ARCHIVES,
        "update start",
        "",
        (Post, "content_archives/update/start"),
        "Begins an update of several bundles",
    )
    .body(nothing),
    Verb::ask(
        ARCHIVES,
        "update status",
        "",
        (Get, "content_archives/update/status"),
        "Shows the update that has begun",
    ),
    Verb::own(
        ARCHIVES,
        "update add",
        "TOKEN FILE",
        |given, context| Box::pin(system::add_staged(given, context)),
        "Adds a bundle or an archive to the update",
    ),
    Verb::ask(
        ARCHIVES,
        "update commit",
        "TOKEN JSON",
        (Post, "content_archives/update/{TOKEN}/commit"),
        "Does all of the update, or nothing: a list of Op, Name, Version, Path",
    )
    .body(|given| given.value("JSON")),
    Verb::ask(
        ARCHIVES,
        "update cancel",
        "",
        (Delete, "content_archives/update"),
        "Forgets the update that has begun",
    ),
];
