//! Jobs: how an agent gets them, what they do, and their logs (drp-api.md 9).

use formwork_model::{Job, JobAction, WorkOrder};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Client, ClientError, Query, client::record, request::Body};

/// The answer to the question for a job (drp-api.md 9.2).
#[derive(Clone, Debug, PartialEq)]
pub enum JobCreation {
    /// A new job. One in a final state records what the endpoint itself did.
    Created(Job),
    /// The incomplete job of before, to be run again.
    Resumed(Job),
    /// Nothing to do now.
    Nothing,
}

impl Client {
    /// Begins the next work order of a machine, or returns the one that runs; nothing when none waits. `key` is a context
    /// whose orders are wanted, or anything else for those of the machine itself (drp-api.md 14.5).
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when the machine takes no work orders now.
    pub async fn work_order_pick(&self, machine: &str, key: &str) -> Result<Option<WorkOrder>, ClientError> {
        let path = ["machines", machine, "pick", key];
        let answer = self.send(Method::POST, &path, &Query::new(), Body::json(&json!({}))?).await?;
        if answer.status == 204 { Ok(None) } else { record(answer.json()?).map(Some) }
    }

    /// Asks for the next job of a machine. `uuid` becomes the key of a new job, so that the same question asked again
    /// after a lost answer can be told from another agent's job.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 409 when the machine may not run jobs or already has one.
    pub async fn job_create(
        &self,
        machine: &str,
        context: &str,
        uuid: &str,
    ) -> Result<JobCreation, ClientError> {
        let asked = json!({"Uuid": uuid, "Machine": machine, "Context": context});
        self.ask_for_job(&asked, &Query::new()).await
    }

    /// Asks for the next job of a machine, or of a work order that runs on it, to run it at once: a new one comes running.
    /// An endpoint that does not know this hands it out as [`Client::job_create`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Client::job_create`]; 409 also when the order does not run.
    pub async fn job_begin(
        &self,
        (machine, order): (&str, Option<&str>),
        context: &str,
        uuid: &str,
    ) -> Result<JobCreation, ClientError> {
        let order = order.unwrap_or_default();
        let asked = json!({"Uuid": uuid, "Machine": machine, "Context": context, "WorkOrder": order});
        self.ask_for_job(&asked, &Query::new().with("run", "true")).await
    }

    async fn ask_for_job(&self, job: &Value, query: &Query) -> Result<JobCreation, ClientError> {
        let answer = self.send(Method::POST, &["jobs"], query, Body::json(job)?).await?;
        Ok(match answer.status {
            204 => JobCreation::Nothing,
            202 => JobCreation::Resumed(record(answer.json()?)?),
            _ => JobCreation::Created(record(answer.json()?)?),
        })
    }

    /// Returns what a job does on an operating system, rendered now.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 422 when the templates do not render.
    pub async fn job_actions(&self, uuid: &str, os: &str) -> Result<Vec<JobAction>, ClientError> {
        let query = Query::new().with("os", os);
        self.ask(Method::GET, &["jobs", uuid, "actions"], &query).await?.decode()
    }

    /// Appends bytes to the log of a job, which may have ended already.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such job.
    pub async fn job_log_append(&self, uuid: &str, bytes: &[u8]) -> Result<(), ClientError> {
        let body = Body::Bytes(bytes.to_vec());
        self.send(Method::PUT, &["jobs", uuid, "log"], &Query::new(), body).await.map(drop)
    }

    /// Tells which grants of its component a call of a job used. Lines that it was not granted count nothing.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such job, or the endpoint is too old to count.
    pub async fn job_grants_used(&self, uuid: &str, lines: &[String]) -> Result<(), ClientError> {
        let body = Body::json(&json!(lines))?;
        self.send(Method::POST, &["jobs", uuid, "grants"], &Query::new(), body).await.map(drop)
    }

    /// Removes the jobs that neither the endpoint's preferences nor `query` keep, and returns them. `query` may hold
    /// `machine` (a UUID, or `missing`), `jobsToKeep`, `completeJobsPurgedAfter`, `failedJobsPurgedAfter`, and `dryrun` to
    /// remove none.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 400 for a number or a duration that is none.
    pub async fn jobs_purge(&self, query: &Query) -> Result<Vec<Job>, ClientError> {
        // The answer is silent until the last of them is gone.
        self.patient()?.ask(Method::DELETE, &["jobs"], query).await?.decode()
    }

    /// Returns the log of a job.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; 404 when there is no such job.
    pub async fn job_log(&self, uuid: &str) -> Result<Vec<u8>, ClientError> {
        Ok(self.ask(Method::GET, &["jobs", uuid, "log"], &Query::new()).await?.bytes)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{Credentials, Endpoint};

    /// Asks a peer that answers once with a text.
    async fn ask(answer: &'static str) -> Result<JobCreation, ClientError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let peer = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = tcp.read(&mut request).await.unwrap();
            tcp.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let client = Client::connect(Endpoint { url, credentials: Credentials::Token("t".into()) }).unwrap();
        let creation = client.job_create("m", "", "u").await;
        let request = peer.await.unwrap();
        assert!(request.starts_with("POST /api/v3/jobs HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("authorization: bearer t\r\n"), "{request}");
        creation
    }

    #[tokio::test]
    async fn three_kinds_of_success_are_told_apart() {
        let created =
            ask("HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\n{\"Task\":\"ab\"}\n").await.unwrap();
        assert!(matches!(created, JobCreation::Created(job) if job.task == "ab"));
        let resumed =
            ask("HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\n\r\n{\"Task\":\"a\"}").await.unwrap();
        assert!(matches!(resumed, JobCreation::Resumed(_)));
        let nothing = ask("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(nothing, JobCreation::Nothing);
    }

    #[tokio::test]
    async fn answer_that_breaks_off_is_transient_and_a_refusal_is_not() {
        let broken = ask("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{").await.unwrap_err();
        assert!(matches!(broken, ClientError::Transport { .. }) && broken.is_transient(), "{broken}");
        let body = r#"{"Model":"jobs","Key":"","Type":"Conflict","Messages":["not runnable"],"Code":409}"#;
        let answer = format!("HTTP/1.1 409 Conflict\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let refused = ask(answer.leak()).await.unwrap_err();
        assert_eq!((refused.status(), refused.is_transient()), (Some(409), false));
        assert_eq!(refused.to_string(), "Conflict: jobs\n  not runnable");
    }
}
