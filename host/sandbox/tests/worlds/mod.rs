//! What is told of a component from its bytes: its kind, its track, what it imports, and what does not fit.

use formwork_sandbox::{Capability, Kind, WIT_PACKAGES, WitPackage, inspect};
use wasm_encoder::{
    Component, ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef,
    ComponentTypeSection, InstanceType,
};

use crate::support::corpus::Bad;
use crate::support::made::{dummy, dummy_of, dummy_with};

/// The words for a component that is refused.
fn words(wit: &str) -> String {
    inspect(&dummy(wit)).unwrap_err().to_string()
}

/// A task world whose `run` has another type.
fn task_with(records: &str, run: &str) -> String {
    format!(
        "package formwork:task@0.2.0;
        interface task {{
            use formwork:machine/machine@0.1.0.{{machine}};
            variant outcome {{ done, retry-at(u64), failed(failure), reboot, poweroff, stop }}
            {records}
            {run}
        }}
        world made {{ export task; }}"
    )
}

const CALL: &str = "record call { machine: machine, attempt: u32, now-ms: u64 }";
const FAILURE: &str = "record failure { code: string, message: string, hint: option<string> }";
const RUN: &str = "run: func(call: call) -> result<outcome, failure>;";

/// A component that imports an interface without functions and hands it on as its own.
fn importing(import: &str, export: &str) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    imports.import(import, ComponentTypeRef::Instance(0));
    let mut exports = ComponentExportSection::new();
    exports.export(export, ComponentExportKind::Instance, 0, None);
    let mut component = Component::new();
    component.section(&types).section(&imports).section(&exports);
    component.finish()
}

#[test]
fn every_world_that_was_released_is_known_with_its_track() {
    let worlds = [
        ("task-0.1", Kind::Task, "0.1"),
        ("task-0.2", Kind::Task, "0.2"),
        ("workflow-0.1", Kind::Workflow, "0.1"),
        ("migration-policy-0.1", Kind::MigrationPolicy, "0.1"),
        ("upgrade-step-0.1", Kind::UpgradeStep, "0.1"),
        ("plugin-0.1", Kind::Plugin, "0.1"),
    ];
    assert_eq!(worlds.len(), WIT_PACKAGES.iter().filter(|package| package.text.contains("\nworld ")).count());
    for (folder, kind, track) in worlds {
        let info = inspect(&dummy_of(folder)).unwrap();
        assert_eq!((info.kind, info.track.as_str()), (kind, track), "{folder}");
    }
    let all = inspect(&dummy_of("task-0.2")).unwrap().imports;
    assert_eq!(all, Capability::ALL);
    assert_eq!(inspect(&dummy_of("workflow-0.1")).unwrap().imports, [Capability::Log]);
}

#[test]
fn a_wrong_track_is_told_with_those_that_are_known() {
    let error = words(
        "package formwork:task@0.9.0;
        interface task { run: func(); }
        world made { export task; }",
    );
    Bad::WrongTrack.is_told(&error);
    let error = words(
        "package formwork:log@0.7.0;
        interface log { write: func(message: string); }
        world made { import log; export formwork:upgrade-step/step@0.1.0; }",
    );
    Bad::WrongTrackOfImport.is_told(&error);
}

#[test]
fn a_function_that_is_missing_is_told_by_name() {
    let runs = RUN.replace("run:", "runs:");
    Bad::MissingFunction.is_told(&words(&task_with(&format!("{CALL} {FAILURE}"), &runs)));
    // The same, for an instance that is taken from an import.
    let error = inspect(&importing("formwork:log/log@0.1.0", "formwork:task/task@0.2.0")).unwrap_err();
    Bad::MissingFunction.is_told(&error);
}

#[test]
fn a_function_of_another_type_is_told_by_the_difference() {
    let both = format!("{CALL} {FAILURE}");
    for (wit, bad) in [
        (
            task_with(&both, "run: func(machine: machine, now-ms: u64) -> result<outcome, failure>;"),
            Bad::OtherArguments,
        ),
        (task_with(&both, "run: func(call: u32) -> result<outcome, failure>;"), Bad::OtherType),
        (task_with(&format!("{} {FAILURE}", CALL.replace("attempt: u32,", "")), RUN), Bad::MissingField),
        (task_with(&format!("{} {FAILURE}", CALL.replace("u32", "u64")), RUN), Bad::OtherField),
        (
            task_with(
                &format!("{} {FAILURE}", CALL.replace("now-ms: u64", "now-ms: u64, zone: string")),
                RUN,
            ),
            Bad::ExtraField,
        ),
        (task_with(&both, "run: func(call: call) -> outcome;"), Bad::OtherResult),
        (task_with(&both, RUN).replace("done, retry-at(u64)", "done, retry-at(u32)"), Bad::OtherCase),
        (task_with(&both, RUN).replace("reboot, poweroff", "poweroff, reboot"), Bad::CasesInOtherOrder),
        (task_with(&both, RUN).replace("stop }", "stop(string) }"), Bad::ExtraPayload),
        (task_with(&both, "run: func(call: call);"), Bad::NoResult),
    ] {
        bad.is_told(&words(&wit));
    }
}

#[test]
fn an_import_that_does_not_exist_here_is_told_by_name() {
    let error = words(
        "package wasi:cli@0.2.6;
        interface environment { get-arguments: func() -> list<string>; }
        world made { import environment; export formwork:upgrade-step/step@0.1.0; }",
    );
    Bad::UnknownImport.is_told(&error);
}

#[test]
fn an_import_that_is_otherwise_here_is_told_by_the_difference() {
    let with = |level: &str, functions: &str| {
        let text = format!("package formwork:log@0.1.0; interface log {{ {level} {functions} }}");
        let log = WitPackage { folder: "log-0.1", file: "log.wit", text: text.leak() };
        let world = "package test:made;
            world made { import formwork:log/log@0.1.0; export formwork:upgrade-step/step@0.1.0; }";
        inspect(&dummy_with(Some(log), world)).unwrap_err()
    };
    let level = "enum level { debug, info, warn, error, panic }";
    let write = "write: func(level: level, message: string);";
    Bad::ImportWithUnknownFunction.is_told(&with(level, &format!("{write} erase: func();")));
    Bad::ImportWithOtherArguments.is_told(&with("", "write: func(message: string);"));
    Bad::ImportWithOtherType.is_told(&with(&level.replace("warn", "notice"), write));
}

#[test]
fn an_import_that_its_kind_may_not_have_is_refused() {
    let world = "import formwork:kv/kv@0.1.0; export formwork:workflow/workflow@0.1.0;";
    Bad::ImportNotForWorkflow.is_told(&words(&format!("package test:made; world made {{ {world} }}")));
    let world = "import formwork:exec/exec@0.1.0; export formwork:plugin/plugin@0.1.0;";
    Bad::ImportNotForPlugin.is_told(&words(&format!("package test:made; world made {{ {world} }}")));
}

#[test]
fn a_component_of_no_world_or_of_several_is_told_what_it_exports() {
    let error = words(
        "package wasi:cli@0.2.6;
        interface run { run: func() -> result; }
        world made { export run; }",
    );
    Bad::WrongWorld.is_told(&error);
    let error = words(
        "package test:made;
        world made { export formwork:plugin/plugin@0.1.0; export formwork:task/task@0.2.0; }",
    );
    Bad::SeveralWorlds.is_told(&error);
}

#[test]
fn a_huge_type_is_told_shortly() {
    // Each of these is twice as large as the one before.
    let pairs: String =
        (1..15).map(|level| format!("type t{level} = tuple<t{}, t{}>;", level - 1, level - 1)).collect();
    let records = format!("type t0 = u32; {pairs} {FAILURE} {CALL}").replace("attempt: u32", "attempt: t12");
    let error = words(&task_with(&records, RUN));
    Bad::HugeType.is_told(&error);
    assert!(error.len() < 500, "{error}");
}

/// `wit/README.md` says so.
#[test]
fn half_of_each_file_of_wit_is_documentation() {
    for package in WIT_PACKAGES {
        let lines = package.text.lines().count();
        let documented = package.text.lines().filter(|line| line.trim_start().starts_with("///")).count();
        assert!(
            2 * documented >= lines,
            "wit/{}/{}: {documented} of {lines} lines are documentation",
            package.folder,
            package.file
        );
    }
}
