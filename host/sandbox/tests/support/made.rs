//! Components made from WIT and from core modules in text: what no compiler would write.

use formwork_sandbox::{WIT_PACKAGES, WitPackage};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// The packages of `wit/`, and one more with a world in it. One of those of `wit/` can have another text.
fn resolve(other: Option<WitPackage>, wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let own = wit.split([' ', ';', '\n']).nth(1).unwrap();
    for package in WIT_PACKAGES.iter().filter(|package| !package.text.contains(&format!("package {own};"))) {
        let package = other.filter(|other| other.folder == package.folder).unwrap_or(*package);
        resolve.push_source(package.folder, package.text).unwrap();
    }
    let package = resolve.push_source("test", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    (resolve, world)
}

/// A component of a world whose every function traps.
pub(crate) fn dummy(wit: &str) -> Vec<u8> {
    dummy_with(None, wit)
}

/// The same, with another text for one of the packages of `wit/`.
pub(crate) fn dummy_with(other: Option<WitPackage>, wit: &str) -> Vec<u8> {
    let (resolve, world) = resolve(other, wit);
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    encode(&module)
}

/// A component of a world of `wit/`, whose every function traps.
pub(crate) fn dummy_of(folder: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut world = None;
    for package in WIT_PACKAGES {
        let id = resolve.push_source(package.folder, package.text).unwrap();
        if package.folder == folder {
            world = Some(resolve.select_world(&[id], None).unwrap());
        }
    }
    let mut module = dummy_module(&resolve, world.unwrap(), ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world.unwrap(), StringEncoding::UTF8, false).unwrap();
    encode(&module)
}

/// A task of track 0.2. `parts` are parts of its core module: imports first, among them those of `wit`, which is in the
/// world besides what tasks have. `run` are the instructions before it answers that it is done.
pub(crate) fn task(wit: &str, parts: &str, run: &str) -> Vec<u8> {
    let wit = format!(
        "package test:made;\n{}\nworld made {{ include formwork:task/task-component@0.2.0; {} }}",
        wit.lines().filter(|line| !line.starts_with("world:")).collect::<Vec<_>>().join("\n"),
        wit.lines().filter_map(|line| line.strip_prefix("world:")).collect::<Vec<_>>().join("\n"),
    );
    let (resolve, world) = resolve(None, &wit);
    let text = format!(
        r#"(module
            {parts}
            (global $free (mut i32) (i32.const 4096))
            (func $allocate (param i32 i32 i32 i32) (result i32)
                global.get $free
                global.get $free
                local.get 3
                i32.const 7
                i32.add
                i32.const -8
                i32.and
                i32.add
                global.set $free)
            (func (export "formwork:task/task@0.2.0#run") (param i32) (result i32)
                {run}
                i32.const 1024)
        )"#
    );
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    encode(&module)
}

/// The memory and the allocator that a task needs.
pub(crate) const PLAIN: &str = r#"(memory (export "memory") 1) (export "cabi_realloc" (func $allocate))"#;

/// A world with a resource of the component's own, and its functions in the core module.
pub(crate) const RESOURCE: &str = "interface leaks { resource leak { constructor(); } }\nworld:export leaks;";
pub(crate) const RESOURCE_PARTS: &str = r#"
    (import "[export]test:made/leaks" "[resource-new]leak" (func $new (param i32) (result i32)))
    (import "[export]test:made/leaks" "[resource-drop]leak" (func $drop (param i32)))
    (func (export "test:made/leaks#[constructor]leak") (result i32) unreachable)
"#;

/// A task that makes handles and never drops one.
pub(crate) fn handle_leak() -> Vec<u8> {
    let leak = "(loop $again (drop (call $new (i32.const 1))) (br $again))";
    task(RESOURCE, &format!("{RESOURCE_PARTS} {PLAIN}"), leak)
}

/// A task whose resource traps when it is destroyed. `run` is what it does with it.
pub(crate) fn trapping_destructor(run: &str) -> Vec<u8> {
    let destructor = r#"(func (export "test:made/leaks#[dtor]leak") (param i32) unreachable)"#;
    task(RESOURCE, &format!("{RESOURCE_PARTS} {destructor} {PLAIN}"), run)
}

/// A task that grows its table without end.
pub(crate) fn table_bomb() -> Vec<u8> {
    let grow = "(loop $again (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $again))";
    task("", &format!("(table $table 1 funcref) {PLAIN}"), grow)
}

/// A task that asks the host for something while the host asks it for a place.
pub(crate) fn reentrant() -> Vec<u8> {
    let parts = r#"
        (import "formwork:log/log@0.1.0" "write" (func $log (param i32 i32 i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (call $log (i32.const 1) (i32.const 0) (i32.const 0))
            i32.const 2048)"#;
    task("", parts, "")
}

fn encode(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}
