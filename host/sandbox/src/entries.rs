//! The calls by their names and types. Each puts one [`Question`] and takes the one answer that belongs to it.

use crate::{
    ActionCall, Answer, CallError, Census, Change, Choice, Conflict, Decision, Digest, EventCall, Failure,
    Finding, Invocation, JobReport, Outcome, PlanRequest, PluginDescription, Question, Report, Resolution,
    Sandbox, Subject, SwitchDecision, SwitchReport, SyncDecision, SyncReport, Target, TaskCall, Upgrade,
};

/// Takes the one form of answer that belongs to a question.
macro_rules! form {
    ($variant:ident) => {
        |answer| match answer {
            Answer::$variant(value) => Some(value),
            _ => None,
        }
    };
}

/// A call of a component that has yet to be given its question.
#[must_use]
pub struct Asking<'a> {
    sandbox: &'a Sandbox,
    digest: &'a Digest,
    invocation: Invocation,
}

impl Sandbox {
    /// Begins a call: the methods of what is returned are the questions that there are. A component is asked one.
    pub fn asking<'a>(&'a self, digest: &'a Digest, invocation: Invocation) -> Asking<'a> {
        Asking { sandbox: self, digest, invocation }
    }
}

impl Asking<'_> {
    /// Runs a task once for one machine.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`]. A task that refuses, or meets an error, has [`Outcome::Failed`].
    pub async fn run_task(self, call: TaskCall) -> Result<Report<Outcome>, CallError> {
        self.put(Question::Run(call), form!(Outcome)).await
    }

    /// Asks a workflow component for a machine's task list: at most 10,000 entries.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the component says that there is no plan.
    pub async fn plan(self, request: &PlanRequest) -> Result<Vec<String>, CallError> {
        self.put_refusable(Question::Plan(request.clone()), form!(Plan)).await.map(|report| report.answer)
    }

    /// Asks a workflow component what follows the end of a job.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn after_job(self, report: &JobReport) -> Result<Decision, CallError> {
        self.put(Question::AfterJob(report.clone()), form!(Decision)).await.map(|report| report.answer)
    }

    /// Asks a migration policy whether something may move.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when it may not.
    pub async fn admit(self, subject: &Subject) -> Result<(), CallError> {
        self.put_refusable(Question::Admit(subject.clone()), form!(Admission))
            .await
            .map(|report| report.answer)
    }

    /// Asks a migration policy where to, the best first. Each is one of the targets, and none is there twice.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when there is no target.
    pub async fn rank(self, subject: &Subject, targets: &[Target]) -> Result<Vec<Choice>, CallError> {
        let question = Question::Rank(subject.clone(), targets.to_vec());
        self.put_refusable(question, form!(Choices)).await.map(|report| report.answer)
    }

    /// Asks a migration policy which of two objects is kept at the target.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn resolve(self, subject: &Subject, conflict: &Conflict) -> Result<Resolution, CallError> {
        let question = Question::Resolve(subject.clone(), conflict.clone());
        self.put(question, form!(Resolution)).await.map(|report| report.answer)
    }

    /// Asks a migration policy for an object as the target is to store it; none leaves it behind. The object is JSON
    /// text, before and after.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the policy refuses.
    pub async fn transform(
        self,
        subject: &Subject,
        (prefix, object): (&str, &str),
    ) -> Result<Option<String>, CallError> {
        let (prefix, object) = (prefix.to_owned(), object.to_owned());
        let question = Question::Transform { subject: subject.clone(), prefix, object };
        self.put_refusable(question, form!(Object)).await.map(|report| report.answer)
    }

    /// Asks a migration policy what follows a copy of the disks.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn after_sync(self, subject: &Subject, report: SyncReport) -> Result<SyncDecision, CallError> {
        self.put(Question::AfterSync(subject.clone(), report), form!(AfterSync))
            .await
            .map(|report| report.answer)
    }

    /// Asks a migration policy whether the switch was good.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn after_switch(
        self,
        subject: &Subject,
        report: &SwitchReport,
    ) -> Result<SwitchDecision, CallError> {
        let question = Question::AfterSwitch(subject.clone(), report.clone());
        self.put(question, form!(AfterSwitch)).await.map(|report| report.answer)
    }

    /// Asks an upgrade step for the prefixes of the types that it changes; none when it does not apply.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn applies(self, upgrade: &Upgrade) -> Result<Option<Vec<String>>, CallError> {
        self.put(Question::Applies(upgrade.clone()), form!(Scope)).await.map(|report| report.answer)
    }

    /// Asks an upgrade step what stands in the way: at most 100 findings.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn check(self, upgrade: &Upgrade, census: &[Census]) -> Result<Vec<Finding>, CallError> {
        let question = Question::Check(upgrade.clone(), census.to_vec());
        self.put(question, form!(Findings)).await.map(|report| report.answer)
    }

    /// Asks an upgrade step for an object of the later release. The object is JSON text.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the object cannot be changed.
    pub async fn forward(self, prefix: &str, object: &str) -> Result<Change, CallError> {
        let question = Question::Forward { prefix: prefix.to_owned(), object: object.to_owned() };
        self.put_refusable(question, form!(Change)).await.map(|report| report.answer)
    }

    /// Asks an upgrade step for an object of the earlier release. The object is JSON text.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the object cannot be changed back.
    pub async fn backward(self, prefix: &str, object: &str) -> Result<Change, CallError> {
        let question = Question::Backward { prefix: prefix.to_owned(), object: object.to_owned() };
        self.put_refusable(question, form!(Change)).await.map(|report| report.answer)
    }

    /// Asks a plugin what it is. The invocation needs the grants of its pack, without which what it imports would not be there; the
    /// host does nothing for it in this call.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn describe_plugin(mut self) -> Result<PluginDescription, CallError> {
        self.invocation.host = None;
        self.put(Question::Describe, form!(Description)).await.map(|report| report.answer)
    }

    /// Has a plugin do an action; the result is JSON text.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and [`CallError::Refused`] when the action failed.
    pub async fn act(self, call: ActionCall) -> Result<Report<String>, CallError> {
        self.put_refusable(Question::Act(call), form!(Acted)).await
    }

    /// Delivers an event to a plugin.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and [`CallError::Refused`] when it is to be delivered again.
    pub async fn on_event(self, call: EventCall) -> Result<Report<()>, CallError> {
        self.put_refusable(Question::OnEvent(call), form!(Delivered)).await
    }

    /// Puts a question and takes the form of answer that belongs to it.
    async fn put<T>(self, question: Question, form: fn(Answer) -> Option<T>) -> Result<Report<T>, CallError> {
        let component = self.invocation.component.clone();
        let Report { answer, used } = self.sandbox.ask(self.digest, self.invocation, &question).await?;
        let words = "it belongs to another question".to_owned();
        let answer = form(answer).ok_or(CallError::Answer { component, words })?;
        Ok(Report { answer, used })
    }

    /// As [`Self::put`]; tells a component's own refusal as an error.
    async fn put_refusable<T>(
        self,
        question: Question,
        form: fn(Answer) -> Option<Result<T, Failure>>,
    ) -> Result<Report<T>, CallError> {
        let component = self.invocation.component.clone();
        let Report { answer, used } = self.put(question, form).await?;
        let answer = answer.map_err(|failure| CallError::Refused { component, failure })?;
        Ok(Report { answer, used })
    }
}
