//! Scripts, and what they lead to.

use std::collections::BTreeMap;

use anyhow::anyhow;

use super::*;

const BASE: &str = "http://10.0.0.1:8091/boot/start.ipxe";

/// What a script did, with files from a table.
#[derive(Debug, Default)]
struct Run {
    echoes: Vec<String>,
    loaded: Vec<String>,
    dhcp: usize,
}

fn variables() -> Variables {
    let facts = [
        ("mac", "52:54:00:77:00:01"),
        ("ip", "10.0.0.50"),
        ("next-server", "10.0.0.1"),
        ("buildarch", "i386"),
    ];
    Variables::new(facts.map(|(name, value)| (name, value.to_owned())).to_vec())
}

/// Runs a script to its end; `files` holds scripts by URL, and an image is everything that ends with `.img`.
fn run_with(script: &str, files: &[(&str, &str)]) -> (Run, Result<Step, ScriptError>) {
    let files = files.iter().copied().collect::<BTreeMap<_, _>>();
    let script = format!("#!ipxe\n{script}");
    let mut interpreter = match Interpreter::new(BASE.parse().unwrap(), script.as_bytes(), variables()) {
        Ok(interpreter) => interpreter,
        Err(error) => return (Run::default(), Err(error)),
    };
    let mut run = Run::default();
    loop {
        match interpreter.step() {
            Ok(Step::Echo(text)) => run.echoes.push(text),
            Ok(Step::Sleep(_)) => {}
            Ok(Step::Dhcp) => {
                run.dhcp += 1;
                let facts = vec![("ip", "10.0.0.99".to_owned())];
                interpreter.resume(Ok(Answer::Network(facts)));
            }
            Ok(Step::Script(url)) => {
                run.loaded.push(url.to_string());
                let text = files.get(url.as_str()).map(|text| Answer::Script(text.as_bytes().to_vec()));
                interpreter.resume(text.ok_or_else(|| anyhow!("404 Not Found")));
            }
            Ok(Step::Image(url)) => {
                run.loaded.push(url.to_string());
                let known = url.path().ends_with(".img");
                interpreter.resume(if known { Ok(Answer::Image(42)) } else { Err(anyhow!("404 Not Found")) });
            }
            end => return (run, end),
        }
    }
}

fn run(script: &str) -> (Run, Result<Step, ScriptError>) {
    run_with(script, &[])
}

fn echoes(script: &str) -> Vec<String> {
    let (run, end) = run(script);
    assert_eq!(end, Ok(Step::Exit), "{script}");
    run.echoes
}

fn reason(script: &str) -> String {
    run(script).1.unwrap_err().to_string()
}

fn boot(script: &str) -> Boot {
    match run(script).1 {
        Ok(Step::Boot(boot)) => boot,
        other => panic!("{other:?}"),
    }
}

#[test]
fn kernel_starts_with_its_arguments_and_initial_ram_disks() {
    let boot = boot(
        "kernel vmlinuz.img initrd=initrd0 BOOTIF=01-${netX/mac:hexhyp} || goto failed\n\
         initrd --name initrd0 /files/first.img\ninitrd second.img\nboot || goto failed\n:failed\nexit 1",
    );
    assert_eq!(boot.command_line, "initrd=initrd0 BOOTIF=01-52-54-00-77-00-01");
    assert_eq!(boot.kernel.url, "http://10.0.0.1:8091/boot/vmlinuz.img");
    assert_eq!((boot.kernel.name.as_str(), boot.kernel.bytes), ("vmlinuz.img", 42));
    let initrds =
        boot.initrds.iter().map(|image| (image.name.as_str(), image.url.as_str())).collect::<Vec<_>>();
    assert_eq!(
        initrds,
        [
            ("initrd0", "http://10.0.0.1:8091/files/first.img"),
            ("second.img", "http://10.0.0.1:8091/boot/second.img"),
        ]
    );
}

#[test]
fn arguments_of_an_image_can_be_replaced() {
    assert_eq!(boot("kernel --name k a.img old\nimgargs k new quiet\nboot").command_line, "new quiet");
    assert_eq!(boot("kernel a.img old\nboot a.img other words").command_line, "other words");
    assert!(reason("imgargs k quiet").contains("no image `k`"));
    assert!(reason("kernel a.img\nimgfree a.img\nboot").contains("no kernel"));
}

#[test]
fn chain_that_fails_falls_to_its_alternative() {
    let script = "chain http://10.0.0.1:8091/${netX/mac}.ipxe && exit || chain /${netX/ip}.ipxe && exit ||\necho discovery";
    let (run, end) = run(script);
    assert_eq!(end, Ok(Step::Exit));
    assert_eq!(run.echoes, ["discovery"]);
    let expected =
        ["/52:54:00:77:00:01.ipxe", "/10.0.0.50.ipxe"].map(|path| format!("http://10.0.0.1:8091{path}"));
    assert_eq!(run.loaded, expected);
}

#[test]
fn script_that_was_chained_and_ends_well_goes_on_behind_its_chain() {
    let files = [("http://10.0.0.1:8091/own.ipxe", "#!ipxe\necho own\nexit\necho never\n")];
    let (run, end) = run_with("chain --autofree /own.ipxe && exit ||\necho never", &files);
    assert_eq!((run.echoes, end), (vec!["own".to_owned()], Ok(Step::Exit)));
    let (run, _) = run_with("chain /own.ipxe\necho behind", &files);
    assert_eq!(run.echoes, ["own", "behind"]);
    let (run, end) = run_with("chain --replace /own.ipxe\necho behind", &files);
    assert_eq!((run.echoes, end), (vec!["own".to_owned()], Ok(Step::Exit)));
}

#[test]
fn failure_inside_of_a_chained_script_is_one_of_the_chain_and_names_both_places() {
    let files =
        [("http://10.0.0.1:8091/own.ipxe", "#!ipxe\n\nexit 1\n"), ("http://10.0.0.1:8091/no.ipxe", "<html>")];
    let (run, end) = run_with("chain /own.ipxe || echo caught\nchain /no.ipxe || echo again", &files);
    assert_eq!((run.echoes, end), (vec!["caught".to_owned(), "again".to_owned()], Ok(Step::Exit)));
    let files = [("http://10.0.0.1:8091/own.ipxe", "#!ipxe\nisset ${}\n")];
    let error = run_with("\nchain /own.ipxe", &files).1.unwrap_err().to_string();
    assert!(error.contains("start.ipxe` line 3") && error.contains("own.ipxe` line 2"), "{error}");
}

#[test]
fn relative_urls_follow_the_script_that_names_them() {
    let files = [("http://10.0.0.2/a/b.ipxe", "#!ipxe\nkernel c.img\nboot")];
    let (run, _) = run_with("chain http://10.0.0.2/a/b.ipxe", &files);
    assert_eq!(run.loaded[1], "http://10.0.0.2/a/c.img");
}

#[test]
fn conditions_go_from_left_to_right() {
    assert_eq!(echoes("isset ${ip} && echo yes || echo no"), ["yes"]);
    assert_eq!(echoes("isset ${nothing} && echo yes || echo no"), ["no"]);
    assert_eq!(echoes("iseq ${buildarch} i386 || echo other ; echo always"), ["always"]);
    assert_eq!(echoes("iseq a b && goto there ||\necho here\nexit\n:there\necho there"), ["here"]);
    assert_eq!(echoes("goto there\necho here\n:there\necho there"), ["there"]);
}

#[test]
fn script_relative_to_its_own_url_may_have_a_mac_address_as_its_name() {
    let (run, _) = run("chain ${netX/mac}.ipxe ||");
    assert_eq!(run.loaded, ["http://10.0.0.1:8091/boot/52:54:00:77:00:01.ipxe"]);
}

#[test]
fn comments_blank_lines_and_continued_lines_are_read() {
    assert_eq!(echoes("# comment\n\n  echo one \\\n two # three\r\necho a#b\r"), ["one two", "a#b"]);
}

#[test]
fn variables_are_expanded_inside_of_each_other_and_by_type() {
    let script = "set which mac\nset text two words\necho ${net0/${which}} [${nothing}] ${text:uristring}\n\
                  echo ${net0/mac:hexhyp} ${mac:hexraw} ${which:hex} ${\nset which\nisset ${which} || echo gone";
    let expected = ["52:54:00:77:00:01 [] two%20words", "52-54-00-77-00-01 525400770001 6d:61:63 ${", "gone"];
    assert_eq!(echoes(script), expected);
}

#[test]
fn value_with_spaces_stays_one_word() {
    assert_eq!(echoes("set a x y\niseq ${a} ${a} && echo equal"), ["equal"]);
}

#[test]
fn dhcp_replaces_the_settings_of_the_network() {
    let (run, _) = run("dhcp net0 || exit 1\necho ${netX/ip}");
    assert_eq!((run.dhcp, run.echoes), (1, vec!["10.0.0.99".to_owned()]));
}

#[test]
fn unknown_command_names_its_line_even_with_an_alternative() {
    let error = run("echo one\nframebuffer --fast || echo two").1.unwrap_err();
    let (url, command) = (BASE.to_owned(), "framebuffer".to_owned());
    assert_eq!(error, ScriptError::UnknownCommand { url, line: 3, command });
}

#[test]
fn failure_without_an_alternative_names_its_line_and_reason() {
    assert_eq!(reason("\nkernel vmlinuz"), format!("`{BASE}` line 3: 404 Not Found"));
    for (script, part) in [
        ("goto nowhere", "no label `nowhere`"),
        ("boot", "no kernel is loaded"),
        ("kernel", "needs a URL"),
        ("kernel --name", "`--name` needs a value"),
        ("chain --wrong x", "`--wrong` is not known"),
        ("iseq a", "needs two words"),
        ("sleep long", "no number of seconds"),
        ("echo ${ip:base64}", "`base64`"),
    ] {
        assert!(reason(script).contains(part), "{script}: {}", reason(script));
    }
}

#[test]
fn content_without_the_first_line_is_no_script() {
    for text in ["", "kernel x", "#!ipxesomething\nboot", "#!/bin/sh\n"] {
        let end = Interpreter::new(BASE.parse().unwrap(), text.as_bytes(), variables());
        assert_eq!(end.unwrap_err(), ScriptError::NotAScript { url: BASE.to_owned() });
    }
}

#[test]
fn endless_scripts_end_at_their_limits() {
    let limit = |script: &str, files: &[(&str, &str)]| match run_with(script, files).1 {
        Err(ScriptError::Limit { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(":again\ngoto again", &[]), format!("{MAX_STEPS} commands"));
    let again = [(BASE, "#!ipxe\nchain start.ipxe")];
    assert_eq!(limit("chain start.ipxe", &again), format!("{MAX_DEPTH} scripts inside of each other"));
    let again = [(BASE, "#!ipxe\nchain --replace start.ipxe")];
    assert_eq!(limit("chain start.ipxe", &again), format!("{MAX_SCRIPTS} scripts"));
    assert_eq!(limit(":again\ninitrd a.img\ngoto again", &[]), format!("{MAX_IMAGES} images"));
    assert!(reason("set a xxxxxxxx\n:again\nset a ${a}${a}\ngoto again").contains("longer than"));
}

#[test]
fn value_that_holds_itself_ends_at_a_limit() {
    let mut variables = variables();
    variables.set("a", "x${a}".to_owned()).unwrap();
    assert!(variables.expand("${a}").unwrap_err().contains("more than"));
}

#[test]
fn answer_to_another_question_is_a_failure_and_one_too_many_is_ignored() {
    let mut interpreter =
        Interpreter::new(BASE.parse().unwrap(), b"#!ipxe\nkernel a.img", variables()).unwrap();
    interpreter.resume(Ok(Answer::Image(1)));
    let step = interpreter.step().unwrap();
    assert_eq!(interpreter.step().unwrap(), step, "a question stands until it is answered");
    interpreter.resume(Ok(Answer::Script(Vec::new())));
    assert!(matches!(interpreter.step(), Err(ScriptError::Failed { line: 2, .. })));
}
