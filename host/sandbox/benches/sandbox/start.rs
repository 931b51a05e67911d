//! From bytes to a component that can be called, and the start of a process that has many of them.

use crate::SUITE;
use formwork_bench::{Row, Stopwatch, Target};
use formwork_sandbox::{Digest, Tier, inspect};
use wasm_encoder::{
    BlockType, CodeSection, Component, CustomSection, Function, FunctionSection, Instruction, Module,
    ModuleSection, TypeSection, ValType,
};

use crate::stage::{Stage, call, run_task, runtime, sandbox, turn};

/// Components of one endpoint.
const INSTALLED: usize = 200;

/// Runs the cases.
pub(crate) fn run(stage: &Stage) {
    callable(stage);
    installed(stage);
}

/// How long it takes until a component can be called, and until it is as fast as it gets.
fn callable(stage: &Stage) {
    let cache = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(cache.path());
    let bytes = stage.component("plugin-inventory");
    let (called, optimised) = runtime().block_on(async {
        let clock = Stopwatch::start();
        let digest = sandbox.prepare(bytes).await.expect("a good component");
        assert_eq!(sandbox.tier(&digest), Some(Tier::Baseline));
        let called = clock.millis();
        sandbox.settled().await;
        assert_eq!(sandbox.tier(&digest), Some(Tier::Optimised));
        (called, clock.millis())
    });
    let size = bytes.len() >> 10;
    Row::new(SUITE, format!("upload of {size} KB to callable"), called, "ms")
        .beside("to optimised", optimised)
        .print();
}

/// The slowest functions that the look at a component lets through: how long a child is busy with them.
pub(crate) fn worst(stage: &Stage) {
    let (block, all_loops) = (Instruction::Block(BlockType::Empty), Instruction::Loop(BlockType::Empty));
    let loops = [1, 20, 98, 400, 1500, 6000].map(|locals| ("loops", &all_loops, locals));
    let blocks = [1, 100, 900, 6000, 40_000].map(|locals| ("blocks", &block, locals));
    for (what, open, locals) in loops.into_iter().chain(blocks) {
        // The most that are let through.
        let (mut fits, mut refused) = (1, 1 << 18);
        while refused - fits > 1 {
            let middle = usize::midpoint(fits, refused);
            let bytes = nesting(stage.component("guest-bench"), middle, locals, open);
            if inspect(&bytes).is_ok() { fits = middle } else { refused = middle }
        }
        let cache = tempfile::tempdir().expect("a folder");
        let sandbox = sandbox(cache.path());
        let bytes = nesting(stage.component("guest-bench"), fits, locals, open);
        let case = format!("{fits} {what} over {locals} locals, to callable");
        let (called, optimised) = runtime().block_on(async {
            let clock = Stopwatch::start();
            let digest = sandbox.prepare(&bytes).await.expect("a component that one of the compilers takes");
            let called = clock.millis();
            sandbox.settled().await;
            (called, (sandbox.tier(&digest) == Some(Tier::Optimised)).then(|| clock.millis()))
        });
        match optimised {
            Some(optimised) => Row::new(SUITE, case, called, "ms").beside("to optimised", optimised).print(),
            None => Row::new(SUITE, case, called, "ms").with_note("to optimised: given up").print(),
        }
    }
}

/// A component with one more module in it: a function of nested loops or blocks over many locals.
fn nesting(component: &[u8], depth: usize, locals: u32, open: &Instruction<'_>) -> Vec<u8> {
    use Instruction as I;
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([(locals, ValType::I32)]);
    let local = |level: usize| u32::try_from(level).unwrap_or(u32::MAX) % locals;
    for level in 0..depth {
        body.instruction(open);
        body.instruction(&I::LocalGet(local(level))).instruction(&I::LocalSet(local(level + 1)));
    }
    for level in (0..depth).rev() {
        body.instruction(&I::LocalGet(local(level))).instruction(&I::BrIf(0)).instruction(&I::End);
    }
    body.instruction(&I::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut part = Component::new();
    part.section(&ModuleSection(&module));
    and(component, &part.finish())
}

/// How long the start of a process takes that has many components in its cache.
fn installed(stage: &Stage) {
    let cache = tempfile::tempdir().expect("a folder");
    let digests: Vec<Digest> = runtime().block_on(async {
        let sandbox = sandbox(cache.path());
        let mut digests = Vec::new();
        for number in 0..INSTALLED {
            let bytes = numbered(stage.component("guest-bench"), number);
            digests.push(sandbox.prepare(&bytes).await.expect("a good component"));
        }
        sandbox.settled().await;
        digests
    });
    let clock = Stopwatch::start();
    let sandbox = sandbox(cache.path());
    runtime().block_on(async {
        for digest in &digests {
            assert!(sandbox.is_ready(digest).await);
        }
    });
    let ready = clock.millis();
    runtime().block_on(async {
        for digest in &digests {
            run_task(&sandbox, digest, turn(0), call("small")).await.expect("a call that ends well");
        }
    });
    let called = clock.millis();
    assert!(digests.iter().all(|digest| sandbox.tier(digest) == Some(Tier::Optimised)));
    Row::new(SUITE, format!("start with {INSTALLED} components"), ready, "ms")
        .reaches(Target::Below(1000.0))
        .print();
    Row::new(SUITE, "the same, each called once", called, "ms").print();
}

/// A component with a number in it, so that it is another one.
fn numbered(component: &[u8], number: usize) -> Vec<u8> {
    let mut part = Component::new();
    let number = number.to_le_bytes();
    part.section(&CustomSection { name: "number".into(), data: number.as_slice().into() });
    and(component, &part.finish())
}

/// A component with the parts of another one.
fn and(component: &[u8], part: &[u8]) -> Vec<u8> {
    // A component's first eight bytes are its head.
    [component, part.get(8..).unwrap_or_default()].concat()
}
