//! Plugin providers that are uploaded by themselves: a component, or the pack of one (drp-api.md 11.5).

use std::sync::Arc;

use formwork_api::ApiError;
use formwork_model::{ComponentKind, InstalledContent, ObjectsExt, PluginProvider};
use formwork_store::Revision;
use schemars::JsonSchema;
use serde::Serialize;

use super::contents;
use crate::{
    auth::Caller,
    endpoint::Endpoint,
    packs::{self, Form, Upload, Wanted},
    plugins,
};

/// How programs begin that a processor or a shell runs, and what they are called.
const NATIVE: [(&[u8], &str); 8] = [
    (b"\x7fELF", "a Linux program"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xce\xfa\xed\xfe", "a macOS program"),
    (b"\xfe\xed\xfa\xcf", "a macOS program"),
    (b"\xfe\xed\xfa\xce", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a macOS program"),
    (b"#!", "a script"),
];

/// What is told of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct PluginProviderUploadInfo {
    /// The name of the provider.
    pub(crate) path: String,
    /// The bytes that were received.
    pub(crate) size: u64,
}

/// Says why the beginning of an upload is none of a plugin, when it is one of a program.
pub(crate) fn native(start: &[u8]) -> Option<String> {
    let (_, what) = NATIVE.iter().find(|(magic, _)| start.starts_with(magic))?;
    Some(format!(
        "it is {what}, and this endpoint runs no plugins outside of its sandbox: its plugins are WebAssembly components\n\
         hint: `formwork pack new NAME --kind plugin` makes the source of one; send what `formwork pack build` makes of it"
    ))
}

/// Makes a plugin provider of a component, or of the pack of one, in the place of what has its name.
///
/// # Errors
///
/// 422 for what is no plugin, or does not say what it is; and everything that a pack would be refused for.
pub(crate) async fn upload(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    name: &str,
    upload: Upload,
    wanted: Wanted,
) -> Result<PluginProviderUploadInfo, ApiError> {
    caller.require("plugin_providers", "create", name)?;
    let refused = |words: Vec<String>| ApiError::invalid("plugin_providers", name, words);
    let size = upload.bytes;
    if size > packs::MAX_UPLOAD_BYTES {
        return Err(packs::too_long().about("plugin_providers", name));
    }
    if let Some(words) = native(upload.start()) {
        return Err(refused(vec![words]));
    }
    let wanted = match upload.form() {
        Form::Component => {
            Wanted { name: Some(name.to_owned()), kind: Some(ComponentKind::Plugin), ..wanted }
        }
        Form::Archive => wanted,
        Form::Unknown => {
            let words = "it is neither a component nor a `.fwpack` file\n\
                         hint: `formwork pack new NAME --kind plugin` makes the source of a plugin";
            return Err(refused(vec![words.to_owned()]));
        }
    };
    let staged = packs::stage(endpoint, caller, upload, wanted).await;
    let staged = staged.map_err(|error| error.about("plugin_providers", name))?;
    let Some(record) = staged.plugin(name) else {
        let pack = &staged.meta().name;
        return Err(refused(vec![format!("the pack `{pack}` has no plugin component called `{name}`")]));
    };
    let making = endpoint.packs.keep_files().await;
    packs::make_ready(endpoint, &staged).await.map_err(|error| error.about("plugin_providers", name))?;
    let problems = plugins::problems_of(endpoint, &staged.meta().name, &record).await;
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    contents::install_pack(endpoint, caller, staged).await?;
    drop(making);
    Ok(PluginProviderUploadInfo { path: name.to_owned(), size })
}

/// Removes a plugin provider with the pack of its component.
///
/// # Errors
///
/// 409 when the pack has other providers too, or is in use otherwise.
pub(crate) async fn remove(
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    provider: &PluginProvider,
) -> Result<Revision, ApiError> {
    let pack = provider.component.split_once('/').map_or("", |(pack, _)| pack);
    let content = endpoint.snapshot().get::<InstalledContent>(pack);
    let is_other = |kind: ComponentKind, name: &str| kind == ComponentKind::Plugin && name != provider.name;
    let others = content.iter().flat_map(|content| &content.components);
    let others: Vec<String> = others
        .filter(|record| is_other(record.kind, &record.name))
        .map(|record| format!("plugin_providers:{}", record.name))
        .collect();
    if !others.is_empty() {
        let message = format!(
            "the pack `{pack}` also brings {}\nhint: `formwork pack remove {pack}` removes all of it",
            others.join(", ")
        );
        return Err(ApiError::new(409, "DELETE", message).about("plugin_providers", &provider.name));
    }
    let removed = packs::take_out(endpoint, &caller.principal, pack).await;
    removed.map_err(|error| error.about("plugin_providers", &provider.name))?;
    plugins::settle(endpoint).await;
    Ok(endpoint.snapshot().revision())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_first_bytes() {
        for (start, what) in [
            (&b"\x7fELF\x02"[..], "a Linux program"),
            (b"MZ\x90", "a Windows program"),
            (b"#!/bin/sh", "a script"),
            (b"\xcf\xfa\xed\xfe", "a macOS program"),
        ] {
            let words = native(start).unwrap();
            assert!(words.starts_with(&format!("it is {what}, ")) && words.contains("hint: "), "{words}");
        }
        assert!(native(b"\0asm").is_none() && native(b"").is_none() && native(b"{}").is_none());
    }
}
