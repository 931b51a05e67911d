//! Recordings of calls, and their replay with another version of the component.
//!
//! A call is decided by its question and by what the host answered, for a component has nothing else: no clock, no random
//! numbers and no memory of its own. So both together are a recording, and another version that is given the same answers
//! shows its first difference.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{
    Answer, CallError, Digest, Grants, Host, HostAnswer, HostCall, HostError, HostFuture, Invocation,
    Question, Refusal, Sandbox, Used,
};

/// The form of recordings that is written and read here.
pub const RECORDING_FORMAT: u32 = 1;

/// Most bytes of answers in one recording; beyond that the call goes on and its recording is of no use.
const MAX_BYTES: usize = 64 << 20;

/// Most refused calls that a difference tells of.
const MAX_REFUSALS: usize = 20;

/// One call of a component, with all that decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recording {
    /// [`RECORDING_FORMAT`].
    pub format: u32,
    /// The component's name, `PACK/COMPONENT`.
    pub component: String,
    /// The digest of its bytes, 64 hexadecimal digits.
    pub digest: String,
    /// What it was allowed, a line each as in a manifest.
    pub grants: Vec<String>,
    /// What it was asked.
    pub question: Question,
    /// What it asked of its host and was answered, in order.
    pub exchanges: Vec<Exchange>,
    /// How it ended.
    pub end: End,
    /// What it took.
    pub used: Used,
}

/// One call of the component to its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exchange {
    /// What was asked.
    pub call: HostCall,
    /// What was answered.
    pub answer: Result<HostAnswer, HostError>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The component answered.
    Answer(Answer),
    /// It was stopped or crashed; in the words of the error.
    Stopped(String),
}

/// Where a replay first goes another way than the recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The component asked its host for something else.
    Call {
        /// The number of the host call, from 0.
        at: usize,
        /// What the recording has there; none at its end.
        recorded: Option<HostCall>,
        /// What was asked now; none when the component asked its host for nothing more.
        replayed: Option<HostCall>,
        /// What it wanted since the last same call and the recorded grants or the limits refused, before the host was
        /// asked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Refusal>,
        /// How the call of now ended, where it asked for nothing more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<End>,
    },
    /// All host calls were the same, the end was another one.
    End {
        /// The recorded one.
        recorded: End,
        /// The one of now.
        replayed: End,
        /// What it wanted since the last same call and was refused before the host was asked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Refusal>,
    },
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replay {
    /// The first difference; none when the component did the same.
    pub difference: Option<Difference>,
    /// How many host calls were the same.
    pub same_calls: usize,
    /// What the call took; zero when it was stopped.
    pub used: Used,
}

/// A recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It was written by another release.
    #[error("the recording has format {found}, this program reads {RECORDING_FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// Its grants are not understood.
    #[error("the recording's grants are not understood")]
    Grants(#[from] crate::GrantError),
}

/// Hands calls on to another host and keeps them with their answers.
pub struct Recorder {
    inner: Option<Arc<dyn Host>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

impl Recorder {
    /// Records the calls to `inner`; without one, each call is answered as unavailable.
    pub fn new(inner: Option<Arc<dyn Host>>) -> Arc<Self> {
        Arc::new(Self { inner, kept: Mutex::default() })
    }

    /// Takes what was recorded; `None` when it grew beyond 64 MiB.
    pub fn take(&self) -> Option<Vec<Exchange>> {
        let kept = std::mem::take(&mut *locked(&self.kept));
        (kept.bytes <= MAX_BYTES).then_some(kept.exchanges)
    }
}

impl Host for Recorder {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        Box::pin(async move {
            let asked = call.clone();
            let answer = match &self.inner {
                Some(host) => host.call(call).await,
                None => Err(HostError::Unavailable(String::from("this call has no host"))),
            };
            let bytes = weight(&answer) + 64;
            let mut kept = locked(&self.kept);
            kept.bytes = kept.bytes.saturating_add(bytes);
            if kept.bytes <= MAX_BYTES {
                kept.exchanges.push(Exchange { call: asked, answer: answer.clone() });
            }
            drop(kept);
            answer
        })
    }

    fn refused(&self, refusal: Refusal) {
        if let Some(host) = &self.inner {
            host.refused(refusal);
        }
    }
}

/// About how many bytes an answer holds.
fn weight(answer: &Result<HostAnswer, HostError>) -> usize {
    match answer {
        Ok(HostAnswer::Text(text)) => text.as_ref().map_or(0, String::len),
        Ok(HostAnswer::Names(names)) => names.iter().map(String::len).sum(),
        Ok(HostAnswer::Bytes(bytes)) => bytes.0.len(),
        Ok(HostAnswer::Entries(entries)) => entries.iter().map(|entry| entry.name.len()).sum(),
        Ok(HostAnswer::Http(response)) => response.body.0.len(),
        Ok(HostAnswer::Exec(output)) => output.stdout.0.len().saturating_add(output.stderr.0.len()),
        Ok(HostAnswer::Done | HostAnswer::Time(_)) | Err(_) => 0,
    }
}

/// Answers as the recording says, as long as the calls are the same.
struct Player {
    exchanges: Vec<Exchange>,
    state: Mutex<Position>,
}

#[derive(Default)]
struct Position {
    next: usize,
    /// Since the last same call.
    refused: Vec<Refusal>,
    difference: Option<Difference>,
}

impl Host for Player {
    fn call(&self, call: HostCall) -> HostFuture<'_, Result<HostAnswer, HostError>> {
        let answer = self.answer(call);
        Box::pin(std::future::ready(answer))
    }

    fn refused(&self, refusal: Refusal) {
        let mut position = locked(&self.state);
        if position.difference.is_none() && position.refused.len() < MAX_REFUSALS {
            position.refused.push(refusal);
        }
    }
}

impl Player {
    fn answer(&self, call: HostCall) -> Result<HostAnswer, HostError> {
        let other_way = || Err(HostError::Unavailable(String::from("the replay has left its recording")));
        let mut position = locked(&self.state);
        if position.difference.is_some() {
            return other_way();
        }
        let recorded = self.exchanges.get(position.next);
        if let Some(exchange) = recorded.filter(|exchange| exchange.call == call) {
            position.next += 1;
            position.refused.clear();
            return exchange.answer.clone();
        }
        position.difference = Some(Difference::Call {
            at: position.next,
            recorded: recorded.map(|exchange| exchange.call.clone()),
            replayed: Some(call),
            refused: std::mem::take(&mut position.refused),
            ended: None,
        });
        other_way()
    }

    /// Compares the end, and takes what was found.
    fn finish(&self, recorded: &End, replayed: End) -> (Option<Difference>, usize) {
        let Position { next, refused, difference } = std::mem::take(&mut *locked(&self.state));
        let difference = difference.or_else(|| match self.exchanges.get(next) {
            Some(left) => Some(Difference::Call {
                at: next,
                recorded: Some(left.call.clone()),
                replayed: None,
                refused,
                ended: Some(replayed),
            }),
            None if *recorded != replayed => {
                Some(Difference::End { recorded: recorded.clone(), replayed, refused })
            }
            None => None,
        });
        (difference, next)
    }
}

impl Sandbox {
    /// Puts the recorded question to a component with the recorded answers, and tells where it first differs.
    ///
    /// A component that was stopped in the recording must be stopped in the same words.
    ///
    /// # Errors
    ///
    /// Fails when the recording is of another format. What goes wrong in the component is part of the comparison.
    pub async fn replay(&self, digest: &Digest, recording: &Recording) -> Result<Replay, ReplayError> {
        if recording.format != RECORDING_FORMAT {
            return Err(ReplayError::Format { found: recording.format });
        }
        let player = Arc::new(Player { exchanges: recording.exchanges.clone(), state: Mutex::default() });
        let mut invocation = Invocation::new(recording.component.as_str(), recording.question.subject());
        invocation.grants = Grants::parse(&recording.grants)?.into();
        invocation.host = Some(Arc::clone(&player) as _);
        let (end, used) = match self.traced(digest, invocation, &recording.question).await {
            Ok(report) => (End::Answer(report.answer), report.used),
            Err(error) => (End::Stopped(error.to_string()), Used::default()),
        };
        let (difference, same_calls) = player.finish(&recording.end, end);
        Ok(Replay { difference, same_calls, used })
    }

    /// Puts a question to a component and records the call; `None` when the recording grew too large, or when the
    /// component did not run at all.
    pub async fn ask_recorded(
        &self,
        digest: &Digest,
        mut invocation: Invocation,
        question: &Question,
    ) -> (Result<crate::Report<Answer>, CallError>, Option<Recording>) {
        let recorder = Recorder::new(invocation.host.take());
        invocation.host = Some(Arc::clone(&recorder) as _);
        let component = invocation.component.clone();
        let grants = invocation.grants.lines();
        let ended = self.traced(digest, invocation, question).await;
        let (end, used) = match &ended {
            Ok(report) => (End::Answer(report.answer.clone()), report.used),
            Err(CallError::NotPrepared { .. } | CallError::Busy { .. }) => return (ended, None),
            Err(error) => (End::Stopped(error.to_string()), Used::default()),
        };
        let recording = recorder.take().map(|exchanges| Recording {
            format: RECORDING_FORMAT,
            component,
            digest: digest.to_string(),
            grants,
            question: question.clone(),
            exchanges,
            end,
            used,
        });
        (ended, recording)
    }
}

/// Locks; what a panicking thread left behind is still a whole value.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
