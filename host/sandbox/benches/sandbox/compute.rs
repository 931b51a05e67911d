//! What the limits cost a guest that only computes.

use crate::SUITE;
use formwork_bench::{Row, Samples, Stopwatch, Target};
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg,
    MemArgTarget, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmtime::{Config, Engine, Instance, Store, Strategy};

/// Steps of the loop.
const STEPS: i64 = 20_000_000;

/// How many steps are written one after the other in a turn of the loop, as compilers and authors of such code do it
/// (SHA-256 has 64 rounds). The limits are looked at once a turn, so loops of one short step show the most that they cost.
const UNROLLED: [i64; 2] = [16, 1];

/// Runs the cases.
pub(crate) fn run() {
    for unrolled in UNROLLED {
        turns(unrolled);
    }
}

/// Times the loop in each configuration, in turn, so that what else the host does meets all of them.
fn turns(unrolled: i64) {
    let bytes = module(unrolled);
    let mut cases: Vec<_> = [
        (Strategy::Cranelift, false),
        (Strategy::Cranelift, true),
        (Strategy::Winch, false),
        (Strategy::Winch, true),
    ]
    .into_iter()
    .map(|(strategy, limited)| (Guest::new(strategy, limited, &bytes), Samples::default()))
    .collect();
    let (mut native, mut costs) = (Samples::default(), Samples::default());
    let expected = by_itself(STEPS);
    for _ in 0..15 {
        let clock = Stopwatch::start();
        assert_eq!(std::hint::black_box(by_itself(std::hint::black_box(STEPS))), expected);
        native.add(clock.millis());
        let mut round = Vec::new();
        for (guest, samples) in &mut cases {
            round.push(guest.run(STEPS / unrolled, expected));
            round.last().into_iter().for_each(|millis| samples.add(*millis));
        }
        // Those of one round meet the same host.
        if let [free, limited, ..] = round[..] {
            costs.add((limited / free - 1.0) * 100.0);
        }
    }
    let medians: Vec<f64> = cases.iter_mut().map(|(_, samples)| samples.median()).collect();
    let [free, limited, simple_free, simple_limited] = medians[..] else { return };
    let what = format!("compute loop, {unrolled} steps a turn");
    let cost = Row::new(SUITE, format!("{what}: cost of fuel and epochs"), costs.median(), "%");
    let cost = if unrolled == 1 { cost } else { cost.reaches(Target::Below(5.0)) };
    cost.print();
    Row::new(SUITE, format!("{what}: fuel and epochs"), limited, "ms").beside("neither", free).print();
    Row::new(SUITE, format!("{what}: baseline, fuel and epochs"), simple_limited, "ms")
        .beside("neither", simple_free)
        .print();
    Row::new(SUITE, format!("{what}: optimised"), limited, "ms").beside("native", native.median()).print();
}

/// The loop as a guest.
struct Guest {
    engine: Engine,
    module: wasmtime::Module,
    limited: bool,
}

impl Guest {
    fn new(strategy: Strategy, limited: bool, bytes: &[u8]) -> Self {
        let mut config = Config::new();
        config.strategy(strategy).consume_fuel(limited).epoch_interruption(limited);
        let engine = Engine::new(&config).expect("an engine");
        let module = wasmtime::Module::new(&engine, bytes).expect("a module");
        Self { engine, module, limited }
    }

    /// Runs it in a new instance and returns the milliseconds.
    fn run(&self, turns: i64, expected: i64) -> f64 {
        let mut store = Store::new(&self.engine, ());
        if self.limited {
            store.set_fuel(u64::MAX).expect("fuel");
            store.set_epoch_deadline(1);
        }
        let instance = Instance::new(&mut store, &self.module, &[]).expect("an instance");
        let run = instance.get_typed_func::<i64, i64>(&mut store, "run").expect("its function");
        let clock = Stopwatch::start();
        assert_eq!(run.call(&mut store, turns).expect("an end"), expected);
        clock.millis()
    }
}

/// The loop: random numbers by shifts, and a table that they are added up in.
fn by_itself(steps: i64) -> i64 {
    let mut table = [0_i64; 512];
    let mut number = 0x2545_F491_4F6C_DD1D_i64;
    let mut sum = 0_i64;
    for _ in 0..steps {
        number ^= number << 13;
        number ^= ((number as u64) >> 7) as i64;
        number ^= number << 17;
        if let Some(cell) = table.get_mut((number & 511) as usize) {
            *cell = cell.wrapping_add(number);
            sum ^= *cell;
        }
    }
    sum
}

/// The same loop in WebAssembly, with so many steps in a turn.
fn module(unrolled: i64) -> Vec<u8> {
    use Instruction as I;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64], [ValType::I64]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    // Locals: 0 turns, 1 number, 2 sum, 3 address.
    let mut body = Function::new([(2, ValType::I64), (1, ValType::I32)]);
    let cell = MemArg { offset: 0, align: 3, target: MemArgTarget::Memory(0), ordering: None };
    let mut put = |instructions: &[I<'_>]| {
        for instruction in instructions {
            body.instruction(instruction);
        }
    };
    put(&[I::I64Const(0x2545_F491_4F6C_DD1D), I::LocalSet(1), I::Block(BlockType::Empty)]);
    put(&[I::LocalGet(0), I::I64Eqz, I::BrIf(0), I::Loop(BlockType::Empty)]);
    for _ in 0..unrolled {
        for (shift, operator) in [(13, I::I64Shl), (7, I::I64ShrU), (17, I::I64Shl)] {
            put(&[I::LocalGet(1), I::LocalGet(1), I::I64Const(shift), operator, I::I64Xor, I::LocalSet(1)]);
        }
        put(&[
            I::LocalGet(1),
            I::I32WrapI64,
            I::I32Const(511),
            I::I32And,
            I::I32Const(3),
            I::I32Shl,
            I::LocalSet(3),
        ]);
        put(&[
            I::LocalGet(3),
            I::LocalGet(3),
            I::I64Load(cell),
            I::LocalGet(1),
            I::I64Add,
            I::I64Store(cell),
        ]);
        put(&[I::LocalGet(2), I::LocalGet(3), I::I64Load(cell), I::I64Xor, I::LocalSet(2)]);
    }
    put(&[I::LocalGet(0), I::I64Const(1), I::I64Sub, I::LocalTee(0), I::I64Eqz, I::I32Eqz, I::BrIf(0)]);
    put(&[I::End, I::End, I::LocalGet(2), I::End]);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}
