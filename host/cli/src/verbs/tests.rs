//! The grammar against a peer that records what it is asked.

mod peer;

use std::{collections::BTreeSet, env, fs, path::Path};

use clap::FromArgMatches as _;
use clap_complete::Shell;

use super::*;
use crate::{arguments::GlobalArgs, commands, output::Output, settings::Settings};

/// Command lines and the requests that they are.
const LINES: &str = "src/verbs/tests/grammar.txt";

/// Splits a command line as a shell does, with single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for character in line.chars() {
        match character {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Runs a command line and returns what the peer was asked, and how it ended.
async fn asked(peer: &peer::Peer, line: &str) -> String {
    asked_of(peer, &mut commands::command(false), line).await
}

async fn asked_of(peer: &peer::Peer, command: &mut Command, line: &str) -> String {
    let mut arguments = vec![String::from("formwork")];
    arguments.extend(["-E", &peer.url, "-T", "t", "--retries", "0"].map(str::to_owned));
    arguments.extend(words(line));
    let matches = match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(_) => return String::from("usage"),
    };
    let (name, matches) = matches.subcommand().unwrap();
    let flags = GlobalArgs::from_arg_matches(matches).unwrap();
    let ended = match Settings::gather(&flags) {
        Ok(settings) => {
            let out = Output::to(settings.style.clone(), Box::new(std::io::sink()));
            run(name, matches, &mut Context { settings, out }).await
        }
        Err(error) => Err(error),
    };
    let mut requests = peer.take();
    if let Err(error) = ended {
        requests.push(format!("! {}", error.to_string().lines().next().unwrap()));
    }
    requests.join(" ; ")
}

/// The file is written anew when `FORMWORK_WRITE_GRAMMAR` is set; the difference is to be read.
#[tokio::test]
async fn grammar_of_drpcli_parses() {
    let peer = peer::Peer::start().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(LINES);
    let text = fs::read_to_string(&file).unwrap();
    let mut program = commands::command(false);
    let (mut written, mut wrong, mut count) = (String::new(), Vec::new(), 0);
    for line in text.lines() {
        let (command, expected) = line.split_once(" => ").unwrap_or((line, ""));
        if command.is_empty() || command.starts_with('#') {
            written.push_str(&format!("{line}\n"));
            continue;
        }
        let found = asked_of(&peer, &mut program, command).await;
        if found != expected {
            wrong.push(format!("{command}\n  expected {expected}\n  found    {found}"));
        }
        written.push_str(&format!("{command} => {found}\n"));
        count += 1;
    }
    if env::var_os("FORMWORK_WRITE_GRAMMAR").is_some() {
        fs::write(&file, written).unwrap();
        return;
    }
    assert!(count > 500, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_type_has_every_verb_of_the_list() {
    for kind in kinds() {
        let has: BTreeSet<&str> = verbs_of(kind.prefix).iter().map(|verb| verb.words).collect();
        let common = [
            "list",
            "count",
            "show",
            "exists",
            "etag",
            "indexes",
            "create",
            "update",
            "patch",
            "destroy",
            "wait",
            "meta",
            "meta get",
            "meta set",
            "meta add",
            "meta remove",
        ];
        let params = ["params", "get", "set", "add", "remove"];
        let actions = ["actions", "action", "runaction"];
        let groups = [
            (true, &common[..]),
            (kind.bears_params, &params[..]),
            (kind.plugin_actions.is_some(), &actions[..]),
        ];
        for verb in groups.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, verbs)| verbs) {
            assert!(has.contains(verb), "{} {verb}", kind.prefix);
        }
        assert_eq!(has.contains("set"), kind.bears_params, "{}", kind.prefix);
    }
    let has = |name: &str, verb: &str| verbs_of(name).iter().any(|known| known.words == verb);
    let machines = "workflow stage bootenv run pause jobs currentlog deletejobs processjobs inspect_tasks whoami token \
                    releaseToPool addprofile removeprofile addtask inserttask removetask tasks_add tasks_del";
    for verb in machines.split_whitespace().map(|verb| verb.replace('_', " ")) {
        assert!(has("machines", &verb), "{verb}");
    }
    let others = "subnets:range subnets:pickers subnets:nextserver subnets:leasetimes pools:manage_add \
                  pools:manage_remove pools:manage_allocate pools:manage_release pools:active pools:status prefs:list \
                  prefs:set users:password users:passwordhash users:token jobs:log jobs:purge jobs:actions files:list \
                  files:upload files:download files:exists files:destroy files:certs_get isos:list isos:upload \
                  logs:get logs:watch events:post events:watch info:get info:check info:status contents:bundle \
                  contents:unbundle contents:bundlize contents:convert contents:document contents:upload \
                  catalog:show catalog:item_install catalog:updateLocal catalog:create system:upgrade system:ha_id \
                  system:certs_get system:signurl support:bundle support:machine-bundle";
    for (name, verb) in others.split_whitespace().filter_map(|word| word.split_once(':')) {
        assert!(has(name, &verb.replace('_', " ")), "{name} {verb}");
    }
}

#[test]
fn words_of_a_verb_are_there_once() {
    for (name, about) in names() {
        assert!(!about.is_empty() && !verbs_of(name).is_empty(), "{name}");
        let words: Vec<&str> = verbs_of(name).iter().map(|verb| verb.words).collect();
        let distinct: BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(words.len(), distinct.len(), "{name}: {words:?}");
    }
}

#[test]
fn completion_knows_every_verb() {
    let script = String::from_utf8(local::script(Shell::Bash, "drpcli")).unwrap();
    for (name, _) in names() {
        for verb in verbs_of(name).iter().filter(|verb| !verb.words.is_empty()) {
            // Both the blank between two words and a dash in one are written like this.
            let path = format!("{name} {}", verb.words).replace([' ', '-'], "__subcmd__");
            assert!(script.contains(&path), "{name} {}", verb.words);
        }
    }
    // Under the name that the program has.
    assert!(script.contains("-o nosort -o bashdefault -o default drpcli") && !script.contains("formwork__"));
    for shell in [Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
        let script = String::from_utf8(local::script(shell, "drpcli")).unwrap();
        assert!(script.contains("removeprofile") && script.contains("bundlize"), "{shell}");
    }
}

#[test]
fn help_of_every_verb_tells_its_arguments_as_the_table_writes_them() {
    let mut command = commands::command(false);
    command.build();
    for (name, _) in names() {
        for verb in verbs_of(name) {
            let mut inner = command.find_subcommand_mut(name).unwrap();
            for word in verb.words.split_whitespace() {
                inner = inner.find_subcommand_mut(word).unwrap();
            }
            let help = inner.render_help().to_string();
            assert!(help.contains(verb.args) && help.contains(verb.about), "{name} {}: {help}", verb.words);
        }
    }
}

#[test]
fn arguments_are_read_as_rows_write_them() {
    let read = |args| -> Vec<(&str, bool, bool, bool)> {
        grammar::tokens(args)
            .into_iter()
            .map(|token| (token.name, token.is_word, token.is_optional, token.is_many))
            .collect()
    };
    assert_eq!(
        read("ID key KEY to|from VALUE"),
        [
            ("ID", false, false, false),
            ("key", true, false, false),
            ("KEY", false, false, false),
            ("to|from", true, false, false),
            ("VALUE", false, false, false)
        ]
    );
    assert_eq!(
        read("FILE [as NAME]"),
        [("FILE", false, false, false), ("as", true, true, false), ("NAME", false, true, false)]
    );
    assert_eq!(read("[FILTER...]"), [("FILTER", false, true, true)]);
}

#[test]
fn member_is_compared_as_text_and_as_json() {
    let object = serde_json::json!(
        {"State": "finished", "WorkflowComplete": true, "CurrentTask": -1, "Meta": {"a": "b"}}
    );
    assert!(wait::has(&object, "State", "finished"));
    assert!(wait::has(&object, "WorkflowComplete", "true"));
    assert!(wait::has(&object, "CurrentTask", "-1"));
    assert!(wait::has(&object, "/Meta/a", "b"));
    assert!(!wait::has(&object, "State", "failed") && !wait::has(&object, "Missing", ""));
}

#[tokio::test]
async fn update_with_a_reference_object_tests_all_of_it() {
    let peer = peer::Peer::start().await;
    let found =
        asked(&peer, r#"machines update fred '{"Name":"b"}' -r '{"Name":"a","Description":"d"}'"#).await;
    assert_eq!(
        found,
        r#"PATCH machines/fred [{"op":"test","path":"","value":{"Name":"a","Description":"d"}},{"op":"test","path":"/Name","value":"a"},{"op":"replace","path":"/Name","value":"b"}]"#
    );
}

#[tokio::test]
async fn null_removes() {
    let peer = peer::Peer::start().await;
    let found = asked(&peer, r#"profiles update web '{"Params":{"x":null}}'"#).await;
    assert_eq!(
        found,
        r#"GET profiles/web ; PATCH profiles/web [{"op":"test","path":"/Params/x","value":1},{"op":"remove","path":"/Params/x"}]"#
    );
}

/// Runs a command line that needs no endpoint, or whose requests do not matter.
async fn done(line: &str) {
    let peer = peer::Peer::start().await;
    assert_eq!(asked(&peer, line).await, "", "{line}");
}

#[tokio::test]
async fn bundle_and_unbundle_are_inverse() {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name).display().to_string();
    let content = serde_json::json!({
        "meta": {"Name": "web", "Version": "v1.2.3", "Description": "d", "Type": "dynamic"},
        "sections": {
            "params": {"web/port": {"Name": "web/port", "Schema": {"type": "integer"}}},
            "templates": {"a.tmpl": {"ID": "a.tmpl", "Contents": "#!/bin/sh\n{{ .Machine.Name }}\n"}},
            "tasks": {"t": {"Name": "t", "RequiredParams": ["web/port"]}}
        }
    });
    fs::write(place("one.json"), content.to_string()).unwrap();
    done(&format!("contents unbundle {} {}", place("one.json"), place("folder"))).await;
    assert!(Path::new(&place("folder/params/web.port.yaml")).is_file());
    for target in ["two.json", "two.yaml"] {
        done(&format!("contents bundle {} {}", place(target), place("folder"))).await;
        let text = fs::read_to_string(place(target)).unwrap();
        let made = crate::input::parse(&text).unwrap();
        for pointer in ["/meta/Name", "/meta/Version", "/meta/Description", "/sections"] {
            assert_eq!(made.pointer(pointer), content.pointer(pointer), "{target} {pointer}");
        }
    }
    done(&format!("contents bundle {} {} Version=v2.0.0", place("three.json"), place("folder"))).await;
    assert!(fs::read_to_string(place("three.json")).unwrap().contains("\"Version\": \"v2.0.0\""));
}

#[tokio::test]
async fn bundle_of_objects_leaves_out_what_the_endpoint_says_of_them() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("made.yaml").display().to_string();
    let peer = peer::Peer::start().await;
    let found =
        asked(&peer, &format!("contents bundlize {target} stages:fred params:Name=fred Name=mine --delete"))
            .await;
    assert_eq!(found, "GET stages/fred ; GET params?Name=fred ; DELETE stages/fred ; DELETE params/fred");
    let made = crate::input::parse(&fs::read_to_string(target).unwrap()).unwrap();
    assert_eq!(made.pointer("/meta/Name"), Some(&serde_json::json!("mine")));
    assert_eq!(made.pointer("/sections/stages/fred/Name"), Some(&serde_json::json!("fred")));
}

#[tokio::test]
async fn row_169_system_upgrade_stage_sends_the_release() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("f.zip");
    fs::write(&file, "PK bytes").unwrap();
    let peer = peer::Peer::start().await;
    let found = asked(&peer, &format!("system upgrade stage {}", file.display())).await;
    assert_eq!(found, "POST system/upgrade/stage PK bytes");
}

#[tokio::test]
async fn row_171_system_upgrade_start_runs_what_was_staged() {
    let peer = peer::Peer::start().await;
    assert_eq!(asked(&peer, "system upgrade start").await, "POST system/upgrade/run {}");
}

#[tokio::test]
async fn row_184_catalog_item_download_fetches_and_checks_the_file() {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name).display().to_string();
    let peer = peer::Peer::start().await;
    // The peer answers any file with an empty map.
    let catalog = |sum: &str| {
        serde_json::json!({"sections": {"catalog_items": {"drp-stable": {
            "Id": "drp-stable", "Name": "drp", "Version": "stable", "ActualVersion": "v4.17.0", "ContentType": "DRP",
            "Source": format!("{}/files/drp.zip", peer.url), "Shasum256": {"any/any": sum}
        }}}})
    };
    fs::write(place("good.json"), catalog(&local::sha256(b"{}")).to_string()).unwrap();
    fs::write(place("bad.json"), catalog(&local::sha256(b"other")).to_string()).unwrap();
    let target = place("f.zip");
    let line = format!("-c {} catalog item download drp to {target}", place("good.json"));
    assert_eq!(asked(&peer, &line).await, "GET files/drp.zip");
    assert_eq!(fs::read(&target).unwrap(), b"{}");
    let line = format!("-c {} catalog item download drp to {}", place("bad.json"), place("never"));
    assert!(asked(&peer, &line).await.contains("has the sum"));
    assert!(!Path::new(&place("never")).exists());
    let line = format!("-c {} catalog item show drp --version v9", place("good.json"));
    assert!(asked(&peer, &line).await.contains("no version `v9`"));
}
