//! Random operators, agents, crashes and clocks against the engine, beside a small model of what must be so.
//!
//! The same seed makes the same moves. `FORMWORK_ENGINE_SEED` takes another one, `FORMWORK_ENGINE_CASES` more cases.
//!
//! The modules are marked as tests so that the lints know that helpers may panic too.

#[cfg(test)]
mod model;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod world;

use std::env;

use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::{model::Model, moves::Move, world::World};

/// How many histories are tried.
const CASES: u32 = 1_000;

/// The longest history.
const MOVES: usize = 120;

/// The seed where none is given.
const SEED: u64 = 20_261_122;

#[test]
fn whatever_happens_tasks_run_in_order_once_done_and_no_machine_is_stuck_for_no_reason() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("FORMWORK_ENGINE_SEED").unwrap_or(SEED);
    let cases = number("FORMWORK_ENGINE_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(CASES);
    println!("seed {seed}, {cases} cases");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tried = runner.run(&vec(moves::strategy(), 1..MOVES), |moves| play(&moves));
    tried.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

fn play(moves: &[Move]) -> Result<(), TestCaseError> {
    let (mut world, mut model) = (World::new(), Model::default());
    for step in moves {
        let before = world.clone();
        let told = step.perform(&mut world);
        model.check(&before, &world, step, &told).map_err(TestCaseError::fail)?;
    }
    model::rescue(&mut world, &mut model).map_err(TestCaseError::fail)
}
