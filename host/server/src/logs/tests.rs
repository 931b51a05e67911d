use std::{collections::HashMap, path::Path, thread};

use proptest::{collection::vec, prelude::*};

use super::{
    keeper::{LAST_LINE, MAX_LOG_BYTES},
    *,
};

const JOB: &str = "00000000-0000-4000-8000-000000000001";

fn open(folder: &Path, known: impl Fn(&str) -> bool) -> JobLogs {
    // The thread of the one before ends when it is dropped, and with it the lock.
    loop {
        match JobLogs::open(folder, &known) {
            Ok(logs) => return logs,
            Err(_) => thread::yield_now(),
        }
    }
}

async fn all_of(logs: &JobLogs, job: &str) -> Vec<u8> {
    logs.read(job, 0, u64::MAX).await.unwrap()
}

#[tokio::test]
async fn appends_of_many_at_once_are_all_there_and_each_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let logs = open(folder.path(), |_| true);
    let writers = (0..20).map(|writer| {
        let logs = logs.clone();
        tokio::spawn(async move {
            for line in 0..50 {
                logs.append(&format!("job-{}", writer % 4), format!("{writer} {line}\n").as_bytes())
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for writer in 0..20 {
        let text = String::from_utf8(all_of(&logs, &format!("job-{}", writer % 4)).await).unwrap();
        let own: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(&format!("{writer} "))).collect();
        assert_eq!(own, (0..50).map(|line| line.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_start_and_goes_with_its_job() {
    let folder = tempfile::tempdir().unwrap();
    for settles in [false, true] {
        let logs = open(folder.path(), |_| true);
        logs.remove([JOB]).await.unwrap();
        for words in ["one\n", "two\n"] {
            logs.append(JOB, words.as_bytes()).await.unwrap();
        }
        logs.append("gone", b"of a job that is deleted").await.unwrap();
        if settles {
            logs.queue.send(Asked::Settle).await.unwrap();
        }
        drop(logs);
        let again = open(folder.path(), |job| job == JOB);
        assert_eq!(all_of(&again, JOB).await, b"one\ntwo\n");
        assert_eq!(all_of(&again, "gone").await, b"");
        again.append(JOB, b"three\n").await.unwrap();
        assert_eq!(again.read(JOB, 4, 8).await.unwrap(), b"two\nthre");
        assert_eq!(again.open_log(JOB).await.unwrap().1, 14);
    }
}

#[tokio::test]
async fn log_without_end_is_cut_at_its_bound_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let logs = open(folder.path(), |_| true);
    for room in [0, 3] {
        let job = format!("job-{room}");
        let mut left = usize::try_from(MAX_LOG_BYTES - room).unwrap();
        while left > 0 {
            let piece = left.min(8 << 20);
            logs.append(&job, &vec![b'x'; piece]).await.unwrap();
            left -= piece;
        }
        for _ in 0..3 {
            logs.append(&job, b"words").await.unwrap();
        }
        let end = logs.read(&job, MAX_LOG_BYTES - room, u64::MAX).await.unwrap();
        let (kept, told) = end.split_at(usize::try_from(room).unwrap());
        assert_eq!((kept, told), (&b"words"[..kept.len()], LAST_LINE), "with room for {room}");
    }
}

#[tokio::test]
async fn table_that_an_error_of_the_disk_has_closed_is_opened_again_when_the_journal_moves_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let logs = open(folder.path(), |_| true);
    logs.append(JOB, b"one\n").await.unwrap();
    logs.shelf.table.lose();
    logs.queue.send(Asked::Settle).await.unwrap();
    while logs.read("another", 0, 1).await.is_err() {
        tokio::task::yield_now().await;
    }
    logs.append("another", b"words").await.unwrap();
    logs.append(JOB, b"two\n").await.unwrap();
    drop(logs);
    let again = open(folder.path(), |_| true);
    assert_eq!(all_of(&again, JOB).await, b"one\ntwo\n");
}

/// What happens to the logs.
#[derive(Clone, Debug)]
enum Step {
    Append(usize, Vec<u8>),
    Remove(usize),
    Settle,
    StartAnew,
    Read(usize, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let job = 0..3_usize;
    prop_oneof![
        4 => (job.clone(), vec(any::<u8>(), 0..200)).prop_map(|(job, bytes)| Step::Append(job, bytes)),
        1 => (job.clone(), any::<u8>())
            .prop_map(|(job, byte)| Step::Append(job, vec![byte; 150_000])),
        1 => job.clone().prop_map(Step::Remove),
        2 => Just(Step::Settle),
        1 => Just(Step::StartAnew),
        4 => (job, 0..200_000_u64, 0..200_000_u64).prop_map(|(job, from, most)| Step::Read(job, from, most)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn logs_read_as_they_were_written_wherever_their_parts_are(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut logs = open(folder.path(), |_| true);
            let mut model: HashMap<String, Vec<u8>> = HashMap::new();
            for step in steps {
                match step {
                    Step::Append(job, bytes) => {
                        let job = format!("job-{job}");
                        logs.append(&job, &bytes).await.unwrap();
                        model.entry(job).or_default().extend(bytes);
                    }
                    Step::Remove(job) => {
                        let job = format!("job-{job}");
                        logs.remove([job.as_str()]).await.unwrap();
                        model.remove(&job);
                    }
                    Step::Settle => logs.queue.send(Asked::Settle).await.unwrap(),
                    Step::StartAnew => {
                        drop(logs);
                        logs = open(folder.path(), |_| true);
                    }
                    Step::Read(job, from, most) => {
                        let job = format!("job-{job}");
                        let expected = model.get(&job).map(Vec::as_slice).unwrap_or_default();
                        let first = usize::try_from(from).unwrap().min(expected.len());
                        let last = (first + usize::try_from(most).unwrap()).min(expected.len());
                        let read = logs.read(&job, from, most).await.unwrap();
                        prop_assert!(read == expected[first..last], "{job} from {from}");
                    }
                }
            }
            for job in 0..3 {
                let job = format!("job-{job}");
                let expected = model.get(&job).cloned().unwrap_or_default();
                prop_assert!(all_of(&logs, &job).await == expected, "{job}");
                prop_assert_eq!(logs.open_log(&job).await.unwrap().1, expected.len() as u64);
            }
            Ok(())
        })?;
    }
}
