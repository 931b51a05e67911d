//! The filter as scripts call it.

use std::{ffi::OsString, fs};

use super::*;

/// Runs a filter and returns its exit code, what it wrote and what it said.
fn filtered(words: &[&str], input: &str) -> (u8, String, String) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, || filtered_here(words, input)).unwrap().join().unwrap()
    })
}

fn filtered_here(words: &[&str], input: &str) -> (u8, String, String) {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let (mut output, mut said) = (Vec::new(), Vec::new());
    let pipes = Pipes {
        input: Box::new(input.as_bytes()),
        output: &mut output,
        words: &mut said,
        is_terminal: false,
    };
    let code = match run(&words, pipes).unwrap() {
        Ok(code) => code,
        Err(error) => {
            said.extend(error.to_string().bytes());
            error.code()
        }
    };
    (code, String::from_utf8(output).unwrap(), String::from_utf8(said).unwrap())
}

/// Runs a filter that ends well and returns what it wrote.
fn wrote(words: &[&str], input: &str) -> String {
    let (code, output, said) = filtered(words, input);
    assert_eq!((code, said.as_str()), (0, ""), "{words:?}");
    output
}

const MACHINES: &str = r#"[{"Name":"a","Params":{"gohai-inventory":{"x":1}},"Tasks":["t","u"]},{"Name":"ü","Params":{},"Tasks":[]}]"#;

#[test]
fn filters_of_the_documentation_do_what_they_say() {
    assert_eq!(wrote(&["-r", ".[].Name"], MACHINES), "a\nü\n");
    assert_eq!(wrote(&[".[0].Name"], MACHINES), "\"a\"\n");
    assert_eq!(
        wrote(&["-c", r#"del(.[].Params."gohai-inventory")|.[0]"#], MACHINES),
        "{\"Name\":\"a\",\"Params\":{},\"Tasks\":[\"t\",\"u\"]}\n"
    );
    assert_eq!(wrote(&["map(.Name)"], MACHINES), "[\n  \"a\",\n  \"ü\"\n]\n");
    assert_eq!(wrote(&["length"], MACHINES), "2\n");
    assert_eq!(
        wrote(&["-r", r#".[] | select(.Name == "a") | "\(.Name):\(.Tasks|length)""#], MACHINES),
        "a:2\n"
    );
    assert_eq!(wrote(&["-c", "[.[] | .Tasks[]?] | unique"], MACHINES), "[\"t\",\"u\"]\n");
    assert_eq!(
        wrote(&["-c", "-S", "."], r#"{"b":1,"a":{"d":2,"c":3}}"#),
        "{\"a\":{\"c\":3,\"d\":2},\"b\":1}\n"
    );
    assert_eq!(wrote(&["-r", "to_entries[] | [.key, .value] | @tsv"], r#"{"x":1,"y":"z"}"#), "x\t1\ny\tz\n");
    assert_eq!(wrote(&["-c", ".a //= 5 | .b |= ascii_upcase"], r#"{"b":"q"}"#), "{\"b\":\"Q\",\"a\":5}\n");
    assert_eq!(wrote(&["-r", r#"if test("^v[0-9]+") then sub("v";"") else . end"#], "\"v4\""), "4\n");
    assert_eq!(wrote(&["."], "{}[]"), "{}\n[]\n");
}

#[test]
fn words_of_the_language_are_known() {
    let words = "ltrimstr(.) rtrimstr(.) startswith(.) endswith(.) ascii_downcase sub(.;.) gsub(.;.) test(.) match(.) \
        capture(.) scan(.) split(.) splits(.) join(.) flatten floor sqrt pow(.;.) min_by(.) max_by(.) unique_by(.) \
        group_by(.) add any all tostring tonumber type infinite nan sort_by(.) has(.) in(.) inside(.) contains(.) \
        indices(.) index(.) rindex(.) path(.) paths del(.) to_entries from_entries with_entries(.) walk(.) env halt now \
        mktime gmtime strftime(.) strptime(.) todate fromdate getpath(.) setpath(.;.) delpaths(.) debug limit(1;.) \
        first last nth(1) until(.;.) while(.;.) repeat(.) recurse .. transpose input inputs implode explode tojson \
        fromjson combinations error(.) min max ltrim trim abs toarray select(.) map_values(.) \
        keys keys_unsorted values reverse unique length empty not range(3) ascii_upcase @base64 @base64d \
        @sh @uri @html @json @text @csv @tsv";
    for word in words.split_whitespace() {
        let words = [OsString::from("-n"), OsString::from(format!("empty | {word}"))];
        let Ok(Asked::Filter(options)) = options::parse(&words) else { panic!("{word}") };
        assert!(Filter::compile(&options).is_ok(), "{word}");
    }
    let row = "[1,\"a\\\"b\\tc\\\\\",true,null]";
    assert_eq!(wrote(&["-r", "@csv"], row), "1,\"a\"\"b\tc\\\",true,\n");
    assert_eq!(wrote(&["-r", "@tsv"], row), "1\ta\"b\\tc\\\\\ttrue\t\n");
    assert_eq!(filtered(&["@csv"], "[[1]]").0, 5);
}

#[test]
fn flags_may_stand_together_and_behind_the_filter() {
    assert_eq!(wrote(&["-rc", ".[0].Tasks,.[0].Name"], MACHINES), "[\"t\",\"u\"]\na\n");
    assert_eq!(wrote(&[".[0].Name", "-r"], MACHINES), "a\n");
    assert_eq!(wrote(&["-j", ".[].Name"], MACHINES), "aü");
    assert_eq!(wrote(&["--raw-output0", ".[].Name"], MACHINES), "a\0ü\0");
    assert_eq!(wrote(&["-a", ".[1].Name, \"😀\""], MACHINES), "\"\\u00fc\"\n\"\\ud83d\\ude00\"\n");
    assert_eq!(wrote(&["--tab", "."], "[1]"), "[\n\t1\n]\n");
    assert_eq!(wrote(&["--indent", "1", "."], "{\"a\":1}"), "{\n \"a\": 1\n}\n");
    assert_eq!(wrote(&["--indent", "0", "."], "{\"a\":1}"), "{\"a\":1}\n");
    assert_eq!(wrote(&["-n", "--", "-1"], ""), "-1\n");
    assert!(wrote(&["-C", "-c", "."], "1").contains('\u{1b}'));
}

#[test]
fn variables_come_from_arguments_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.json");
    fs::write(&file, "1 {\"a\":2}\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(wrote(&["-n", "--arg", "x", "5", "$x"], ""), "\"5\"\n");
    assert_eq!(wrote(&["-nc", "--argjson", "x", "{\"a\":[5]}", "$x.a[0] + 1"], ""), "6\n");
    assert_eq!(wrote(&["-nc", "--slurpfile", "x", file, "$x"], ""), "[1,{\"a\":2}]\n");
    assert_eq!(wrote(&["-nr", "--rawfile", "x", file, "$x"], ""), "1 {\"a\":2}\n\n");
    assert_eq!(
        wrote(&["-nc", "--arg", "x", "1", "$ARGS", "--args", "p", "q"], ""),
        "{\"positional\":[\"p\",\"q\"],\"named\":{\"x\":\"1\"}}\n"
    );
    assert_eq!(wrote(&["-nc", "$ARGS.positional", "--jsonargs", "1", "[2]"], ""), "[1,[2]]\n");
    assert_eq!(
        wrote(&["-nr", "$ENV.CARGO_PKG_NAME, env.CARGO_PKG_NAME"], ""),
        format!("{0}\n{0}\n", std::env::var("CARGO_PKG_NAME").unwrap())
    );
    let filter = folder.path().join("f.jq");
    fs::write(&filter, "# a comment\n.a + 1\n").unwrap();
    assert_eq!(wrote(&["-f", filter.to_str().unwrap()], "{\"a\":1}"), "2\n");
    assert_eq!(wrote(&["-c", ".", file, file], ""), "1\n{\"a\":2}\n1\n{\"a\":2}\n");
}

#[test]
fn inputs_are_values_lines_or_all_at_once() {
    assert_eq!(wrote(&["-cs", "."], "1 2\n[3]"), "[1,2,[3]]\n");
    assert_eq!(wrote(&["-cs", "."], ""), "[]\n");
    assert_eq!(wrote(&["-R", "."], "a\nb"), "\"a\"\n\"b\"\n");
    assert_eq!(wrote(&["-Rs", "."], "a\nb\n"), "\"a\\nb\\n\"\n");
    assert_eq!(wrote(&["-n", "input, input"], "1 2 3"), "1\n2\n");
    assert_eq!(wrote(&["-nc", "[inputs]"], "1 2 3"), "[1,2,3]\n");
    assert_eq!(wrote(&["-n", "reduce inputs as $x (0; . + $x)"], "1 2 3"), "6\n");
}

#[test]
fn exit_codes_are_those_of_jq() {
    let code = |words: &[&str], input: &str| filtered(words, input).0;
    assert_eq!(code(&["-e", ".a"], "{\"a\":1}"), 0);
    assert_eq!(code(&["-e", ".a"], "{\"a\":null}"), 1);
    assert_eq!(code(&["-e", ".a"], "{\"a\":false}"), 1);
    assert_eq!(code(&["-e", "empty"], "1"), 4);
    assert_eq!(code(&[".a"], "{}"), 0);
    assert_eq!(code(&["."], "{\"a\":"), 2);
    assert_eq!(code(&[".", "/nonexistent/file"], ""), 2);
    for usage in [
        &[][..],
        &["-x"],
        &["--nothing", "."],
        &["-n", "--arg", "x"],
        &["--indent", "9", "."],
        &["-n", "--argjson", "x", "{", "$x"],
    ] {
        assert_eq!(code(usage, "1"), 2, "{usage:?}");
    }
    for wrong in ["nonsense(", "there_is_no_such_filter", "$unknown", "\"open", ".a |"] {
        let (code, _, said) = filtered(&[wrong], "1");
        assert_eq!(code, 3, "{wrong}");
        assert!(said.starts_with("the filter is wrong: "), "{said}");
    }
    assert_eq!(code(&["-n", "7 | halt_error"], ""), 5);
    assert_eq!(code(&["-n", "\"\" | halt_error(3)"], ""), 3);
    assert_eq!(code(&["-n", "1, halt, 2"], ""), 0);
    assert_eq!(filtered(&["-n", "1, halt, 2"], "").1, "1\n");
}

#[test]
fn filter_that_fails_says_so_and_goes_on_with_the_next_input() {
    let (code, output, said) = filtered(&[".a"], "{\"a\":1} 5 {\"a\":2}");
    assert_eq!((code, output.as_str()), (5, "1\n2\n"));
    assert!(said.starts_with("jq: error: cannot index 5"), "{said}");
    let (code, _, said) = filtered(&["-n", "error(\"no such machine\")"], "");
    assert_eq!((code, said.as_str()), (5, "jq: error: no such machine\n"));
    // What can be read is done before what cannot.
    let (code, output, said) = filtered(&["."], "1 2 } 3");
    assert_eq!((code, output.as_str()), (2, "1\n2\n"), "{said}");
}

#[test]
fn nesting_is_bounded_before_it_is_read() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        let (code, output, said) = filtered(&["."], &deep);
        assert_eq!((code, output.as_str()), (2, ""));
        assert!(said.contains("deeper than"), "{said}");
        assert_eq!(filtered(&["-n", "--argjson", "x", &deep, "1"], "").0, 2);
    }
    let text = format!("\"{}\"", "[".repeat(20_000));
    assert_eq!(wrote(&["length"], &text), "20000\n");
    assert_eq!(wrote(&["-c", "."], &"[] ".repeat(20_000)).len(), 60_000);
}

#[test]
fn filter_is_known_by_the_first_word_or_the_name_of_the_program() {
    let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let found = |words: &[&str]| arguments(&line(words)).map(<[OsString]>::to_vec);
    assert_eq!(found(&["formwork", "jq", "-r", "."]), Some(line(&["-r", "."])));
    assert_eq!(found(&["/usr/local/bin/jq", "-r", "."]), Some(line(&["-r", "."])));
    assert_eq!(found(&["drpjq", "."]), Some(line(&["."])));
    assert_eq!(found(&["formwork", "machines", "show", "jq"]), None);
    assert_eq!(found(&["formwork"]), None);
}
