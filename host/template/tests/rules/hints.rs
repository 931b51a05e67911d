//! Errors propose what to do about the mistakes that people make most.

use formwork_template::{Template, TemplateSet, Value};

use super::{Root, failing, render_with};

fn parse_hint(text: &str) -> String {
    Template::parse("t", text).unwrap_err().hint.unwrap_or_default()
}

#[test]
fn a_dash_in_a_name_is_explained() {
    for (text, mend) in [
        ("{{.Param.foo-bar}}", "`.Param \"foo-bar\"`"),
        ("{{.ParamExists.foo/bar-baz}}", "`.ParamExists \"foo/bar-baz\"`"),
        ("{{if eq $.m.foo-bar-baz 1}}", "`index $.m \"foo-bar-baz\"`"),
        ("{{.Machine.Params.foo-bar}}", "`index .Machine.Params \"foo-bar\"`"),
        ("{{.foo-bar}}", "`index . \"foo-bar\"`"),
        ("{{.Param foo-bar}}", "`\"foo-bar\"`"),
        ("{{.Param foo/bar}}", "`\"foo/bar\"`"),
    ] {
        assert_eq!(parse_hint(text), format!("a name with a dash stands in quotes: {mend}"), "{text}");
    }
    let mend = "the name of a template stands in quotes: `{{template \"foo-bar.tmpl\" .}}`";
    assert_eq!(parse_hint("{{template foo-bar.tmpl .}}"), mend);
}

#[test]
fn a_missing_quote_is_explained() {
    for (text, part) in [
        ("{{.Param \"x}}", "a closing quote is missing on this line"),
        ("{{.Param `x}}", "a closing backquote is missing"),
        ("{{.Param x\"}}", "a quote is missing before this one"),
        ("{{.Param \"x}} and {{.Param \"y\"}}", "a quote is missing before this one"),
        ("{{.Param kernel}}", "text stands in quotes: `\"kernel\"`"),
        ("{{.Param 'xy'}}", "text stands in `\"`"),
        ("{{.Param \u{201c}x\u{201d}}}", "a word processor"),
        ("{{template foo .}}", "in quotes"),
        ("{{template \"x .}}", "a closing quote is missing"),
    ] {
        let hint = parse_hint(text);
        assert!(hint.contains(part), "{text}: {hint}");
    }
}

#[test]
fn what_other_languages_have_is_explained() {
    for (text, part) in [
        ("{{if .n == 3}}{{end}}", "`eq .a .b`"),
        ("{{if .n != 3}}{{end}}", "`ne .a .b`"),
        ("{{if .n > 3}}{{end}}", "`gt .a .b`"),
        ("{{if .a && .b}}{{end}}", "`and .a .b`"),
        ("{{if .a || .b}}{{end}}", "`or .a .b`"),
        ("{{if !.a}}{{end}}", "`not .a`"),
        ("{{.n + 1}}", "`add .a 1`"),
        ("{{.n - 1}}", "`sub .a 1`"),
        ("{{.l[0]}}", "`index .list 0`"),
        ("{{.Param(\"x\")}}", "a space before an argument"),
        ("{{.Param \"x\", \"y\"}}", "no commas"),
        ("{{ {{.x}} }}", "do not stand in actions"),
        ("{{elif .x}}", "`{{else if ...}}`"),
        ("{{endif}}", "`{{end}}`"),
        ("{{for $x in .l}}", "`{{range $item := .list}}`"),
        ("{{range $x in .l}}", "`{{range $key, $item := .list}}`"),
        ("{{include \"x\" .}}", "`{{template \"name\" .}}`"),
        ("{{True}}", "`true`"),
        ("{{None}}", "`nil`"),
        ("{{x := 1}}", "`$x`"),
        ("{{# note}}", "a comment is"),
        ("{{ /* note */ }}", "a comment is"),
        ("{{toYaml .x}}", "`.ParamAsYAML"),
    ] {
        let hint = parse_hint(text);
        assert!(hint.contains(part), "{text}: {hint}");
    }
}

#[test]
fn common_mistakes_are_explained() {
    for (text, part) in [
        ("{{.x", "closing delimiter"),
        ("{{if .x}}a", "`{{if .x}}` of line 1 has no `{{end}}`"),
        ("a{{end}}", "one `{{end}}` more"),
        ("{{else}}", "belongs to no `if`"),
        ("{{if .x}}{{else}}{{else}}{{end}}", "`{{else if ...}}`"),
        ("{{(.x}}", "`)` is missing"),
        ("{{.x)}}", "`(` is missing"),
        ("{{Param \"x\"}}", "begin with a dot: `.Param`"),
        ("{{env \"HOME\"}}", "not available"),
        ("{{uuidv4}}", "not available"),
        ("{{uper .x}}", "function `upper`"),
        ("{{trimsufix \"a\" .x}}", "function `trimSuffix`"),
        ("{{-.x}}", "a space behind"),
        ("{{.x-}}", "a space before"),
        ("{{.x\u{a0}}}", "no ordinary space"),
        ("{{$x}}", "`:=`"),
        ("{{break}}", "`{{range}}`"),
        ("{{/* a }}", "a comment is"),
    ] {
        let hint = parse_hint(text);
        assert!(hint.contains(part), "{text}: {hint}");
    }
}

#[test]
fn mistakes_that_a_render_finds_are_explained() {
    let error = failing("{{.Param.greeting}}", &Value::object(Root));
    assert_eq!(error.hint.as_deref(), Some("a parameter is named in quotes: `.Param \"greeting\"`"));
    let error = failing("{{range 2}}{{.Param \"greeting\"}}{{end}}", &Value::object(Root));
    assert!(error.hint.unwrap().contains("`$`"));
    let set = TemplateSet::parse([("part", "{{.Name}}")]);
    let error = render_with(&set, "{{template \"part\"}}", &Value::object(Root)).unwrap_err();
    assert!(error.hint.unwrap().contains("without a dot"));
    let error = failing("{{.a}}", &Value::Map(formwork_template::Map::new()));
    assert!(error.hint.unwrap().contains("`hasKey`"));
}
