//! The calls by their names and types. Each puts one [`Question`] and takes the one answer that belongs to it.

use crate::{
    ActionCall, Answer, CallError, Census, Change, Choice, Conflict, Decision, Digest, EventCall, Failure,
    Finding, Invocation, JobReport, Outcome, PlanRequest, PluginDescription, Question, Report, Resolution,
    Sandbox, Subject, SwitchDecision, SwitchReport, SyncDecision, SyncReport, Target, TaskCall, Turn,
    Upgrade,
};

/// Takes the one form of answer that belongs to a question.
macro_rules! take {
    ($answer:expr, $variant:ident, $component:expr) => {
        match $answer {
            Answer::$variant(value) => Ok(value),
            _ => Err(CallError::Answer {
                component: $component.to_owned(),
                words: "it belongs to another question".to_owned(),
            }),
        }
    };
}

/// Tells a component's own refusal as an error.
fn refused<T>(component: &str, answer: Result<T, Failure>) -> Result<T, CallError> {
    answer.map_err(|failure| CallError::Refused { component: component.to_owned(), failure })
}

impl Sandbox {
    /// Runs a task once for one machine.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`]. A task that refuses, or meets an error, has [`Outcome::Failed`].
    pub async fn run_task(
        &self,
        digest: &Digest,
        invocation: Invocation,
        call: TaskCall,
    ) -> Result<Report<Outcome>, CallError> {
        let component = invocation.component.clone();
        let Report { answer, used } = self.ask(digest, invocation, &Question::Run(call)).await?;
        let answer = take!(answer, Outcome, component)?;
        Ok(Report { answer, used })
    }

    /// Asks a workflow component for a machine's task list: at most 10,000 entries.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the component says that there is no plan.
    pub async fn plan(
        &self,
        digest: &Digest,
        component: &str,
        turn: Turn,
        request: &PlanRequest,
    ) -> Result<Vec<String>, CallError> {
        let invocation = Invocation { turn, ..Invocation::new(component, "") };
        let answer = self.ask(digest, invocation, &Question::Plan(request.clone())).await?.answer;
        refused(component, take!(answer, Plan, component)?)
    }

    /// Asks a workflow component what follows the end of a job.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn after_job(
        &self,
        digest: &Digest,
        component: &str,
        turn: Turn,
        report: &JobReport,
    ) -> Result<Decision, CallError> {
        let invocation = Invocation { turn, ..Invocation::new(component, "") };
        let answer = self.ask(digest, invocation, &Question::AfterJob(report.clone())).await?.answer;
        take!(answer, Decision, component)
    }

    /// Asks a migration policy whether something may move.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when it may not.
    pub async fn admit(
        &self,
        digest: &Digest,
        invocation: Invocation,
        subject: &Subject,
    ) -> Result<(), CallError> {
        let component = invocation.component.clone();
        let answer = self.ask(digest, invocation, &Question::Admit(subject.clone())).await?.answer;
        refused(&component, take!(answer, Admission, component)?)
    }

    /// Asks a migration policy where to, the best first. Each is one of the targets, and none is there twice.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when there is no target.
    pub async fn rank(
        &self,
        digest: &Digest,
        invocation: Invocation,
        subject: &Subject,
        targets: &[Target],
    ) -> Result<Vec<Choice>, CallError> {
        let component = invocation.component.clone();
        let question = Question::Rank(subject.clone(), targets.to_vec());
        let answer = self.ask(digest, invocation, &question).await?.answer;
        refused(&component, take!(answer, Choices, component)?)
    }

    /// Asks a migration policy which of two objects is kept at the target.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn resolve(
        &self,
        digest: &Digest,
        invocation: Invocation,
        subject: &Subject,
        conflict: &Conflict,
    ) -> Result<Resolution, CallError> {
        let component = invocation.component.clone();
        let question = Question::Resolve(subject.clone(), conflict.clone());
        let answer = self.ask(digest, invocation, &question).await?.answer;
        take!(answer, Resolution, component)
    }

    /// Asks a migration policy for an object as the target is to store it; none leaves it behind. The object is JSON
    /// text, before and after.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the policy refuses.
    pub async fn transform(
        &self,
        digest: &Digest,
        invocation: Invocation,
        subject: &Subject,
        (prefix, object): (&str, &str),
    ) -> Result<Option<String>, CallError> {
        let component = invocation.component.clone();
        let (prefix, object) = (prefix.to_owned(), object.to_owned());
        let question = Question::Transform { subject: subject.clone(), prefix, object };
        let answer = self.ask(digest, invocation, &question).await?.answer;
        refused(&component, take!(answer, Object, component)?)
    }

    /// Asks a migration policy what follows a copy of the disks.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn after_sync(
        &self,
        digest: &Digest,
        invocation: Invocation,
        subject: &Subject,
        report: SyncReport,
    ) -> Result<SyncDecision, CallError> {
        let component = invocation.component.clone();
        let answer =
            self.ask(digest, invocation, &Question::AfterSync(subject.clone(), report)).await?.answer;
        take!(answer, AfterSync, component)
    }

    /// Asks a migration policy whether the switch was good.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn after_switch(
        &self,
        digest: &Digest,
        invocation: Invocation,
        subject: &Subject,
        report: &SwitchReport,
    ) -> Result<SwitchDecision, CallError> {
        let component = invocation.component.clone();
        let question = Question::AfterSwitch(subject.clone(), report.clone());
        let answer = self.ask(digest, invocation, &question).await?.answer;
        take!(answer, AfterSwitch, component)
    }

    /// Asks an upgrade step for the prefixes of the types that it changes; none when it does not apply.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn applies(
        &self,
        digest: &Digest,
        invocation: Invocation,
        upgrade: &Upgrade,
    ) -> Result<Option<Vec<String>>, CallError> {
        let component = invocation.component.clone();
        let answer = self.ask(digest, invocation, &Question::Applies(upgrade.clone())).await?.answer;
        take!(answer, Scope, component)
    }

    /// Asks an upgrade step what stands in the way: at most 100 findings.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn check(
        &self,
        digest: &Digest,
        invocation: Invocation,
        upgrade: &Upgrade,
        census: &[Census],
    ) -> Result<Vec<Finding>, CallError> {
        let component = invocation.component.clone();
        let question = Question::Check(upgrade.clone(), census.to_vec());
        let answer = self.ask(digest, invocation, &question).await?.answer;
        take!(answer, Findings, component)
    }

    /// Asks an upgrade step for an object of the later release. The object is JSON text.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the object cannot be changed.
    pub async fn forward(
        &self,
        digest: &Digest,
        invocation: Invocation,
        prefix: &str,
        object: &str,
    ) -> Result<Change, CallError> {
        let component = invocation.component.clone();
        let question = Question::Forward { prefix: prefix.to_owned(), object: object.to_owned() };
        let answer = self.ask(digest, invocation, &question).await?.answer;
        refused(&component, take!(answer, Change, component)?)
    }

    /// Asks an upgrade step for an object of the earlier release. The object is JSON text.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and when the object cannot be changed back.
    pub async fn backward(
        &self,
        digest: &Digest,
        invocation: Invocation,
        prefix: &str,
        object: &str,
    ) -> Result<Change, CallError> {
        let component = invocation.component.clone();
        let question = Question::Backward { prefix: prefix.to_owned(), object: object.to_owned() };
        let answer = self.ask(digest, invocation, &question).await?.answer;
        refused(&component, take!(answer, Change, component)?)
    }

    /// Asks a plugin what it is. `grants` are those of its pack, without which what it imports would not be there; the
    /// host does nothing for it in this call.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`].
    pub async fn describe_plugin(
        &self,
        digest: &Digest,
        invocation: Invocation,
    ) -> Result<PluginDescription, CallError> {
        let component = invocation.component.clone();
        let invocation = Invocation { host: None, ..invocation };
        let answer = self.ask(digest, invocation, &Question::Describe).await?.answer;
        take!(answer, Description, component)
    }

    /// Has a plugin do an action; the result is JSON text.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and [`CallError::Refused`] when the action failed.
    pub async fn act(
        &self,
        digest: &Digest,
        invocation: Invocation,
        call: ActionCall,
    ) -> Result<Report<String>, CallError> {
        let component = invocation.component.clone();
        let Report { answer, used } = self.ask(digest, invocation, &Question::Act(call)).await?;
        let answer = refused(&component, take!(answer, Acted, component)?)?;
        Ok(Report { answer, used })
    }

    /// Delivers an event to a plugin.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::ask`], and [`CallError::Refused`] when it is to be delivered again.
    pub async fn on_event(
        &self,
        digest: &Digest,
        invocation: Invocation,
        call: EventCall,
    ) -> Result<Report<()>, CallError> {
        let component = invocation.component.clone();
        let Report { answer, used } = self.ask(digest, invocation, &Question::OnEvent(call)).await?;
        refused(&component, take!(answer, Delivered, component)?)?;
        Ok(Report { answer: (), used })
    }
}
