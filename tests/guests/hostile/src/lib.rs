//! A task that misbehaves in the way that its parameter `hostile/behaviour` names.

use std::hint::black_box;

use formwork_sdk::{Call, Failure, Outcome, Task, log, params};

struct Hostile;

impl Task for Hostile {
    fn run(_call: &Call) -> Result<Outcome, Failure> {
        let behaviour = params::read::<String>("hostile/behaviour")?.unwrap_or_default();
        match behaviour.as_str() {
            "spin" => spin(),
            "allocate" => allocate(),
            "recurse" => recurse(1),
            "recurse-without-locals" => recurse_without_locals(1),
            "panic" => out_of_bounds(&[]),
            "log-flood" => loop {
                log::info!("{}", "x".repeat(1000));
            },
            "huge-result" => return Ok(Outcome::Failed(Failure::new("huge", "x".repeat(3 << 20)))),
            "huge-argument" => params::write("hostile/value", &"x".repeat(3 << 20))?,
            "host-calls" => loop {
                params::read::<String>("hostile/behaviour")?;
            },
            "ask-for-more" => drop(params::read::<String>("secret")?),
            "wait" => drop(params::read::<String>("hostile/never")?),
            "none" => {}
            other => return Err(Failure::new("unknown-behaviour", format!("no behaviour `{other}`"))),
        }
        Ok(Outcome::Done)
    }
}

formwork_sdk::export_task!(Hostile);

/// Computes for ever.
fn spin() {
    let mut number = 1_u64;
    while black_box(number) != 0 {
        number = number.wrapping_mul(3) | 1;
    }
}

/// Takes memory for ever.
fn allocate() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Calls itself for ever, with variables that need the memory's own stack.
#[inline(never)]
fn recurse(depth: u64) {
    let block = black_box([depth; 32]);
    if black_box(depth) != 0 {
        recurse(depth + 1);
    }
    black_box(block);
}

/// Calls itself for ever on the engine's stack alone.
#[inline(never)]
fn recurse_without_locals(depth: u64) {
    if black_box(depth) != 0 {
        recurse_without_locals(depth + 1);
        black_box(depth);
    }
}

/// Panics as a careless author's code does.
#[expect(clippy::indexing_slicing, reason = "the panic is what is tested")]
#[inline(never)]
fn out_of_bounds(list: &[u8]) {
    black_box(list[black_box(1)]);
}
