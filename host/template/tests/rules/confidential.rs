//! What a render reads in confidence is in no part of its errors.

use std::sync::Arc;

use formwork_template::{
    Arguments, CallError, Confidential, Engine, Object, RenderError, RenderOptions, Template, TemplateSet,
    Value, render,
};
use serde_json::{Value as Json, json};

/// A root that tells its secret to whoever asks.
struct Keeper {
    secret: Json,
    confidential: Arc<Confidential>,
}

impl Object for Keeper {
    fn type_name(&self) -> &str {
        "Keeper"
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn call(&self, name: &str, args: &[Value], engine: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let args = Arguments::new(args);
        let root = engine.root().clone();
        Ok(Some(match name {
            "Secret" => {
                self.confidential.add("the pin", &self.secret);
                Value::from(&self.secret)
            }
            "Expand" => engine.render_text("expand", args.count(1, 1)?.text(0)?, root)?.into(),
            "Call" => engine.include(args.count(1, 1)?.text(0)?, root)?.into(),
            "Refuse" => return Err(format!("no param `{}`", args.count(1, 1)?.text(0)?).into()),
            _ => return Ok(None),
        }))
    }

    fn json(&self) -> Json {
        Json::Null
    }
}

fn failing(secret: &Json, text: &str) -> RenderError {
    let confidential = Arc::<Confidential>::default();
    let root = Value::object(Keeper { secret: secret.clone(), confidential: Arc::clone(&confidential) });
    let options = RenderOptions { confidential, ..RenderOptions::default() };
    let set = TemplateSet::parse([("inner", "{{ fail (print \"inner \" .Secret) }}")]);
    render(&set, &Template::parse("t", text).unwrap(), &root, &options).unwrap_err()
}

#[test]
fn no_function_or_method_quotes_a_secret_in_its_error() {
    let secret = json!("Zq7-secret\n\"word\"");
    for text in [
        "{{ fail .Secret }}",
        "{{ fail (printf \"%q\" .Secret) }}",
        "{{ fail (printf \"%58s\" (upper .Secret)) }}",
        "{{ fail (toJson .Secret) }}",
        "{{ fail (b64enc (print \"root:\" .Secret)) }}",
        "{{ fail (substr 2 9 .Secret) }}",
        "{{ range .Secret }}{{ end }}",
        "{{ range (dict \"a\" \"0123456789012345678901234567890123456789012345678\" \"b\" .Secret) | toString }}{{ end }}",
        "{{ mustRegexMatch (print \"(\" .Secret) \"x\" }}",
        "{{ index .Secret \"x\" }}",
        "{{ call .Secret }}",
        "{{ .Call .Secret }}",
        "{{ .Refuse .Secret }}",
        "{{ .Call \"inner\" }}",
        "{{ template \"inner\" . }}",
    ] {
        let error = failing(&secret, text).to_string();
        for piece in ["Zq7", "ZQ7", "secr", "word", "WORD", "cTctc2"] {
            assert!(!error.contains(piece), "{text}: {error}");
        }
    }
    let error = failing(&secret, "{{ fail .Secret }}");
    assert_eq!(error.message, "error calling fail: <the pin>");
}

#[test]
fn text_that_is_a_secret_fails_without_words_of_its_own() {
    for secret in ["a{{ fail \"word\" }}", "{{ word }}", "{{ .wo", "x\n{{ template \"word\" }}"] {
        let error = failing(&json!(secret), "{{ .Expand .Secret }}");
        assert!(!error.to_string().contains("wo"), "{secret}: {error}");
        assert!(error.message.contains("line") && error.message.contains("withheld"), "{secret}: {error}");
    }
}

#[test]
fn short_secret_withholds_the_message_and_leaves_the_place() {
    let error = failing(&json!(7), "a\n{{ index (list 1) .Secret }}");
    assert_eq!(
        error.to_string(),
        "template `t` line 2 column 4 at `index (list 1) .Secret`: withheld, as it quotes <the pin>"
    );
}

#[test]
fn secret_is_in_what_is_rendered_as_ever() {
    let confidential = Arc::<Confidential>::default();
    let root = Value::object(Keeper { secret: json!("word"), confidential: Arc::clone(&confidential) });
    let options = RenderOptions { confidential, ..RenderOptions::default() };
    let template = Template::parse("t", "{{ .Secret }}").unwrap();
    assert_eq!(render(&TemplateSet::default(), &template, &root, &options).unwrap(), "word");
}
