//! What is told of params (drp-api.md 6.1, 6.2; drp-behaviour.md 1.2 to 1.5).

use serde_json::Value;

use super::*;

#[tokio::test]
async fn texts_in_params_are_expanded_for_those_who_may_have_tokens() {
    let site = Site::new(Wishes::default());
    let params = json!({"greet/text": "hello {{.Machine.Name}}", "greet/deep": {"{{x}}": ["{{.Machine.Arch}}", 1]},
                        "greet/wrong": "{{.Nothing"});
    let (made, _) = site.taken("POST", "/machines", &json!({"Name": "m1", "Params": params})).await;
    let path = format!("/machines/{}/params", made["Uuid"].as_str().unwrap());
    let read = async |rest: &str| site.taken("GET", &format!("{path}{rest}"), &Value::Null).await.0;
    assert_eq!(read("/greet%2Ftext?expand=true").await, "hello m1");
    assert_eq!(read("/greet%2Ftext").await, "hello {{.Machine.Name}}");
    assert_eq!(read("/greet%2Fdeep?expand=true&aggregate=true").await, json!({"{{x}}": ["amd64", 1]}));
    assert_eq!(read("/not%2Fthere?expand=true").await, Value::Null);
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.refused("GET", &format!("{path}?expand=true"), &all, "").await.code, 422);
    assert_eq!(read("?expand=true&params=greet/text").await, json!({"greet/text": "hello m1"}));
    let reader = site.token(60, &[Claim::new("machines", "get", "*")]);
    let error = site.refused("GET", &format!("{path}?expand=true"), &reader, "").await;
    assert!(error.code == 403 && error.messages[0].contains("token"), "{error}");
}

#[tokio::test]
async fn param_is_explained_with_every_source() {
    let site = Site::new(Wishes::default());
    let schema = json!({"type": "object", "default": {"z": 0}});
    site.taken("POST", "/params", &json!({"Name": "net/map", "Schema": schema})).await;
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"net/map": {"a": 1}}})).await;
    site.taken("POST", "/pipelines", &json!({"Name": "edge", "Params": {"net/map": {"b": 2}}})).await;
    let machine = json!({"Name": "m1", "Profiles": ["p1"], "Pipeline": "edge"});
    let (made, _) = site.taken("POST", "/machines", &machine).await;
    let uuid = made["Uuid"].as_str().unwrap();
    let path = format!("/machines/{uuid}/params/net%2Fmap?explain=true");
    let (told, _) = site.taken("GET", &path, &Value::Null).await;
    let levels: Vec<String> = told["Levels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|level| {
            format!(
                "{}:{}={}",
                level["Prefix"].as_str().unwrap(),
                level["Key"].as_str().unwrap(),
                level["Value"]
            )
        })
        .collect();
    assert!(levels.contains(&String::from("profiles:p1={\"a\":1}")), "{levels:?}");
    assert!(levels.contains(&String::from("pipelines:edge={\"b\":2}")), "{levels:?}");
    assert_eq!(levels[0], format!("machines:{uuid}=null"));
    assert_eq!((&told["Value"], &told["Default"]), (&json!({"a": 1}), &json!({"z": 0})));
    assert_eq!(told["Composed"], json!({"a": 1, "b": 2, "z": 0}));
}

#[tokio::test]
async fn texts_in_params_of_objects_and_lists_are_expanded_too() {
    let site = Site::new(Wishes::default());
    let (machine, _) = site
        .taken(
            "POST",
            "/machines",
            &json!({"Name": "m1", "Params": {"own": "hi {{.Machine.Name}}", "left": 1}}),
        )
        .await;
    let path = format!("/machines/{}", machine["Uuid"].as_str().unwrap());
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    for (path, place) in [
        (format!("{path}?expand=true"), "/Params"),
        (String::from("/machines?expand=True&Name=m1"), "/0/Params"),
        (String::from("/machines?expand=true&aggregate=true"), "/0/Params"),
    ] {
        let (answer, _) = site.taken("GET", &path, &Value::Null).await;
        let params = answer.pointer(place).unwrap();
        assert_eq!((&params["own"], &params["left"]), (&json!("hi m1"), &json!(1)), "{path}");
    }
    let reader = site.token(60, &[Claim::new("machines", "list,get", "*")]);
    for path in [format!("{path}?expand=true"), String::from("/machines?expand=true")] {
        assert_eq!(site.refused("GET", &path, &reader, "").await.code, 403, "{path}");
    }
    site.taken("POST", &format!("{path}/params/own"), &json!("{{ .Nothing ")).await;
    let error = site.refused("GET", "/machines?expand=true", &all, "").await;
    assert_eq!((error.code, error.key.as_str()), (422, machine["Uuid"].as_str().unwrap()));
}

#[tokio::test]
async fn query_in_a_query_may_be_a_template() {
    let site = Site::new(Wishes::default());
    for name in ["one", "two"] {
        site.taken("POST", "/profiles", &json!({"Name": name})).await;
    }
    let path = "/profiles?raw=Name%3D%7B%7B%20%22TWO%22%20%7C%20lower%20%7D%7D";
    let (found, _) = site.taken("GET", path, &Value::Null).await;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["Name"]), (1, &json!("two")));
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    assert_eq!(site.refused("GET", "/profiles?raw=%7B%7B%20nothing", &all, "").await.code, 406);
    let reader = site.token(60, &[Claim::new("profiles", "list,get", "*")]);
    assert_eq!(site.refused("GET", path, &reader, "").await.code, 403);
}

#[tokio::test]
async fn definition_in_use_is_not_deleted() {
    let site = Site::new(Wishes::default());
    site.taken("POST", "/params", &json!({"Name": "net/port", "Schema": {"type": "integer"}})).await;
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"net/port": 80}})).await;
    let all = site.token(60, &[Claim::new("*", "*", "*")]);
    let error = site.refused("DELETE", "/params/net/port", &all, "").await;
    assert_eq!(about(&error), ("params", "net/port", "StillInUseError", 409));
    assert_eq!(error.messages, ["net/port is still in use by profiles:p1"]);
    site.taken("DELETE", "/profiles/p1/params/net/port", &Value::Null).await;
    site.taken("DELETE", "/params/net/port", &Value::Null).await;
}

#[tokio::test]
async fn expansion_of_a_list_is_bounded_as_a_whole_and_pages_are_the_way_out() {
    let site = Site::new(Wishes::default());
    let all = site.token(600, &[Claim::new("*", "*", "*")]);
    let done = crate::commit::commit(&site.endpoint, "system", |work| {
        for number in 0..1_001 {
            let (uuid, name) = (format!("00000000-0000-4000-8000-{number:012}"), format!("m{number}"));
            let mut machine = formwork_model::Machine { uuid, name, ..Default::default() };
            if number < 5 {
                machine.params.insert(String::from("big/text"), json!("x".repeat(7 << 20)));
            }
            work.put_unchecked(Box::new(machine))?;
        }
        Ok(())
    });
    done.await.unwrap();
    let many = site.refused("GET", "/machines?expand=true", &all, "").await;
    assert_eq!(about(&many), ("machines", "", "GET", 413));
    assert!(
        many.messages[0].contains("up to 1000 objects, not of 1001") && many.messages[0].contains("`limit`")
    );
    assert_eq!(site.send("GET", "/machines?expand=true&offset=1&limit=1000", &all, "").await.status(), 200);
    let large = site.refused("GET", "/machines?expand=true&limit=10", &all, "").await;
    assert_eq!(about(&large), ("machines", "", "GET", 413));
    assert!(large.messages[0].contains("33554432 bytes"), "{large}");
    assert_eq!(site.send("GET", "/machines?expand=true&limit=4", &all, "").await.status(), 200);
}

#[tokio::test]
async fn what_is_never_rendered_is_answered_as_without_expansion() {
    let site = Site::new(Wishes::default());
    let text = "{{ .Machine.Name }}";
    site.taken("POST", "/profiles", &json!({"Name": "p1", "Params": {"own": text}})).await;
    let reader = site.token(60, &[Claim::new("profiles", "list,get", "*")]);
    for path in ["/profiles", "/profiles/p1", "/profiles/p1/params", "/profiles/p1/params/own"] {
        let mut answers = Vec::new();
        for query in ["", "?expand=true"] {
            let answer = site.send("GET", &format!("{path}{query}"), &reader, "").await;
            assert_eq!(answer.status(), 200, "{path}{query}");
            answers.push(to_bytes(answer.into_body(), 1 << 20).await.unwrap());
        }
        assert_eq!(answers[0], answers[1], "{path}");
        assert!(String::from_utf8_lossy(&answers[0]).contains(text), "{path}");
    }
}
