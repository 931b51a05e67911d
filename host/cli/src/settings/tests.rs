//! Which value wins.

use clap::{Args as _, Command, FromArgMatches as _};

use super::{named::Named, resolve::*, *};
use crate::arguments::Format;

/// Settles a command line, a file and an environment.
fn settings(line: &str, file: &str, environment: &[(&str, &str)]) -> Result<Settings> {
    let command = GlobalArgs::augment_args(Command::new("formwork"));
    let words = std::iter::once("formwork").chain(line.split_whitespace());
    let flags = GlobalArgs::from_arg_matches(&command.try_get_matches_from(words)?)?;
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    resolve(&flags, &Named::of(file, environment), true)
}

fn basic(user: &str, password: &str) -> Credentials {
    Credentials::Basic { user: user.into(), password: password.into() }
}

#[test]
fn without_anything_the_ecosystems_defaults_hold() {
    let found = settings("", "", &[("HOME", "/h")]).unwrap();
    assert_eq!(found.endpoint.url, DEFAULT_ENDPOINT);
    assert_eq!(found.endpoint.credentials, basic("rocketskates", "r0cketsk8ts"));
    assert_eq!(found.style.format, Format::Json);
    assert_eq!(found.retries, DEFAULT_RETRIES);
    assert_eq!(found.tokens, Some(TokenCache::new("/h/.cache/drpcli/tokens".into())));
    assert!(found.candidates.is_empty() && !found.force);
}

#[test]
fn flags_over_drpclirc_over_environment() {
    // The variable, the flag, and what is looked at.
    type Seen = fn(&Settings) -> String;
    let cases: [(&str, &str, Seen); 12] = [
        ("RS_ENDPOINT", "-E", |found| found.endpoint.url.clone()),
        ("RS_TOKEN", "-T", |found| match &found.endpoint.credentials {
            Credentials::Token(token) => token.clone(),
            Credentials::Basic { .. } => String::from("none"),
        }),
        ("RS_USERNAME", "-U", |found| match &found.endpoint.credentials {
            Credentials::Basic { user, .. } => user.clone(),
            Credentials::Token(_) => String::from("none"),
        }),
        ("RS_PASSWORD", "-P", |found| match &found.endpoint.credentials {
            Credentials::Basic { password, .. } => password.clone(),
            Credentials::Token(_) => String::from("none"),
        }),
        ("RS_FORMAT", "-F", |found| found.style.columns.join(",")),
        ("RS_PRINT_FIELDS", "-J", |found| found.style.columns.join(",")),
        ("RS_TRUNCATE_LENGTH", "-j", |found| format!("{:?}", found.style.truncate)),
        ("RS_CATALOG", "-c", |found| found.catalog.clone().unwrap_or_default()),
        ("RS_URL_PROXY", "-u", |found| found.behind.clone().unwrap_or_default()),
        ("RS_DOWNLOAD_PROXY", "-D", |found| found.download_proxy.clone().unwrap_or_default()),
        ("FORMWORK_RETRIES", "--retries", |found| found.retries.to_string()),
        ("RS_COLORS", "-C", |found| format!("{:?}", found.style.colors)),
    ];
    for (variable, flag, seen) in cases {
        let [one, two, three] = match variable {
            "RS_TRUNCATE_LENGTH" | "FORMWORK_RETRIES" => ["1", "2", "3"],
            "RS_COLORS" => ["0=1", "0=2", "0=3"],
            _ => ["A1", "B2", "C3"],
        };
        let file = format!("# words\n{variable} = {two}\n");
        let line = format!("{flag} {three}");
        let by_environment = seen(&settings("", "", &[(variable, one)]).unwrap());
        let by_file = seen(&settings("", &file, &[(variable, one)]).unwrap());
        let by_flag = seen(&settings(&line, &file, &[(variable, one)]).unwrap());
        if variable == "RS_COLORS" {
            // Standard output of a test is no terminal.
            assert_eq!([&by_environment, &by_file, &by_flag], ["None"; 3]);
            continue;
        }
        assert!(by_environment.contains(one), "{variable}: {by_environment}");
        assert!(by_file.contains(two), "{variable}: {by_file}");
        assert!(by_flag.contains(three), "{variable}: {by_flag}");
    }
}

#[test]
fn switches_are_on_by_flag_or_by_variable() {
    for (variable, flag) in [("RS_NO_HEADER", "-H"), ("RS_OBJECT_ERRORS_ARE_FATAL", "-X")] {
        let is_on = |found: Settings| match variable {
            "RS_NO_HEADER" => found.style.no_header,
            _ => found.style.errors_are_fatal,
        };
        assert!(is_on(settings(flag, "", &[]).unwrap()), "{flag}");
        assert!(is_on(settings("", "", &[(variable, "true")]).unwrap()), "{variable}");
        assert!(!is_on(settings("", "", &[(variable, "false")]).unwrap()), "{variable}");
    }
}

#[test]
fn key_is_user_and_password_and_a_token_wins_but_not_over_a_user_that_was_named() {
    let environment = [("RS_TOKEN", "t"), ("RS_KEY", "e:p:q")];
    let found = settings("", "", &environment).unwrap();
    assert_eq!(found.endpoint.credentials, Credentials::Token("t".into()));
    let found = settings("-U me", "", &environment).unwrap();
    assert_eq!(found.endpoint.credentials, basic("me", "p:q"));
    assert!(settings("", "", &[("RS_KEY", "nobody")]).unwrap_err().to_string().contains("user:password"));
}

#[test]
fn format_is_a_name_or_columns_and_a_mistake_is_told() {
    let found = settings("-F Name,Meta.color", "", &[("RS_FORMAT", "yaml")]).unwrap();
    assert_eq!(found.style.format, Format::Table);
    assert_eq!(found.style.columns, ["Name", "Meta.color"]);
    assert_eq!(settings("-F TEXT", "", &[]).unwrap().style.format, Format::Text);
    assert!(settings("-F tabel", "", &[]).unwrap_err().to_string().contains("json, yaml, table or text"));
    assert!(settings("", "", &[("RS_TRUNCATE_LENGTH", "x")]).is_err());
    assert_eq!(settings("-F table -j 0", "", &[]).unwrap().style.truncate, None);
}

#[test]
fn no_token_is_kept_for_a_password_that_was_typed() {
    let cache = [("RS_TOKEN_CACHE", "/c")];
    assert!(settings("", "", &cache).unwrap().tokens.is_some());
    assert!(settings("-P secret", "", &cache).unwrap().tokens.is_none());
    assert!(settings("-x", "", &cache).unwrap().tokens.is_none());
}

#[test]
fn empty_token_and_level_that_there_is_not_are_refused_with_a_hint() {
    let error = settings("--token=", "", &[]).unwrap_err().to_string();
    assert!(error.contains("leave -T out"), "{error}");
    let error = settings("-t loud", "", &[]).unwrap_err().to_string();
    assert!(error.contains("audit"), "{error}");
}

#[test]
fn trace_flags_become_headers() {
    let found = settings("-t debug -Z mine", "", &[]).unwrap();
    assert_eq!(found.headers, [("x-log-request", "debug".to_owned()), ("x-log-token", "mine".to_owned())]);
}

#[tokio::test]
async fn first_endpoint_that_answers_wins() {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    // One that is gone, one that does not know the caller, and one that does.
    let mut urls = Vec::new();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    urls.push(format!("http://{}", gone.local_addr().unwrap()));
    drop(gone);
    let info = serde_json::to_string(&formwork_api::Info::default()).unwrap();
    for (status, body) in [("403 Forbidden", String::from("{}")), ("200 OK", info)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        urls.push(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            assert!(tcp.read(&mut [0; 4096]).await.unwrap() > 0);
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            tcp.write_all(answer.as_bytes()).await.unwrap();
        });
    }
    let mut found = settings("-T t", "", &[("RS_ENDPOINTS", &urls.join(" "))]).unwrap();
    found.settle().await.unwrap();
    assert_eq!(found.endpoint.url, urls[2]);
    let one = settings("-E https://x", "", &[("RS_ENDPOINTS", &urls.join(" "))]).unwrap();
    assert!(one.candidates.is_empty() && one.endpoint.url == "https://x");
    found.candidates = vec![urls[0].clone()];
    assert!(found.settle().await.unwrap_err().to_string().contains(&urls[0]));
}
