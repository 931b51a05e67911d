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
