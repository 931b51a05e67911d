//! Agents that lie, come twice, vanish and repeat themselves: each is refused by the rule that it breaks, and nothing moves.

use serde_json::Value;

use super::*;

/// A machine with its own token.
struct Agent<'a> {
    site: &'a Site,
    uuid: String,
    token: String,
}

impl Site {
    /// Makes tasks of one script each, and a machine that has them to do.
    async fn agent(&self, name: &str, tasks: &[&str]) -> Agent<'_> {
        for task in tasks {
            if self.endpoint.snapshot().find("tasks", task).is_none() && !task.contains(':') {
                let script = json!({"Name": "script", "Contents": format!("#!/bin/sh\necho {task}\n")});
                self.taken("POST", "/tasks", &json!({"Name": task, "Templates": [script]})).await;
            }
        }
        let machine = self.taken("POST", "/machines", &json!({"Name": name, "Tasks": tasks})).await.0;
        let uuid = machine["Uuid"].as_str().unwrap().to_owned();
        let token = self.taken("GET", &format!("/machines/{uuid}/token"), &Value::Null).await.0;
        Agent { site: self, uuid, token: token["Token"].as_str().unwrap().to_owned() }
    }
}

impl Agent<'_> {
    /// Sends a request, and returns the status and the body.
    async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.site.send(method, path, &self.token, &body.to_string()).await;
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn ask(&self, more: Value) -> (u16, Value) {
        let mut body = json!({"Machine": self.uuid});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.send("POST", "/jobs", &body).await
    }

    /// Says how a job goes as agents do: with a test of how it went before.
    async fn say(&self, job: &str, before: &str, after: &str) -> (u16, Value) {
        let patch = json!([{"op": "test", "path": "/State", "value": before},
                           {"op": "replace", "path": "/State", "value": after}]);
        self.send("PATCH", &format!("/jobs/{job}"), &patch).await
    }

    /// Says how a job goes whatever it was before.
    async fn insist(&self, job: &str, after: &str) -> (u16, Value) {
        let patch = json!([{"op": "replace", "path": "/State", "value": after}]);
        self.send("PATCH", &format!("/jobs/{job}"), &patch).await
    }

    async fn runnable(&self) -> (u16, Value) {
        let patch = json!([{"op": "replace", "path": "/Runnable", "value": true}]);
        self.send("PATCH", &format!("/machines/{}", self.uuid), &patch).await
    }

    async fn see(&self) -> Value {
        self.site.taken("GET", &format!("/machines/{}", self.uuid), &Value::Null).await.0
    }
}

fn uuid_of((status, job): (u16, Value)) -> String {
    assert!(matches!(status, 201 | 202), "{status} {job}");
    job["Uuid"].as_str().unwrap().to_owned()
}

fn words((status, error): (u16, Value)) -> (u16, String) {
    let words = error["Messages"].as_array().cloned().unwrap_or_default();
    (status, words.iter().map(|word| word.as_str().unwrap_or_default()).collect::<Vec<_>>().join("; "))
}

#[tokio::test]
async fn token_of_a_machine_does_nothing_to_the_jobs_of_another() {
    let site = Site::new(Wishes::default());
    let own = site.agent("m1", &["aa"]).await;
    let liar = site.agent("m2", &["aa"]).await;
    let (status, told) = words(liar.ask(json!({"Machine": own.uuid})).await);
    assert!(status == 403 && told.contains(&format!("lacks jobs create {}", own.uuid)), "{status} {told}");
    let job = uuid_of(own.ask(json!({})).await);
    let unknown = "00000000-1111-4222-8333-444444444444";
    for (method, below, body, expected) in [
        ("GET", "", Value::Null, 404),
        ("HEAD", "", Value::Null, 404),
        ("PATCH", "", json!([{"op": "replace", "path": "/State", "value": "finished"}]), 404),
        ("PUT", "", json!({"State": "finished"}), 404),
        // Agents delete none.
        ("DELETE", "", Value::Null, 403),
        ("PUT", "/log", json!("words"), 404),
        ("GET", "/log", Value::Null, 404),
        ("GET", "/actions", Value::Null, 404),
        ("POST", "/grants", json!([]), 404),
    ] {
        let (status, told) = liar.send(method, &format!("/jobs/{job}{below}"), &body).await;
        let (status_of_none, told_of_none) =
            liar.send(method, &format!("/jobs/{unknown}{below}"), &body).await;
        assert_eq!((status, status_of_none), (expected, expected), "{method} {below}: {told}");
        let told = told.to_string().replace(&job, unknown);
        assert_eq!(told, told_of_none.to_string(), "{method} {below}: he learns that there is such a job");
    }
    let answer = site.send("GET", &format!("/jobs/{job}/log"), &own.token, "").await;
    assert!(to_bytes(answer.into_body(), 1 << 10).await.unwrap().is_empty());
    assert_eq!(own.see().await["JobState"], "created");
    let stolen = liar.ask(json!({"Uuid": job})).await;
    assert_eq!(stolen.0, 409, "the key of another's job gives nothing: {stolen:?}");
}

#[tokio::test]
async fn jumps_of_a_state_are_refused_by_name_and_move_nothing() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa", "bb"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    let refused = async |to: &str, words_of_it: &str| {
        let before = agent.see().await;
        let (status, told) = words(agent.insist(&job, to).await);
        assert!(matches!(status, 409 | 422) && told.contains(words_of_it), "{to}: {status} {told}");
        let after = agent.see().await;
        assert_eq!(
            (&before["JobState"], &before["CurrentTask"]),
            (&after["JobState"], &after["CurrentTask"])
        );
    };
    for state in ["finished", "incomplete"] {
        refused(state, &format!("cannot go from created to {state}")).await;
    }
    assert_eq!(agent.say(&job, "created", "running").await.0, 200);
    refused("created", "cannot go from running to created").await;
    refused("lost", "Invalid State `lost`").await;
    assert_eq!(agent.say(&job, "running", "incomplete").await.0, 200);
    refused("finished", "cannot go from incomplete to finished").await;
    assert_eq!(agent.say(&job, "incomplete", "running").await.0, 200);
    assert_eq!(agent.say(&job, "running", "finished").await.0, 200);
    for state in ["created", "running", "failed", "incomplete"] {
        refused(state, &format!("cannot go from finished to {state}")).await;
    }
    let next = uuid_of(agent.ask(json!({})).await);
    assert_ne!(next, job);
    assert_eq!(words(agent.insist(&job, "failed").await).0, 409, "a job that is over stays so");
}

#[tokio::test]
async fn agent_says_only_how_its_job_goes() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa", "bb"]).await;
    let other = site.agent("m2", &["aa"]).await;
    let given = json!({"State": "finished", "Task": "bb", "CurrentIndex": 1, "Token": "t", "Current": false,
                       "ExtraClaims": [{"scope": "*", "action": "*", "specific": "*"}]});
    let (status, made) = agent.ask(given).await;
    assert_eq!(
        (status, &made["State"], &made["Task"], &made["CurrentIndex"]),
        (201, &json!("created"), &json!("aa"), &json!(0))
    );
    assert!(made.get("Token").is_none() && made.get("ExtraClaims").is_none(), "{made}");
    let job = made["Uuid"].as_str().unwrap();
    let mut lie = made.clone();
    for (name, value) in [
        ("Machine", json!(other.uuid)),
        ("Task", json!("bb")),
        ("CurrentIndex", json!(1)),
        ("NextIndex", json!(2)),
        ("Previous", json!(job)),
        ("WorkOrder", json!(job)),
        ("ExtraClaims", json!([{"scope": "*", "action": "*", "specific": "*"}])),
    ] {
        lie[name] = value;
    }
    agent.send("PUT", &format!("/jobs/{job}"), &lie).await;
    let kept = site.taken("GET", &format!("/jobs/{job}"), &Value::Null).await.0;
    for name in ["Machine", "Task", "CurrentIndex", "NextIndex", "Previous", "WorkOrder", "ExtraClaims"] {
        assert_eq!(kept.get(name), made.get(name), "{name}");
    }
}

#[tokio::test]
async fn second_agent_of_a_machine_gets_no_job_and_is_told_who_has_it() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    for state in ["created", "running"] {
        let (status, told) = words(agent.ask(json!({})).await);
        assert!(status == 409 && told.contains(&format!("has job {job} in state {state} already")), "{told}");
        agent.insist(&job, "running").await;
    }
    assert_eq!(agent.ask(json!({"Context": "elsewhere"})).await.0, 204, "the machine is not in that context");
    let patch = json!([{"op": "replace", "path": "/Context", "value": "elsewhere"}]);
    site.taken("PATCH", &format!("/machines/{}", agent.uuid), &patch).await;
    let next = uuid_of(agent.ask(json!({"Context": "elsewhere"})).await);
    let (status, told) = words(agent.insist(&job, "finished").await);
    assert!(
        status == 409 && told.contains("cannot go from failed to finished"),
        "the first one's is over: {told}"
    );
    assert_eq!(agent.see().await["CurrentJob"], next);
}

#[tokio::test]
async fn what_an_agent_left_that_vanished_is_failed_by_the_next_and_run_again() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa", "bb"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    agent.say(&job, "created", "running").await;
    assert_eq!(agent.say(&job, "running", "failed").await.0, 200);
    let (status, told) = words(agent.ask(json!({})).await);
    assert!(status == 409 && told.contains("is not runnable"), "{told}");
    assert_eq!(agent.runnable().await.0, 200);
    let (status, again) = agent.ask(json!({})).await;
    assert_eq!((status, &again["Task"], &again["Previous"]), (201, &json!("aa"), &json!(job)));
}

#[tokio::test]
async fn repeated_and_belated_requests_change_nothing_twice() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa", "bb"]).await;
    let wanted = uuid::Uuid::new_v4().to_string();
    let first = agent.ask(json!({"Uuid": wanted})).await;
    let second = agent.ask(json!({"Uuid": wanted})).await;
    assert_eq!(first, second, "the answer that was lost comes again");
    agent.say(&wanted, "created", "running").await;
    let (status, late) = agent.say(&wanted, "created", "running").await;
    assert_eq!(status, 409, "its test fails: {late}");
    assert_eq!(agent.say(&wanted, "running", "finished").await.0, 200);
    let ended = site.taken("GET", &format!("/jobs/{wanted}"), &Value::Null).await.0["EndTime"].clone();
    assert_eq!(agent.insist(&wanted, "finished").await.0, 200, "it says what is so already");
    let again = site.taken("GET", &format!("/jobs/{wanted}"), &Value::Null).await.0;
    assert_eq!(again["EndTime"], ended);
    assert_eq!(agent.ask(json!({"Uuid": wanted})).await.0, 409, "a job that is over is not handed out");
    let (status, next) = agent.ask(json!({})).await;
    assert_eq!((status, &next["Task"]), (201, &json!("bb")));
    assert_eq!(site.endpoint.snapshot().list::<formwork_model::Job>().len(), 2);
}

#[tokio::test]
async fn task_that_is_deleted_while_it_runs_stops_the_machine_and_says_what_is_missing() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa", "bb"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    agent.say(&job, "created", "running").await;
    let all = site.everything();
    let used = site.refused("DELETE", "/tasks/aa", &all, "").await;
    assert!(used.code == 409 && used.messages[0].contains("aa is still in use by"), "{used}");
    for task in ["aa", "bb"] {
        assert_eq!(site.send("DELETE", &format!("/tasks/{task}?force=true"), &all, "").await.status(), 200);
    }
    let (status, told) = words(agent.send("GET", &format!("/jobs/{job}/actions"), &Value::Null).await);
    assert!(status == 422 && told.contains("Task aa does not exist"), "{status} {told}");
    assert_eq!(agent.say(&job, "running", "finished").await.0, 200, "what ran may end");
    let (status, told) = words(agent.ask(json!({})).await);
    assert!(status == 409 && told.contains("is not available"), "{status} {told}");
    let machine = agent.see().await;
    assert!(machine["Errors"].to_string().contains("Task bb"), "the reason: {}", machine["Errors"]);
    site.taken("POST", "/tasks", &json!({"Name": "aa"})).await;
    site.taken("POST", "/tasks", &json!({"Name": "bb"})).await;
    assert_eq!(agent.ask(json!({})).await.1["Task"], "bb", "it goes on where it was");
}

#[tokio::test]
async fn task_that_is_changed_while_it_runs_is_rendered_as_it_is_when_the_agent_asks() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    let patch = json!([{"op": "replace", "path": "/Templates/0/Contents", "value": "#!/bin/sh\necho new\n"}]);
    site.taken("PATCH", "/tasks/aa", &patch).await;
    let (_, actions) = agent.send("GET", &format!("/jobs/{job}/actions"), &Value::Null).await;
    assert_eq!(actions[0]["Content"], "#!/bin/sh\necho new\n");
}

#[tokio::test]
async fn task_that_gets_rights_while_it_runs_gives_the_running_job_none() {
    let site = Site::new(Wishes::default());
    let agent = site.agent("m1", &["aa"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    let patch = json!([{"op": "add", "path": "/ExtraClaims", "value": [{"scope": "*", "action": "*", "specific": "*"}]}]);
    site.taken("PATCH", "/tasks/aa", &patch).await;
    let (_, again) = agent.ask(json!({"Uuid": job})).await;
    assert!(again.get("Token").is_none() && again.get("ExtraClaims").is_none(), "{again}");
}

/// A bundle with a task for each name that says which version it is of.
fn bundle(version: &str, tasks: &[&str]) -> Value {
    let task = |name: &&str| {
        let script = json!({"Name": "script", "Contents": format!("#!/bin/sh\necho {name} {version}\n")});
        (name.to_string(), json!({"Name": name, "Templates": [script]}))
    };
    let all: serde_json::Map<String, Value> = tasks.iter().map(task).collect();
    json!({"meta": {"Name": "site", "Version": version}, "sections": {"tasks": all}})
}

#[tokio::test]
async fn bundle_that_is_replaced_while_its_job_runs_lets_that_end_and_gives_the_next_job_the_new_text() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/contents", &bundle("v1.0.0", &["aa", "bb", "cc"])).await;
    let agent = site.agent("m1", &["aa", "bb", "cc"]).await;
    let mut last = Value::Null;
    for (task, version) in [("aa", "v1.0.0"), ("bb", "v2.0.0"), ("cc", "v3.0.0")] {
        let (status, job) = agent.ask(json!({})).await;
        assert_eq!((status, &job["Task"]), (201, &json!(task)), "nothing is left out");
        assert!(last.is_null() || job["Previous"] == last, "{job}");
        last = job["Uuid"].clone();
        let job = last.as_str().unwrap();
        let (_, actions) = agent.send("GET", &format!("/jobs/{job}/actions"), &Value::Null).await;
        assert_eq!(actions[0]["Content"], format!("#!/bin/sh\necho {task} {version}\n"));
        agent.say(job, "created", "running").await;
        let next = if task == "aa" { "v2.0.0" } else { "v3.0.0" };
        site.taken("PUT", "/contents/site", &bundle(next, &["cc", "bb", "aa", "dd"])).await;
        assert_eq!(agent.see().await["CurrentJob"], last);
        assert_eq!(agent.say(job, "running", "finished").await.0, 200);
    }
    assert_eq!(agent.ask(json!({})).await.0, 204);
    assert_eq!(agent.see().await["WorkflowComplete"], true);
}

#[tokio::test]
async fn bundle_that_takes_a_task_away_while_a_job_runs_holds_the_machine_until_it_is_back() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/contents", &bundle("v1.0.0", &["aa", "bb"])).await;
    let agent = site.agent("m1", &["aa", "bb"]).await;
    let job = uuid_of(agent.ask(json!({})).await);
    agent.say(&job, "created", "running").await;
    let whole = site.refused("DELETE", "/contents/site", &site.everything(), "").await;
    assert!(whole.messages[0].contains(&format!("machines:{}", agent.uuid)), "{whole}");
    site.taken("PUT", "/contents/site", &bundle("v2.0.0", &["aa"])).await;
    assert_eq!(agent.say(&job, "running", "finished").await.0, 200, "what ran may end");
    let (status, told) = words(agent.ask(json!({})).await);
    assert!(status == 409 && told.contains("is not available"), "{status} {told}");
    let machine = agent.see().await;
    assert!(machine["Errors"].to_string().contains("Task bb"), "the reason: {}", machine["Errors"]);
    site.taken("PUT", "/contents/site", &bundle("v3.0.0", &["aa", "bb"])).await;
    let (status, next) = agent.ask(json!({})).await;
    assert_eq!((status, &next["Task"], &next["Previous"]), (201, &json!("bb"), &json!(job)));
}

#[tokio::test]
async fn machine_may_choose_any_task_and_its_job_has_what_the_author_gave_that_task_and_no_more() {
    let site = Site::new(Wishes::default());
    let claims = json!([{"scope": "profiles", "action": "create", "specific": "*"}]);
    site.taken("POST", "/tasks", &json!({"Name": "strong", "ExtraClaims": claims})).await;
    let agent = site.agent("m1", &["aa"]).await;
    let profile = json!({"Name": "p1"});
    assert_eq!(agent.send("POST", "/profiles", &profile).await.0, 403, "the machine itself may not");
    let more = json!([{"op": "add", "path": "/ExtraClaims", "value": claims}]);
    assert_eq!(agent.send("PATCH", "/tasks/aa", &more).await.0, 403, "nor give it to a task");
    let chosen = json!([{"op": "add", "path": "/Tasks/1", "value": "strong"}]);
    assert_eq!(agent.send("PATCH", &format!("/machines/{}", agent.uuid), &chosen).await.0, 200);
    let job = uuid_of(agent.ask(json!({})).await);
    agent.say(&job, "created", "running").await;
    agent.say(&job, "running", "finished").await;
    let (status, strong) = agent.ask(json!({})).await;
    assert_eq!((status, &strong["Task"], &strong["ExtraClaims"]), (201, &json!("strong"), &claims));
    let token = strong["Token"].as_str().unwrap();
    assert_eq!(site.send("POST", "/profiles", token, &profile.to_string()).await.status(), 201);
    assert_eq!(site.send("DELETE", "/profiles/p1", token, "").await.status(), 403);
}
