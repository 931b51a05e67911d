//! Texts and data that try to panic, hang, fill the memory or exhaust the stack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use formwork_template::{
    RenderError, RenderFailure, RenderLimits, RenderOptions, Template, TemplateSet, Value, render,
};
use proptest::prelude::*;
use serde_json::json;

fn data() -> Value {
    Value::from(&json!({"s": "text", "n": 3, "l": ["a", 2, null], "m": {"k": "v"}, "f": 1.5, "t": true}))
}

/// A fifth of the usual limits, so that reaching them is quick without optimisation too.
fn options() -> RenderOptions {
    let limits = RenderLimits {
        output_bytes: 1 << 20,
        memory_bytes: 8 << 20,
        steps: 200_000,
        ..RenderLimits::default()
    };
    RenderOptions { limits, ..RenderOptions::default() }
}

fn run(text: &str) -> Result<String, RenderError> {
    let template = Template::parse("t", text).unwrap();
    render(&TemplateSet::default(), &template, &data(), &options())
}

fn stops(text: &str) {
    let error = run(text).unwrap_err();
    assert_eq!(error.failure, RenderFailure::Limit, "{text}: {error}");
}

/// Runs with a stack of 2 MiB, what worker threads of a server have.
fn on_small_stack(act: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(act).unwrap().join().unwrap();
}

#[test]
fn endless_work_reaches_a_limit() {
    for text in [
        "{{range 9223372036854775807}}{{end}}",
        "{{range 100000000}}x{{end}}",
        "{{range until 100000000}}{{end}}",
        "{{untilStep 0 9223372036854775807 1}}",
        "{{repeat 1000000000000 \"abc\"}}",
        "{{indent 100000000 \"a\\nb\"}}",
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$x = print $x $x}}{{end}}",
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$x = replace \"a\" $x $x}}{{end}}",
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$x = regexReplaceAll \"a\" $x \"$0$0$0\"}}{{end}}",
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$x = html (print \"<\" $x $x)}}{{end}}",
        "{{$x := list 1}}{{range 60}}{{$x = concat $x $x}}{{end}}",
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$x = join $x (list $x $x $x)}}{{end}}",
        "{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range 60}}{{$x = toJson $x | cat $x}}{{end}}",
        "{{range 1000}}{{printf \"%1000000d\" 1}}{{end}}",
        "{{range 100000}}{{regexMatch \"(a{50}){50}\" \"a\"}}{{end}}",
        "{{$x := until 2000}}{{uniq $x}}",
        "{{define \"x\"}}{{template \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}",
    ] {
        stops(text);
    }
}

#[test]
fn a_map_that_holds_itself_is_refused_and_freed() {
    for act in [
        "{{$d}}",
        "{{toJson $d}}",
        "{{deepCopy $d}}",
        "{{deepEqual $d $e}}",
        "{{printf \"%v\" $d}}",
        "{{has $d (list $e)}}",
    ] {
        let text = format!(
            "{{{{$d := dict}}}}{{{{$_ := set $d \"x\" $d}}}}{{{{$e := dict}}}}{{{{$_ := set $e \"x\" $e}}}}{act}"
        );
        stops(&text);
    }
    let shared = Arc::<str>::from("held");
    let root = Value::from(vec![Value::String(shared.clone())]);
    let text = "{{$d := dict \"s\" (index . 0)}}{{$_ := set $d \"x\" $d}}{{len $d}}";
    let template = Template::parse("t", text).unwrap();
    assert_eq!(render(&TemplateSet::default(), &template, &root, &options()).unwrap(), "2");
    drop(root);
    assert_eq!(Arc::strong_count(&shared), 1, "the ring would keep the text");
}

#[test]
fn values_shared_many_times_do_not_print_many_times() {
    stops("{{$d := dict}}{{range 60}}{{$d = dict \"a\" $d \"b\" $d}}{{end}}{{$d}}");
    stops("{{$d := list 1}}{{range 60}}{{$d = list $d $d}}{{end}}{{toJson $d}}");
    stops(
        "{{$d := list 1}}{{range 60}}{{$d = list $d $d}}{{end}}{{$e := list 1}}{{range 60}}{{$e = list $e $e}}{{end}}{{deepEqual $d $e}}",
    );
}

#[test]
fn deep_chains_of_values_are_dropped_without_the_stack() {
    on_small_stack(|| {
        stops("{{$d := list}}{{range 100000}}{{$d = list $d}}{{end}}");
        assert_eq!(run("{{$d := dict}}{{range 20000}}{{$d = dict \"a\" $d}}{{end}}{{len $d}}").unwrap(), "1");
        let down = "{{$r := dict}}{{$d := $r}}{{range 20000}}{{$n := dict}}{{$_ := set $d \"a\" $n}}{{$d = $n}}{{end}}ok";
        assert_eq!(run(down).unwrap(), "ok");
    });
}

#[test]
fn deep_nesting_is_refused_on_a_small_stack() {
    on_small_stack(|| {
        for (open, close) in
            [("(", ")"), ("{{if 1}}", "{{end}}"), ("{{range .l}}", "{{end}}"), ("{{with 1}}", "{{end}}")]
        {
            let (before, after) = if open == "(" { ("{{", "}}") } else { ("", "") };
            for depth in [10, 50, 59, 61, 1000, 100_000] {
                let text = format!("{before}{}1{}{after}", open.repeat(depth), close.repeat(depth));
                if let Ok(template) = Template::parse("t", &text) {
                    let _ = render(&TemplateSet::default(), &template, &data(), &options());
                    assert!(depth < 61, "{open} {depth}");
                } else {
                    assert!(depth > 59, "{open} {depth}");
                }
            }
        }
    });
}

#[test]
fn the_deepest_allowed_render_fits_a_small_stack() {
    on_small_stack(|| {
        let nest = |depth: usize, inner: &str| {
            format!("{}{inner}{}", "{{if true}}".repeat(depth), "{{end}}".repeat(depth))
        };
        let parentheses =
            format!("{}template_arg{}", "(".repeat(50), ")".repeat(50)).replace("template_arg", ".");
        for inner in ["{{template \"x\" .}}".to_owned(), format!("{{{{template \"x\" {parentheses}}}}}")] {
            let text = format!("{{{{define \"x\"}}}}{}{{{{end}}}}{{{{template \"x\" .}}}}", nest(5, &inner));
            stops(&text);
        }
    });
}

#[test]
fn long_chains_of_else_if_take_no_stack() {
    on_small_stack(|| {
        let text = format!("{{{{if .z}}}}{}{{{{else}}}}end{{{{end}}}}", "{{else if false}}".repeat(20_000));
        let text = text.replace(".z", "false");
        assert_eq!(run(&text).unwrap(), "end");
    });
}

#[test]
fn the_deadline_is_asked_while_the_render_runs() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let expired = Arc::new(move || counter.fetch_add(1, Ordering::Relaxed) >= 3);
    let limits = RenderLimits { expired: Some(expired), ..RenderLimits::default() };
    let template = Template::parse("t", "{{range 1000000}}{{end}}").unwrap();
    let options = RenderOptions { limits, ..RenderOptions::default() };
    let error = render(&TemplateSet::default(), &template, &Value::Nil, &options).unwrap_err();
    assert_eq!(error.failure, RenderFailure::Limit);
    assert!(error.message.contains("time"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn every_limit_ends_a_render_by_itself_and_says_which_it_is() {
    let usual = RenderLimits::default;
    let set = TemplateSet::parse([("down", "{{if .}}{{template \"down\" (sub . 1)}}{{end}}")]);
    for (limits, fits, stops, words) in [
        (
            RenderLimits { output_bytes: 10, ..usual() },
            "{{range 10}}x{{end}}",
            "ab\n{{range 11}}x{{end}}",
            "10 bytes",
        ),
        (
            RenderLimits { memory_bytes: 100, ..usual() },
            "{{repeat 50 \"a\"}}",
            "\n{{repeat 101 \"a\"}}",
            "memory",
        ),
        (RenderLimits { steps: 1000, ..usual() }, "{{range 100}}{{end}}", "\n{{range 1000}}{{end}}", "steps"),
        (
            RenderLimits { depth: 5, ..usual() },
            "{{template \"down\" 3}}",
            "\n{{template \"down\" 4}}",
            "deeply",
        ),
        (RenderLimits { expired: Some(Arc::new(|| true)), ..usual() }, "", "\n{{range 1000}}{{end}}", "time"),
    ] {
        let options = RenderOptions { limits, ..RenderOptions::default() };
        let run = |text: &str| render(&set, &Template::parse("t", text).unwrap(), &Value::Nil, &options);
        run(fits).unwrap_or_else(|error| panic!("{fits}: {error}"));
        let error = run(stops).unwrap_err();
        assert_eq!(error.failure, RenderFailure::Limit, "{stops}: {error}");
        assert!(error.message.contains(words) && error.line > 0, "{stops}: {error}");
    }
}

#[test]
fn no_render_goes_deeper_than_a_hundred_templates_whatever_it_may() {
    let limits = RenderLimits { depth: usize::MAX, ..RenderLimits::default() };
    let options = RenderOptions { limits, ..RenderOptions::default() };
    let set = TemplateSet::parse([("down", "{{if .}}{{template \"down\" (sub . 1)}}{{end}}")]);
    let run = |count: i64| {
        let text = format!("{{{{template \"down\" {count}}}}}");
        render(&set, &Template::parse("t", &text).unwrap(), &Value::Nil, &options)
    };
    assert_eq!(run(98).unwrap(), "");
    assert_eq!(run(99).unwrap_err().failure, RenderFailure::Limit);
}

#[test]
fn text_over_four_mebibytes_is_refused_before_it_is_read() {
    assert!(Template::parse("t", &"x".repeat(4 << 20)).is_ok());
    let error = Template::parse("t", &"{{if".repeat((1 << 20) + 1)).unwrap_err();
    assert!(error.message.contains("4194304 bytes"), "{error}");
    assert!(error.to_string().len() < 500);
}

#[test]
fn wide_numbers_take_no_more_memory_than_they_may() {
    for verb in ["d", "x", "f", "e", "g", "q", "v", "s", "U", "T", "t", "b", "c"] {
        for value in ["1", "1.5", "`a`", "true", ".l", ".m", "nil"] {
            stops(&format!("{{{{printf `%9000000{verb}` {value}}}}}"));
            stops(&format!("{{{{printf `%.9000000{verb}` {value}}}}}"));
            let text = format!("{{{{printf `%.70000{verb}|%70000{verb}` {value} {value} | len}}}}");
            run(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}

#[test]
fn output_over_its_limit_is_refused() {
    let limits = RenderLimits { output_bytes: 5, ..RenderLimits::default() };
    let options = RenderOptions { limits, ..RenderOptions::default() };
    let run = |text: &str| {
        render(&TemplateSet::default(), &Template::parse("t", text).unwrap(), &Value::Nil, &options)
    };
    assert_eq!(run("12345").unwrap(), "12345");
    assert_eq!(run("12345{{6}}").unwrap_err().failure, RenderFailure::Limit);
}

/// Pieces that make texts which get further than random bytes do.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "{{if .t}}",
        "{{else}}",
        "{{else if .n}}",
        "{{end}}",
        "{{range $i, $v := .l}}",
        "{{range .m}}",
        "{{with .m}}",
        "{{define \"x\"}}",
        "{{template \"x\" .}}",
        "{{block \"y\" .}}",
        "{{break}}",
        "{{continue}}",
        "{{.s}}",
        "{{.l}}",
        "{{$x := .n}}",
        "{{$x = 2}}",
        "{{$x}}",
        "$i",
        "$",
        ".",
        ".s",
        ".m.k",
        "|",
        "(",
        ")",
        " ",
        "\n",
        "\"a\"",
        "`b`",
        "'c'",
        "1",
        "-2.5e3",
        "0x1f",
        ":=",
        "=",
        ",",
        "nil",
        "true",
        "printf ",
        "index ",
        "len ",
        "slice ",
        "\"%[2]*.[1]*d%z\"",
        "dict ",
        "set ",
        "add ",
        "join ",
        "split ",
        "toJson ",
        "/*",
        "*/",
        "é",
        "☺",
        "\u{0}",
        "regexFind ",
        "\"[a-z]+(\"",
        "substr ",
        "trunc ",
        "\"ä\"",
        "substr 1 2 \"ä\"",
        "until ",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

fn try_text(text: &str) {
    if let Ok(template) = Template::parse("t", text) {
        let limits = RenderLimits { steps: 20_000, memory_bytes: 1 << 20, ..RenderLimits::default() };
        let options = RenderOptions { limits, ..RenderOptions::default() };
        let set = TemplateSet::parse([("x", text)]);
        let _ = set.missing(&template);
        if let Err(error) = render(&set, &template, &data(), &options) {
            assert!(error.line >= 1 && !error.to_string().is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_never_panics(text in any::<String>()) {
        try_text(&text);
        try_text(&format!("{{{{{text}}}}}"));
    }

    #[test]
    fn random_templates_never_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        try_text(&pieces.concat());
    }

    #[test]
    fn random_calls_never_panic(
        function in prop::sample::select(vec![
            "printf", "print", "html", "js", "urlquery", "index", "slice", "len", "eq", "lt", "add", "sub", "mul", "div",
            "mod", "round", "repeat", "substr", "trunc", "indent", "replace", "split", "splitn", "splitList", "join",
            "dict", "set", "get", "merge", "pick", "dig", "toJson", "fromJson", "regexMatch", "regexFind", "regexSplit",
            "regexReplaceAll", "regexFindAll", "untilStep", "until", "title", "untitle", "b64dec", "int", "quote",
            "concat", "has", "uniq", "first", "default", "ternary", "toPrettyJson", "trimAll", "cat", "deepCopy",
        ]),
        args in prop::collection::vec(argument(), 0..5),
    ) {
        try_text(&format!("{{{{{function} {}}}}}", args.join(" ")));
    }
}

fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-3_i64..20).prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("Go has no such literal", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "[^`]{0,12}".prop_map(|text| format!("`{text}`")),
        "%[-+# 0]{0,2}[0-9]{0,4}[.]?[0-9]{0,3}[a-zA-Z]".prop_map(|text| format!("`{text}`")),
        prop::sample::select(vec![
            "nil",
            ".l",
            ".m",
            ".s",
            "(list)",
            "(dict)",
            "true",
            "9223372036854775807",
            "-9223372036854775808"
        ])
        .prop_map(str::to_owned),
    ]
}
