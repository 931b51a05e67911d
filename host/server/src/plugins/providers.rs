//! Plugin providers: objects that say what the plugin components of the installed packs are (drp-api.md 7.20, 11.5).

use std::{collections::BTreeMap, sync::Arc};

use formwork_api::{ApiError, EventFilter};
use formwork_core::plugins::SYSTEM;
use formwork_model::{
    AvailableAction, ComponentKind, ComponentRecord, ContentMeta, InstalledContent, Meta, NameGrammar,
    Objects, ObjectsExt, Plugin, PluginProvider, kind_of,
};
use formwork_sandbox::PluginDescription;
use serde_json::Value;

use super::{call, kv, record};
use crate::{
    commit::{Stop, Work, commit},
    endpoint::Endpoint,
};

/// Who the endpoint is when it writes providers.
const PRINCIPAL: &str = "system";

/// The most actions, and the most event patterns, of one provider (wit/plugin-0.1).
const MAX_ENTRIES: usize = 100;

/// Which components are asked what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// All, as at a start.
    Everybody,
    /// Those that were not asked since they were installed.
    Changed,
}

/// A plugin component of an installed pack.
struct Installed<'a> {
    pack: &'a InstalledContent,
    record: &'a ComponentRecord,
}

/// Makes the providers those of the installed packs. Of two packs with a component of one name the pack whose provider is
/// there already keeps it.
pub(super) async fn synchronise(endpoint: &Arc<Endpoint>, ask: Ask) -> Result<(), ApiError> {
    let snapshot = endpoint.snapshot();
    let packs = snapshot.list::<InstalledContent>();
    let mut components: BTreeMap<&str, Installed<'_>> = BTreeMap::new();
    for pack in &packs {
        for record in pack.components.iter().filter(|record| record.kind == ComponentKind::Plugin) {
            let new = Installed { pack, record };
            let owner =
                snapshot.get::<PluginProvider>(&record.name).map(|provider| provider.component.clone());
            if let Some(other) = components.get(record.name.as_str()) {
                let (kept, left) =
                    if owner.as_deref() == Some(&new.component()) { (&new, other) } else { (other, &new) };
                let (kept_name, left_name) = (kept.component(), left.component());
                tracing::warn!(kept = kept_name, left = left_name, "two packs offer one plugin provider");
                if kept_name != new.component() {
                    continue;
                }
            }
            components.insert(&record.name, new);
        }
    }
    let mut wanted = Vec::new();
    for installed in components.values() {
        let known = snapshot.get::<PluginProvider>(&installed.record.name);
        let asked = known.filter(|known| ask == Ask::Changed && installed.is(known));
        wanted.push(match asked {
            Some(known) => known.as_ref().clone(),
            None => installed.describe(endpoint).await,
        });
    }
    commit(endpoint, PRINCIPAL, move |work| write(work, &wanted)).await
}

/// Makes the stored providers those that are wanted, and forgets what belonged to those that are gone.
fn write(work: &mut Work<'_>, wanted: &[PluginProvider]) -> Result<(), Stop> {
    for known in work.tx.list::<PluginProvider>() {
        if !wanted.iter().any(|provider| provider.name == known.name) {
            work.tx.delete("plugin_providers", &known.name);
        }
    }
    for provider in wanted {
        let known = work.tx.get::<PluginProvider>(&provider.name);
        if known.as_ref().is_some_and(|known| is_same(known, provider)) {
            continue;
        }
        work.put_unchecked(Box::new(provider.clone()))?;
        let is_new = known.is_none_or(|known| known.component_digest != provider.component_digest);
        if is_new && provider.auto_start && work.tx.find("plugins", &provider.name).is_none() {
            let mut plugin =
                Plugin { name: provider.name.clone(), provider: provider.name.clone(), ..Plugin::default() };
            plugin.header.meta = provider.header.meta.clone();
            work.put(Box::new(plugin))?;
        }
    }
    let packs: Vec<String> =
        work.tx.list::<InstalledContent>().iter().map(|content| content.name.clone()).collect();
    kv::sweep(work, &|pack| pack == crate::content::CORE || packs.iter().any(|name| name == pack));
    record::sweep(work.tx);
    Ok(())
}

/// Tells whether two providers differ in nothing but when they were written.
fn is_same(known: &PluginProvider, new: &PluginProvider) -> bool {
    let mut new = new.clone();
    let (written, old) = (&mut new.header, &known.header);
    written.created_at = old.created_at;
    written.created_by.clone_from(&old.created_by);
    written.last_modified_at = old.last_modified_at;
    written.last_modified_by.clone_from(&old.last_modified_by);
    new == *known
}

impl Installed<'_> {
    fn component(&self) -> String {
        format!("{}/{}", self.pack.name, self.record.name)
    }

    /// Tells whether a provider is what the component said of itself.
    fn is(&self, provider: &PluginProvider) -> bool {
        provider.header.available
            && provider.component == self.component()
            && provider.component_digest == self.record.digest
            && provider.header.meta == meta(&self.pack.content_meta, provider)
    }

    /// Asks the component what it is. A provider whose component cannot be asked, or talks nonsense, is not available.
    async fn describe(&self, endpoint: &Arc<Endpoint>) -> PluginProvider {
        let mut provider = PluginProvider {
            name: self.record.name.clone(),
            component: self.component(),
            component_digest: self.record.digest.clone(),
            ..PluginProvider::default()
        };
        let errors = match call::describe(endpoint, &self.component(), self.record).await {
            Ok(description) => {
                let problems = problems(&self.record.name, &description);
                if problems.is_empty() {
                    fill(&mut provider, description);
                }
                problems
            }
            Err(words) => vec![words],
        };
        let meta = meta(&self.pack.content_meta, &provider);
        let header = &mut provider.header;
        header.meta = meta;
        header.bundle.clone_from(&self.pack.name);
        header.read_only = true;
        for error in &errors {
            tracing::error!(component = self.component(), "{error}");
        }
        header.set_errors(errors);
        provider
    }
}

/// Asks a component that is ready and not installed yet what it is, and returns what is wrong with the answer.
pub(crate) async fn problems_of(
    endpoint: &Arc<Endpoint>,
    pack: &str,
    record: &ComponentRecord,
) -> Vec<String> {
    match call::describe(endpoint, &format!("{pack}/{}", record.name), record).await {
        Ok(description) => problems(&record.name, &description),
        Err(words) => vec![words],
    }
}

/// Writes what a component says of itself into its provider.
fn fill(provider: &mut PluginProvider, description: PluginDescription) {
    let name = provider.name.clone();
    provider.version = description.version;
    provider.documentation = description.documentation;
    provider.auto_start = description.auto_start;
    provider.has_publish = !description.events.is_empty();
    provider.events = description.events;
    provider.required_params = description.required_params;
    provider.optional_params = description.optional_params;
    provider.available_actions = description
        .actions
        .into_iter()
        .map(|action| AvailableAction {
            provider: name.clone(),
            model: action.model,
            command: action.name,
            required_params: action.required_params,
            optional_params: action.optional_params,
        })
        .collect();
    if !description.display_name.is_empty() {
        provider.header.meta.insert(String::from("title"), description.display_name);
    }
}

/// Returns what is wrong with what a component says of itself.
fn problems(component: &str, description: &PluginDescription) -> Vec<String> {
    let mut found = Vec::new();
    if description.name != component {
        found.push(format!("the component `{component}` calls itself `{}`", description.name));
    }
    if !NameGrammar::Name.accepts(component) {
        found.push(format!("`{component}` is no name of a plugin provider"));
    }
    if description.actions.len() > MAX_ENTRIES || description.events.len() > MAX_ENTRIES {
        found.push(format!("it has more than {MAX_ENTRIES} actions or event patterns"));
        return found;
    }
    for action in &description.actions {
        let known = action.model.is_empty() || action.model == SYSTEM || kind_of(&action.model).is_some();
        if !known {
            found.push(format!(
                "the action `{}` is for `{}`, which is no type of object",
                action.name, action.model
            ));
        }
        if !NameGrammar::Name.accepts(&action.name) {
            found.push(format!("`{}` is no name of an action", action.name));
        }
    }
    let of_actions = description
        .actions
        .iter()
        .flat_map(|action| action.required_params.iter().chain(&action.optional_params));
    let params = description.required_params.iter().chain(&description.optional_params).chain(of_actions);
    for name in params.filter(|name| !NameGrammar::Param.accepts(name)) {
        found.push(format!("`{name}` is no name of a param"));
    }
    found.extend(
        description.events.iter().filter_map(|text| EventFilter::parse(text).err()).map(|e| e.to_string()),
    );
    found
}

/// Returns the meta map of a provider: what the pack says of itself, as texts (drp-api.md 11.5), and the title that the
/// component gave.
fn meta(pack: &ContentMeta, provider: &PluginProvider) -> Meta {
    let mut found = Meta::new();
    if let Ok(Value::Object(members)) = serde_json::to_value(pack) {
        for (name, value) in members {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !text.is_empty() {
                found.insert(name, text);
            }
        }
    }
    let mut or_else = |name: &str, replaced: &[&str], text: String| {
        if found.get(name).is_none_or(|value| replaced.contains(&value.as_str())) {
            found.insert(name.to_owned(), text);
        }
    };
    or_else("Source", &["Unspecified"], String::from("FromPluginProvider"));
    or_else("Description", &["Unspecified"], format!("Content layer for {} plugin provider", provider.name));
    found.insert(String::from("Type"), String::from("plugin"));
    found.insert(String::from("Name"), provider.name.clone());
    for (name, text) in [("color", &pack.color), ("icon", &pack.icon)] {
        if !text.is_empty() {
            found.insert(name.to_owned(), text.clone());
        }
    }
    if let Some(title) = provider.header.meta.get("title") {
        found.insert(String::from("title"), title.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use formwork_sandbox::PluginAction;

    use super::*;

    fn description() -> PluginDescription {
        PluginDescription {
            name: "frog".into(),
            events: vec!["machines.update.*".into()],
            actions: vec![PluginAction {
                name: "jump".into(),
                model: "machines".into(),
                ..PluginAction::default()
            }],
            ..PluginDescription::default()
        }
    }

    #[test]
    fn component_that_says_what_it_is_has_no_problems() {
        assert!(problems("frog", &description()).is_empty());
    }

    #[test]
    fn nonsense_that_a_component_says_is_told_line_by_line() {
        let mut nonsense = description();
        nonsense.events.push("machines".into());
        nonsense.required_params.push("/x".into());
        nonsense.actions.push(PluginAction {
            name: "9".into(),
            model: "frogs".into(),
            ..PluginAction::default()
        });
        assert_eq!(
            problems("toad", &nonsense),
            [
                "the component `toad` calls itself `frog`",
                "the action `9` is for `frogs`, which is no type of object",
                "`9` is no name of an action",
                "`/x` is no name of a param",
                "filter `machines` is not of the form TYPE.ACTION.KEY",
            ]
        );
    }

    #[test]
    fn meta_is_that_of_the_pack_with_defaults_of_a_plugin_layer() {
        let pack = ContentMeta { name: "ponds".into(), color: "green".into(), ..ContentMeta::default() };
        let mut provider = PluginProvider { name: "frog".into(), ..PluginProvider::default() };
        provider.header.meta.insert("title".into(), "Frog".into());
        let meta = meta(&pack, &provider);
        let value = |name: &str| meta.get(name).map(String::as_str);
        assert_eq!(value("Description"), Some("Content layer for frog plugin provider"));
        assert_eq!(value("Source"), Some("FromPluginProvider"));
        assert_eq!((value("Type"), value("Name")), (Some("plugin"), Some("frog")));
        assert_eq!((value("color"), value("icon"), value("title")), (Some("green"), None, Some("Frog")));
    }
}
