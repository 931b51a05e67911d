use super::*;
use crate::{Level, LogLine, Outcome, ParamsCall};

fn log(message: &str) -> HostCall {
    HostCall::Log(LogLine { level: Level::Info, message: message.to_owned() })
}

fn read(name: &str) -> HostCall {
    HostCall::Params(ParamsCall::Read { name: name.to_owned() })
}

fn player(exchanges: &[(HostCall, Result<HostAnswer, HostError>)]) -> Player {
    let exchanges = exchanges
        .iter()
        .map(|(call, answer)| Exchange { call: call.clone(), answer: answer.clone() })
        .collect();
    Player { exchanges, state: Mutex::default() }
}

/// The difference of a call by which a component that ends well leaves its recording.
fn other(at: usize, recorded: Option<HostCall>, replayed: Option<HostCall>) -> Difference {
    let ended = replayed.is_none().then(done);
    Difference::Call { at, recorded, replayed, refused: Vec::new(), ended }
}

fn done() -> End {
    End::Answer(Answer::Outcome(Outcome::Done))
}

#[test]
fn same_calls_get_the_recorded_answers() {
    let value = Ok(HostAnswer::Text(Some(String::from("1"))));
    let player = player(&[(read("a"), value.clone()), (log("x"), Ok(HostAnswer::Done))]);
    assert_eq!(player.answer(read("a")), value);
    assert_eq!(player.answer(log("x")), Ok(HostAnswer::Done));
    assert_eq!(player.finish(&done(), done()), (None, 2));
}

#[test]
fn first_other_call_is_told_and_nothing_after_it_is_answered() {
    let player = player(&[(read("a"), Ok(HostAnswer::Text(None))), (log("x"), Ok(HostAnswer::Done))]);
    player.answer(read("a")).unwrap();
    player.answer(log("y")).unwrap_err();
    player.answer(log("x")).unwrap_err();
    let (difference, same) = player.finish(&done(), done());
    assert_eq!((difference, same), (Some(other(1, Some(log("x")), Some(log("y")))), 1));
}

#[test]
fn call_that_is_no_longer_made_and_one_too_many_are_differences() {
    let left_out = player(&[(log("x"), Ok(HostAnswer::Done))]);
    let (difference, _) = left_out.finish(&done(), done());
    assert_eq!(difference, Some(other(0, Some(log("x")), None)));
    let too_many = player(&[]);
    too_many.answer(log("x")).unwrap_err();
    let (difference, _) = too_many.finish(&done(), done());
    assert_eq!(difference, Some(other(0, None, Some(log("x")))));
}

#[test]
fn other_end_after_the_same_calls_is_a_difference() {
    let stopped = End::Stopped(String::from("crashed"));
    let (difference, _) = player(&[]).finish(&done(), stopped.clone());
    let expected = Difference::End { recorded: done(), replayed: stopped, refused: Vec::new() };
    assert_eq!(difference, Some(expected));
}

#[test]
fn what_was_refused_since_the_last_same_call_is_told_with_the_difference() {
    let refusal = |name: &str| Refusal {
        call: String::from("params.read"),
        error: HostError::NotGranted(name.to_owned()),
    };
    let player = player(&[(read("a"), Ok(HostAnswer::Text(None))), (log("x"), Ok(HostAnswer::Done))]);
    // The recording knows nothing of refusals; after it the component did the same, so this one is no difference.
    player.refused(refusal("early"));
    player.answer(read("a")).unwrap();
    player.refused(refusal("b"));
    let failed = End::Stopped(String::from("it gave up"));
    let (difference, same) = player.finish(&done(), failed.clone());
    let expected = Difference::Call {
        at: 1,
        recorded: Some(log("x")),
        replayed: None,
        refused: vec![refusal("b")],
        ended: Some(failed),
    };
    assert_eq!((difference, same), (Some(expected), 1));
}

#[tokio::test]
async fn recorder_keeps_calls_in_order_and_gives_up_beyond_its_bound() {
    struct Large;
    impl Host for Large {
        fn call(&self, _: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
            Box::pin(std::future::ready(Ok(HostAnswer::Text(Some("x".repeat(40 << 20))))))
        }
    }
    let recorder = Recorder::new(Some(Arc::new(Large)));
    recorder.call(read("a")).await.unwrap();
    assert_eq!(recorder.take().unwrap()[0].call, read("a"));
    recorder.call(read("a")).await.unwrap();
    recorder.call(read("a")).await.unwrap();
    assert_eq!(recorder.take(), None);
}

#[test]
fn recording_survives_its_json() {
    let recording = Recording {
        format: RECORDING_FORMAT,
        component: String::from("p/c"),
        digest: Digest::of(b"x").to_string(),
        grants: vec![String::from("params: read a")],
        question: Question::Describe,
        exchanges: vec![Exchange {
            call: read("a"),
            answer: Err(HostError::Unavailable(String::from("no"))),
        }],
        end: done(),
        used: Used::default(),
    };
    let json = serde_json::to_string(&recording).unwrap();
    assert_eq!(serde_json::from_str::<Recording>(&json).unwrap(), recording);
}
