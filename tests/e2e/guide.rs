//! The authors' guide, `content/README.md`, as its reader follows it: each command in order, in one shell, in a fresh folder.
//!
//! What counts is in blocks that are fenced as `console`:
//!
//! - A line that begins with `$ ` is a command. It goes on while its lines end with a backslash, and behind `<<'EOF'` up to the
//!   line `EOF`.
//! - The lines below it are what it prints, standard output and error as on a terminal, and all of it. `…` stands for any
//!   characters within a line, and by itself on a line for any number of lines.
//! - A command that prints a line that begins with `Error: ` must fail; every other must succeed.
//! - A command that ends in ` &` stays in the background; the next one comes when the lines below it are printed.
//!
//! The tables of limits and grants are compared with what the sandbox has.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Read, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use formwork_model::ComponentRecord;
use formwork_sandbox::{Grants, LimitName, Limits};
use tempfile::TempDir;

use crate::endpoint::program;

/// The longest that one command may take: the first build of a component compiles what it depends on.
const LONGEST: Duration = Duration::from_secs(300);

/// What the shell prints after each command, with its status and the last process in the background.
const MARK: &str = "guide-command-ended";

/// One command of the guide.
#[derive(Debug)]
struct Step {
    /// The number of its line in the guide.
    line: usize,
    command: String,
    /// What it prints.
    printed: Vec<String>,
}

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/README.md");
    std::fs::read_to_string(path).unwrap()
}

/// Returns the commands of a guide.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::<Step>::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, _)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let mut first = true;
        while let Some((line, number)) = lines.next().filter(|(line, _)| *line != "```") {
            let Some(command) = line.strip_prefix("$ ") else {
                assert!(!first, "line {number}: the block begins with no command");
                steps.last_mut().unwrap().printed.push(line.trim_end().to_owned());
                continue;
            };
            first = false;
            let here = command.contains("<<'EOF'");
            let mut command = command.to_owned();
            while if here { !command.ends_with("\nEOF") } else { command.ends_with('\\') } {
                let (more, _) = lines.next().unwrap();
                command = format!("{command}\n{more}");
            }
            steps.push(Step { line: number, command, printed: Vec::new() });
        }
    }
    steps
}

/// Whether a line is as the guide has it.
fn line_fits(pattern: &str, line: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return pattern == line };
    let Some(line) = line.strip_prefix(first) else { return false };
    (0..=line.len()).any(|at| line.is_char_boundary(at) && line_fits(rest, &line[at..]))
}

/// Whether lines are as the guide has them; with `more` there may be some after them.
fn fits(patterns: &[String], lines: &[String], more: bool) -> bool {
    match patterns.split_first() {
        None => more || lines.is_empty(),
        Some((pattern, rest)) if pattern.trim() == "…" => {
            (0..=lines.len()).any(|at| fits(rest, &lines[at..], more))
        }
        Some((pattern, rest)) => lines
            .split_first()
            .is_some_and(|(line, others)| line_fits(pattern, line) && fits(rest, others, more)),
    }
}

/// Sends each line that comes from somewhere.
fn lines_of(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // The rest is read although nobody waits for it: whoever writes must not stand still.
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    });
    receiver
}

/// The shell of a reader.
struct Shell {
    process: Child,
    lines: Receiver<String>,
    /// For pipes of commands in the background.
    pipes: TempDir,
    /// The process in the background.
    background: Option<String>,
}

impl Shell {
    fn open(folder: &Path) -> Self {
        let formwork = Path::new(env!("CARGO_BIN_EXE_formwork"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RS_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        let mut process = command
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", formwork.parent().unwrap().display()))
            .env("XDG_CACHE_HOME", formwork.ancestors().nth(2).unwrap().join("author-cache"))
            .env("LC_ALL", "C.UTF-8")
            .env("RS_API_PORT", port.to_string())
            .env("RS_ENDPOINT", format!("https://127.0.0.1:{port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.as_mut().unwrap().write_all(b"exec 2>&1\n").unwrap();
        let lines = lines_of(process.stdout.take().unwrap());
        Self { process, lines, pipes: tempfile::tempdir().unwrap(), background: None }
    }

    /// Runs a command as a reader would.
    fn follow(&mut self, step: &Step) {
        let Step { line, command, printed } = step;
        let (found, succeeded) = match command.strip_suffix(" &") {
            Some(command) => (self.run_in_background(command, printed), true),
            None => self.run(command),
        };
        let shown = found.join("\n");
        assert!(
            fits(printed, &found, command.ends_with(" &")),
            "line {line}: {command}\nthe guide has:\n{}\nit prints:\n{shown}",
            printed.join("\n")
        );
        let fails = printed.iter().any(|line| line.starts_with("Error: "));
        assert_eq!(succeeded, !fails, "line {line}: {command}\n{shown}");
    }

    /// Runs a command to its end; returns what it printed and whether it succeeded.
    fn run(&mut self, command: &str) -> (Vec<String>, bool) {
        // What the command reads must not be what the shell is told next.
        let line = format!("{{ {command}\n}} </dev/null\nprintf '\\n%s %s %s\\n' {MARK} \"$?\" \"$!\"\n");
        self.process.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let mut found = Vec::new();
        loop {
            let line = self.lines.recv_timeout(LONGEST);
            let line = line.unwrap_or_else(|_| panic!("{command}: no end after\n{}", found.join("\n")));
            let Some(ended) = line.strip_prefix(MARK) else {
                found.push(line);
                continue;
            };
            // The mark begins a line of its own, whatever was printed before.
            let empty = found.pop();
            found.extend(empty.filter(|line| !line.is_empty()));
            let mut ended = ended.split_whitespace();
            let succeeded = ended.next() == Some("0");
            self.background = ended.next().map(str::to_owned);
            return (found, succeeded);
        }
    }

    /// Starts a command and returns what it printed once that is as expected.
    fn run_in_background(&mut self, command: &str, expected: &[String]) -> Vec<String> {
        let pipe = self.pipes.path().join("output");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let shown = pipe.display().to_string();
        let (sender, opened) = channel();
        // Opening waits for the other end.
        thread::spawn(move || sender.send(File::open(pipe)));
        self.run(&format!("{command} >{shown} 2>&1 &"));
        let lines = lines_of(opened.recv_timeout(LONGEST).unwrap().unwrap());
        let mut found = Vec::new();
        while !fits(expected, &found, true) {
            match lines.recv_timeout(LONGEST) {
                Ok(line) => found.push(line),
                Err(_) => return found,
            }
        }
        found
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(process) = &self.background {
            // It has ended already when the guide was followed to its end.
            let _ = Command::new("kill").arg(process).stderr(Stdio::null()).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn guide_is_followed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Shell::open(folder.path());
    for step in steps(&guide()) {
        shell.follow(&step);
    }
}

#[test]
fn guide_shows_every_command_for_authors() {
    let commands: Vec<String> = steps(&guide()).into_iter().map(|step| step.command).collect();
    for group in ["pack", "component"] {
        let help = program().args([group, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let verbs: BTreeSet<&str> = list
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_whitespace().next())
            .filter(|verb| *verb != "help")
            .collect();
        assert!(verbs.len() > 1, "{help}");
        for verb in verbs {
            let command = format!("formwork {group} {verb}");
            assert!(commands.iter().any(|known| known.contains(&command)), "the guide has no `{command}`");
        }
    }
}

/// Returns the cells of the rows of all tables, without their marks of code.
fn rows(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    rows.map(|row| row.trim_matches('|').split('|').map(cell).collect()).collect()
}

#[test]
fn guide_has_every_limit_with_its_default_and_its_cap() {
    let rows = rows(&guide());
    let number = |cell: &String| cell.replace(',', "").parse::<u64>().unwrap();
    for name in ComponentRecord::LIMITS {
        let row = rows.iter().find(|row| row[0] == *name).unwrap_or_else(|| panic!("no limit `{name}`"));
        let limit = LimitName::ALL.into_iter().find(|limit| limit.as_str() == *name).unwrap();
        let expected = (Limits::default().value(limit), Limits::site().value(limit));
        assert_eq!((number(&row[1]), number(&row[2])), expected, "{name}");
    }
}

#[test]
fn every_grant_of_the_guide_is_understood() {
    let rows = rows(&guide());
    let table = rows.iter().skip_while(|row| row[0] != "grant").skip(2);
    let grants: Vec<&String> = table.take_while(|row| row.len() == 3).map(|row| &row[0]).collect();
    assert!(grants.len() >= 10, "{grants:?}");
    for grant in grants {
        assert_eq!(Grants::parse([grant]).unwrap().lines().join("\n"), *grant);
    }
}

#[test]
fn wildcards_stand_for_characters_and_for_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(line_fits("a … c", "a b c") && line_fits("…c…", "abcd") && !line_fits("a…c", "ab"));
    assert!(fits(&lines("a\n…\nd"), &lines("a\nb\nc\nd"), false));
    assert!(fits(&lines("…\nb"), &lines("b"), false));
    assert!(!fits(&lines("a"), &lines("a\nb"), false) && fits(&lines("a"), &lines("a\nb"), true));
    assert!(!fits(&lines("a\n…\nd"), &lines("a\nb"), true));
}

#[test]
fn commands_go_on_over_lines_and_have_what_they_print() {
    let text =
        "words\n```console\n$ cat > a <<'EOF'\n$ no command\nEOF\n$ b \\\n  c\nprinted\n```\n$ no command\n";
    let steps = steps(text);
    let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
    assert_eq!(commands, ["cat > a <<'EOF'\n$ no command\nEOF", "b \\\n  c"]);
    assert_eq!((steps[1].line, &steps[1].printed), (6, &vec![String::from("printed")]));
}
