//! The time that templates take, beside Go's `text/template` in the same run.
//!
//! `cargo xtask bench templates` runs this and prints a table. What is printed here is one JSON object a line
//! ([`formwork_bench::Row`]). The templates are those golden cases that say `"bench": true`; both sides make the same text
//! of them, which the golden test knows.

#![expect(clippy::expect_used, reason = "a program that measures ends where a step fails, as a test does")]

#[path = "../../tests/golden/cases.rs"]
mod cases;
mod oracle;
#[path = "../../tests/golden/root.rs"]
mod root;

use std::hint::black_box;

use formwork_bench::{Chosen, Row, Samples, Stopwatch, Target};
use formwork_template::{RenderOptions, Template, TemplateSet, Value, render};

use oracle::{Oracle, Work};

/// The name of this suite.
const SUITE: &str = "templates";

/// How many templates there are to time.
const TEMPLATES: usize = 50;

/// Both sides take turns this often, so that what slows the machine for a moment slows both.
const ROUNDS: usize = 40;

/// What one turn takes about, in microseconds.
const TURN: f64 = 1000.0;

/// A case that is ready to be timed.
struct Timed {
    name: String,
    text: String,
    set: TemplateSet,
    parsed: Template,
    root: Value,
    options: RenderOptions,
}

impl Timed {
    fn all() -> Vec<Self> {
        let timed = cases::all().into_iter().filter(|case| case.says("bench"));
        timed
            .map(|case| Self {
                name: format!("{}: {}", case.file, case.text().chars().take(40).collect::<String>()),
                text: case.text().to_owned(),
                set: case.set(),
                parsed: case.parse().expect("a case that is timed parses"),
                root: case.root(),
                options: case.options(),
            })
            .collect()
    }

    /// Does the work `count` times and returns the microseconds of one.
    fn take(&self, work: Work, count: usize) -> f64 {
        let clock = Stopwatch::start();
        for _ in 0..count {
            let text = match work {
                Work::Render => self.render(&self.parsed),
                Work::Both => self.render(&Template::parse("main", &self.text).expect("it did before")),
            };
            black_box(text);
        }
        per(clock.micros(), count)
    }

    fn render(&self, template: &Template) -> String {
        render(&self.set, template, &self.root, &self.options).expect("a case that is timed renders")
    }

    /// Returns how many times make a turn.
    fn fitting(&self, work: Work) -> usize {
        let once = self.take(work, 10).max(0.01);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let count = (TURN / once) as usize;
        count.max(1)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of calls")]
fn per(micros: f64, count: usize) -> f64 {
    micros / count as f64
}

fn main() {
    let Some(chosen) = Chosen::from_arguments() else { return };
    let timed = Timed::all();
    assert_eq!(timed.len(), TEMPLATES, "the golden cases that say so are timed");
    let mut oracle = Oracle::start();
    if let Ok(oracle) = &mut oracle {
        assert_eq!(oracle.count(), TEMPLATES, "Go times the same cases");
    }
    for work in [Work::Render, Work::Both] {
        if chosen.has(work.name()) {
            run(&timed, &mut oracle, work);
        }
    }
}

/// Times all templates; a figure is the sum of their medians.
fn run(timed: &[Timed], oracle: &mut Result<Oracle, String>, work: Work) {
    let (mut ours, mut theirs) = (0.0, 0.0);
    let mut slowest: Option<(f64, &str)> = None;
    for (index, one) in timed.iter().enumerate() {
        let count = one.fitting(work);
        let (mut of_us, mut of_go) = (Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            of_us.add(one.take(work, count));
            if let Ok(oracle) = oracle {
                of_go.add(oracle.take(work, index, count));
            }
        }
        let (us, go) = (of_us.median(), of_go.median());
        ours += us;
        theirs += go;
        if slowest.is_none_or(|(ratio, _)| go / us < ratio) {
            slowest = Some((go / us, &one.name));
        }
    }
    let name = work.name();
    let row = Row::new(SUITE, format!("{TEMPLATES} templates, {name}"), ours, "us");
    let ratio = format!("{TEMPLATES} templates, {name}: times as fast as Go");
    match oracle {
        Ok(_) => {
            row.beside("Go text/template with sprig", theirs).print();
            Row::new(SUITE, ratio, theirs / ours, "x").reaches(Target::AtLeast(1.0)).print();
            if let Some((least, template)) = slowest {
                let case = format!("{name}: the template that gains least");
                Row::new(SUITE, case, least, "x").with_note(template).print();
            }
        }
        Err(reason) => {
            row.print();
            Row::without(SUITE, ratio, "x", format!("not run: {reason}")).print();
        }
    }
}
