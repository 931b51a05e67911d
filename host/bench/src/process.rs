//! What the system says of a process.

use std::fs;

/// Returns how many seconds a process has kept processors busy, all its threads together; `None` when it is gone.
#[must_use]
pub fn busy_seconds(process: u32) -> Option<f64> {
    let nanos = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "of hours no digit is lost")]
    let seconds = tasks.flatten().filter_map(nanos).sum::<u64>() as f64 / 1e9;
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_that_works_is_busier_than_before() {
        let before = busy_seconds(std::process::id()).unwrap();
        let mut work = 0_u64;
        while busy_seconds(std::process::id()).unwrap() <= before {
            work = std::hint::black_box(work.wrapping_add(1));
        }
        assert_eq!(busy_seconds(0), None);
    }
}
