//! What no compiler writes: modules made by hand to use up, to break, or to get around something.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use formwork_sandbox::{
    CallError, Grants, Host, HostAnswer, HostCall, HostError, HostFuture, Invocation, LimitName, Limits,
    Outcome, ParamsCall, Sandbox,
};
use wasm_encoder::{
    Component, ComponentInstanceSection, ComponentSectionId, Encode, InstanceSection, MemorySection,
    MemoryType, ModuleSection, RawSection,
};

use crate::support::corpus::Bad;
use crate::support::made::{
    PLAIN, RESOURCE, RESOURCE_PARTS, handle_leak, reentrant, table_bomb, task, trapping_destructor,
};
use crate::support::{Memory, call, params, prepared, task as asked, turn};

/// What comes of a component that is given no grants.
async fn run(component: &[u8], limits: Limits) -> Result<Outcome, CallError> {
    let (sandbox, _) = prepared("plugin-greet").await;
    let digest = sandbox.prepare(component).await.unwrap();
    let host = Arc::new(Memory::default());
    let invocation = Invocation { limits, ..call("made", Grants::default(), &host) };
    sandbox.asking(&digest, invocation).run_task(asked()).await.map(|report| report.answer)
}

/// The limit that a component exceeds.
async fn limit(component: &[u8], limits: Limits) -> (LimitName, u64) {
    match run(component, limits).await {
        Err(CallError::Limit { component, limit, value }) => {
            assert_eq!(component, "made");
            (limit, value)
        }
        other => panic!("{other:?}"),
    }
}

/// What is told of a component under the limits that are given where none are.
async fn told(component: &[u8]) -> CallError {
    run(component, Limits::default()).await.unwrap_err()
}

#[tokio::test]
async fn a_component_made_by_hand_does_its_work() {
    assert_eq!(run(&task("", PLAIN, ""), Limits::default()).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn leaked_handles_end_with_their_number() {
    let component = handle_leak();
    Bad::HandleLeak.is_told(&told(&component).await);
    let limits = Limits { handles: 10, ..Limits::default() };
    assert_eq!(limit(&component, limits).await, (LimitName::Handles, 10));
}

#[tokio::test]
async fn handles_that_are_given_back_are_not_counted() {
    let churn = "(local $left i32) (local.set $left (i32.const 5000))
        (loop $again
            (call $drop (call $new (i32.const 1)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";
    let component = task(RESOURCE, &format!("{RESOURCE_PARTS} {PLAIN}"), churn);
    assert_eq!(run(&component, Limits::default()).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn a_trap_in_a_destructor_is_a_crash_like_any_other() {
    let component = trapping_destructor("(call $drop (call $new (i32.const 1)))");
    Bad::TrapInDestructor.is_told(&told(&component).await);
    // What it left behind does not reach the next call.
    Bad::TrapInDestructor.is_told(&told(&component).await);
    // A handle that is still held at the end is not destroyed by the host.
    let component = trapping_destructor("(drop (call $new (i32.const 1)))");
    assert_eq!(run(&component, Limits::default()).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn a_table_bomb_ends_with_the_table_elements() {
    let component = table_bomb();
    Bad::TableBomb.is_told(&told(&component).await);
    let limits = Limits { table_elements: 5000, ..Limits::default() };
    assert_eq!(limit(&component, limits.clone()).await, (LimitName::TableElements, 5000));
    let large = task("", &format!("(table 6000 funcref) {PLAIN}"), "");
    Bad::LargeTable.is_told(&run(&large, limits).await.unwrap_err());
}

#[tokio::test]
async fn a_memory_that_is_large_from_the_start_is_not_started() {
    let parts = PLAIN.replace("\"memory\") 1", "\"memory\") 2000");
    Bad::LargeMemory.is_told(&told(&task("", &parts, "")).await);
}

#[tokio::test]
async fn too_many_instances_are_not_started_either() {
    let empty = wasm_encoder::Module::new();
    let component = with_instances(&task("", PLAIN, ""), 70, &empty);
    Bad::ManyInstances.is_told(&told(&component).await);
    let limits = Limits { instances: 100, ..Limits::default() };
    // The site allows no more than it says.
    assert_eq!(limit(&component, limits).await, (LimitName::Instances, 64));
    assert_eq!(
        run(&with_instances(&task("", PLAIN, ""), 5, &empty), Limits::default()).await.unwrap(),
        Outcome::Done
    );
}

#[tokio::test]
async fn memories_that_another_call_needs_are_not_given() {
    let page = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
    let mut memories = MemorySection::new();
    memories.memory(page);
    let mut module = wasm_encoder::Module::new();
    module.section(&memories);
    Bad::ManyMemories.is_told(&told(&with_instances(&task("", PLAIN, ""), 2, &module)).await);
}

#[tokio::test]
async fn a_start_function_that_never_ends_ends_with_the_fuel() {
    let parts = format!("(func $start (loop $again (br $again))) (start $start) {PLAIN}");
    let limits = Limits { fuel: 1_000_000, ..Limits::default() };
    Bad::InfiniteStart.is_told(&run(&task("", &parts, ""), limits).await.unwrap_err());
    let limits = Limits { fuel: u64::MAX, wall_time: Duration::from_millis(100), ..Limits::default() };
    let (name, _) = limit(&task("", &parts, ""), limits).await;
    // The site's fuel is less than for ever, but more than a tenth of a second.
    assert_eq!(name, LimitName::WallTime);
}

#[tokio::test]
async fn an_answer_that_points_nowhere_is_a_crash_and_nothing_else() {
    // An error whose first text is 4 GiB long, and one that begins at the end of the memory.
    for (bad, place, length) in [(Bad::TooLongText, 0, -1), (Bad::TextBeyondMemory, 65_535, 100)] {
        let broken = format!(
            "(i32.store8 (i32.const 1024) (i32.const 1))
            (i32.store (i32.const 1032) (i32.const {place}))
            (i32.store (i32.const 1036) (i32.const {length}))"
        );
        bad.is_told(&told(&task("", PLAIN, &broken)).await);
    }
    let no_case = "(i32.store8 (i32.const 1024) (i32.const 9))";
    Bad::AnswerWithoutMeaning.is_told(&told(&task("", PLAIN, no_case)).await);
    let no_text = "(i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store8 (i32.const 64) (i32.const 255))
        (i32.store (i32.const 1032) (i32.const 64))
        (i32.store (i32.const 1036) (i32.const 1))";
    Bad::TextWithoutMeaning.is_told(&told(&task("", PLAIN, no_text)).await);
}

/// The host writes the machine's name into the guest; while it asks for a place, the guest asks the host for something.
#[tokio::test]
async fn a_guest_cannot_call_out_while_it_is_called_for_memory() {
    Bad::Reentrancy.is_told(&told(&reentrant()).await);
}

/// A host that asks the same component once more before it answers.
struct Again {
    sandbox: Sandbox,
    digest: formwork_sandbox::Digest,
    memory: Arc<Memory>,
    depth: Mutex<u32>,
}

impl Host for Again {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(async move {
            let is_read =
                matches!(&call, HostCall::Params(ParamsCall::Read { name }) if name == "greet/name");
            let first = is_read && std::mem::replace(&mut *self.depth.lock().unwrap(), 1) == 0;
            if first {
                let within = Arc::new(Memory::default());
                let invocation = crate::support::call("greet", params(&["*"], &["*"]), &within);
                let mut asked = asked();
                asked.machine.name = "within".to_owned();
                let report = self.sandbox.asking(&self.digest, invocation).run_task(asked).await.unwrap();
                assert_eq!(report.answer, Outcome::Done);
                assert_eq!(within.value("greet/message").unwrap(), "\"hello within\"");
            }
            self.memory.call(call).await
        })
    }
}

/// There is no way into an instance whose host call is under way: whoever asks meanwhile gets an instance of its own.
#[tokio::test]
async fn a_component_that_is_asked_again_by_its_host_has_a_fresh_instance() {
    let (sandbox, digest) = prepared("plugin-greet").await;
    let memory = Arc::new(Memory::default());
    let host = Again { sandbox: sandbox.clone(), digest, memory: Arc::clone(&memory), depth: Mutex::new(0) };
    let invocation = Invocation {
        grants: params(&["*"], &["*"]).into(),
        turn: turn(),
        host: Some(Arc::new(host)),
        ..Invocation::new("greet", "")
    };
    let report = sandbox.asking(&digest, invocation).run_task(asked()).await.unwrap();
    assert_eq!(report.answer, Outcome::Done);
    assert_eq!(memory.value("greet/message").unwrap(), "\"hello n1\"");
}

/// A component with so many core instances of a module besides its own.
fn with_instances(component: &[u8], count: u32, module: &wasm_encoder::Module) -> Vec<u8> {
    let mut part = Component::new();
    part.section(&ModuleSection(module));
    let mut instances = InstanceSection::new();
    for _ in 0..count {
        instances.instantiate::<_, &str>(0, []);
    }
    part.section(&instances);
    // A component of its own within the first one, with an index after those that are there.
    let mut bytes = component.to_vec();
    let inner = part.finish();
    let mut length = Vec::new();
    inner.len().encode(&mut length);
    let nested = RawSection { id: ComponentSectionId::Component.into(), data: &inner };
    let mut outer = Component::new();
    outer.section(&nested);
    let mut instance = ComponentInstanceSection::new();
    instance.instantiate::<_, &str>(nested_components(component), []);
    outer.section(&instance);
    bytes.extend_from_slice(&outer.finish()[8..]);
    bytes
}

/// How many components a component has within it.
fn nested_components(component: &[u8]) -> u32 {
    let (mut depth, mut count) = (0, 0);
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            wasmparser::Payload::ComponentSection { .. } => {
                count += u32::from(depth == 0);
                depth += 1;
            }
            wasmparser::Payload::ModuleSection { .. } => depth += 1,
            wasmparser::Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    count
}
