//! What is not a matter of Go: errors and hints, sets, methods that render, and the caller's data.

mod confidential;
mod hints;

use formwork_template::{
    Arguments, CallError, Delimiters, Engine, Include, Map, MissingKey, Object, RenderError, RenderFailure,
    RenderOptions, Template, TemplateSet, Value, render,
};
use serde_json::{Value as Json, json};

fn render_with(set: &TemplateSet, text: &str, root: &Value) -> Result<String, RenderError> {
    render(set, &Template::parse("t", text).unwrap(), root, &RenderOptions::default())
}

fn failing(text: &str, root: &Value) -> RenderError {
    render_with(&TemplateSet::default(), text, root).unwrap_err()
}

/// A root whose methods render in turn.
struct Root;

impl Object for Root {
    fn type_name(&self) -> &str {
        "Root"
    }

    fn field(&self, name: &str) -> Option<Value> {
        (name == "Name").then(|| "m1".into())
    }

    fn call(&self, name: &str, args: &[Value], engine: &mut Engine<'_>) -> Result<Option<Value>, CallError> {
        let arguments = Arguments::new(args);
        let root = engine.root().clone();
        Ok(Some(match name {
            "Param" => match arguments.count(1, 1)?.text(0)? {
                "greeting" => "hello {{.Name}}".into(),
                "broken" => "{{.Nope}}".into(),
                "unparsed" => "{{".into(),
                "loop" => "{{.ParamExpand \"loop\"}}".into(),
                "nested" => Value::from(&json!({"{{k}}": ["{{.Name}}", 1, {"x": "{{.Name}}!"}]})),
                other => return Err(format!("no param `{other}`").into()),
            },
            "ParamExpand" => {
                let value = self.call("Param", args, engine)?.unwrap_or(Value::Nil);
                engine.expand(arguments.text(0)?, &value, &root)?
            }
            "CallTemplate" => {
                engine.include(arguments.count(2, 2)?.text(0)?, arguments.value(1).clone())?.into()
            }
            "Tolerant" => match engine.include("broken", root) {
                Ok(text) => text.into(),
                Err(_) => "fallback".into(),
            },
            _ => return Ok(None),
        }))
    }

    fn json(&self) -> Json {
        json!({"Name": "m1"})
    }
}

#[test]
fn a_parse_error_says_where() {
    let error = Template::parse("boot", "a\nbä {{.x-y}}").unwrap_err();
    assert_eq!((error.template.as_str(), error.line, error.column), ("boot", 2, 8));
    assert_eq!(error.message, "bad character U+002D '-'");
    assert_eq!(error.expression, "{{.x-y}}");
    assert!(error.to_string().starts_with("template `boot` line 2 column 8 at `{{.x-y}}`: bad character"));
    assert!(error.to_string().contains("\nhint: "));
    // An action that is never closed is reported where it begins.
    let error = Template::parse("t", "a\nb\n{{.s\nc\n").unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (3, "unclosed action"));
    assert_eq!(error.expression, "{{.s");
    // A block without an end is found at the end, and told by its beginning.
    let error = Template::parse("t", "a\n{{if .x}}\n{{range .y}}{{end}}\nb {{.z}}\n").unwrap_err();
    assert_eq!((error.line, error.expression.as_str()), (5, "{{if .x}}"));
    assert_eq!(error.hint.as_deref(), Some("`{{if .x}}` of line 2 has no `{{end}}`"));
    // Behind an action there is plain text.
    let error = Template::parse("t", "{{.x}} {{end}} {{.y}}").unwrap_err();
    assert_eq!((error.column, error.expression.as_str()), (8, "{{end}}"));
    let marks = Delimiters::new("<<", ">>");
    let error = Template::parse_between("t", "{{ <<.a>> <<.b-c>> >>", &marks).unwrap_err();
    assert_eq!(error.expression, "<<.b-c>>");
}

#[test]
fn a_render_error_says_where_and_what() {
    let set = TemplateSet::parse([("inner", "x\n{{ index .l\n  7 }}")]);
    let root = Value::from(&json!({"l": []}));
    let error = render_with(&set, "{{template \"inner\" .}}", &root).unwrap_err();
    assert_eq!((error.template.as_str(), error.line, error.column), ("inner", 2, 4));
    assert_eq!(error.expression, "index .l 7");
    assert_eq!(error.message, "error calling index: index out of range: 7");
    assert_eq!(error.failure, RenderFailure::Evaluation);
    let error = failing("{{.Param \"zz\"}}", &Value::object(Root));
    assert_eq!(error.message, "error calling Param: no param `zz`");
    assert_eq!(error.expression, ".Param \"zz\"");
}

#[test]
fn a_missing_key_is_an_error_or_no_value() {
    let template = Template::parse("t", "[{{.zz}}]").unwrap();
    let root = Value::Map(Map::new());
    let error = render(&TemplateSet::default(), &template, &root, &RenderOptions::default()).unwrap_err();
    assert_eq!(error.message, "map has no entry for key \"zz\"");
    let options = RenderOptions { missing_key: MissingKey::NoValue, ..RenderOptions::default() };
    assert_eq!(render(&TemplateSet::default(), &template, &root, &options).unwrap(), "[<no value>]");
}

#[test]
fn missing_includes_are_found_through_others() {
    let set = TemplateSet::parse([
        ("a", "{{template \"b\"}}\n{{template \"gone\"}}"),
        ("b", "{{if 1}}{{template \"a\"}}{{else}}{{range 1}}{{template \"bad\"}}{{end}}{{end}}"),
        ("bad", "{{"),
        ("defs", "{{define \"inside\"}}{{end}}"),
    ]);
    let template =
        Template::parse("t", "{{template \"a\"}}{{template \"inside\"}}{{block \"own\" .}}{{end}}").unwrap();
    let include = |template: &str, line, name: &str| Include {
        template: template.to_owned(),
        line,
        name: name.to_owned(),
    };
    assert_eq!(set.missing(&template), [include("a", 2, "gone"), include("b", 1, "bad")]);
    let errors: Vec<_> = set.errors().iter().map(|error| error.template.clone()).collect();
    assert_eq!(errors, ["bad"]);
    let error = render_with(&set, "{{template \"bad\"}}", &Value::Nil).unwrap_err();
    assert_eq!(error.failure, RenderFailure::Parse);
    let error = render_with(&set, "{{template \"nope\"}}", &Value::Nil).unwrap_err();
    assert_eq!(error.failure, RenderFailure::MissingTemplate);
    assert!(error.message.contains("\"nope\""));
}

#[test]
fn an_overlay_wins_and_leaves_the_set_below_as_it_was() {
    let shared = TemplateSet::parse([("a", "shared a"), ("b", "b and {{template \"a\"}}")]);
    let over = shared.overlay([("a".to_owned(), Template::parse("a", "own a"))]);
    assert_eq!(render_with(&over, "{{template \"b\"}}", &Value::Nil).unwrap(), "b and own a");
    assert_eq!(render_with(&shared, "{{template \"b\"}}", &Value::Nil).unwrap(), "b and shared a");
    assert_eq!(over.template("a").unwrap().unwrap().source(), "own a");
    assert!(over.template("c").is_none());
}

#[test]
fn a_template_of_definitions_alone_runs_the_one_of_its_name() {
    let set = TemplateSet::parse([("a", "\n{{define \"a\"}}body{{end}}\n")]);
    assert_eq!(render_with(&set, "{{template \"a\"}}", &Value::Nil).unwrap(), "body");
}

#[test]
fn delimiters_hold_for_their_own_template_alone() {
    let own = Template::parse_between("own", "<<.>> {{.}}", &Delimiters::new("<<", ">>"));
    let set = TemplateSet::default().overlay([("own".to_owned(), own)]);
    assert_eq!(render_with(&set, "{{template \"own\" 5}} <<.>>", &Value::Nil).unwrap(), "5 {{.}} <<.>>");
    assert_eq!(Delimiters::new("", ""), Delimiters::default());
}

#[test]
fn methods_render_under_the_same_limits() {
    let set = TemplateSet::parse([("part", "<{{.}}>"), ("broken", "{{index nil 1}}")]);
    let root = Value::object(Root);
    let run = |text: &str| render_with(&set, text, &root);
    assert_eq!(run("{{.Param \"greeting\"}}").unwrap(), "hello {{.Name}}");
    assert_eq!(run("a {{.ParamExpand \"greeting\"}} b").unwrap(), "a hello m1 b");
    assert_eq!(run("{{.ParamExpand \"nested\" | toJson}}").unwrap(), r#"{"{{k}}":["m1",1,{"x":"m1!"}]}"#);
    assert_eq!(run("{{.CallTemplate (print \"pa\" \"rt\") .Name}}{{$.Name}}").unwrap(), "<m1>m1");
    assert_eq!(run("x{{.Tolerant}}y").unwrap(), "xfallbacky");
    assert_eq!(run("{{toJson .}} {{.}}").unwrap(), "{\"Name\":\"m1\"} Root");
    let error = run("{{.ParamExpand \"broken\"}}").unwrap_err();
    assert!(error.message.contains("template `broken` line 1 column 3 at `.Nope`"), "{error}");
    assert_eq!(run("{{.ParamExpand \"unparsed\"}}").unwrap_err().failure, RenderFailure::Parse);
    let error = run("{{.ParamExpand \"loop\"}}").unwrap_err();
    assert_eq!(error.failure, RenderFailure::Limit);
    assert!(error.to_string().len() < 3000, "{}", error.to_string().len());
    assert!(run("{{.CallTemplate \"none\" .}}").unwrap_err().message.contains("\"none\" not defined"));
}

#[test]
fn the_callers_maps_are_as_before_after_a_render() {
    let root = Value::from(&json!({"m": {"a": 1}}));
    let text = "{{$_ := set .m \"b\" .m}}{{$_ := unset .m \"a\"}}{{len .m}}{{hasKey .m \"b\"}}";
    assert_eq!(render_with(&TemplateSet::default(), text, &root).unwrap(), "1true");
    assert_eq!(render_with(&TemplateSet::default(), "{{.m}}", &root).unwrap(), "map[a:1]");
}

#[test]
fn templates_and_values_go_between_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&Template::parse("t", "").unwrap());
    shared(&TemplateSet::default());
    shared(&Value::object(Root));
    shared(&RenderOptions::default());
}
