//! As much of the iPXE script language as boot files use: commands joined by `||` and `&&`, labels and `goto`, settings
//! in `${...}`, and the commands that load and start things.

use std::{collections::BTreeMap, future::Future, pin::Pin};

/// How deep scripts may chain each other.
const MAX_DEPTH: usize = 8;

/// How many lines are run before a script is taken for an endless loop.
const MAX_LINES: usize = 10_000;

/// Most bytes of a script.
pub(super) const MAX_SCRIPT: usize = 256 << 10;

/// Loads files for a script.
pub(super) trait Loader {
    /// Returns a file, or `None` when it cannot be had.
    fn load<'a>(&'a mut self, url: &'a str) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>>;

    /// Shows a line to whoever watches.
    fn say(&mut self, line: &str);
}

/// What a script came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A kernel starts.
    Boot(Kernel),
    /// The script ended by itself or by `exit`; true for success.
    Exit(bool),
    /// The machine boots another device.
    Other(String),
}

/// A kernel that is ready to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Where it came from.
    pub(super) url: String,
    /// Its command line.
    pub(super) command_line: String,
    /// Where its initial RAM disks came from.
    pub(super) initrds: Vec<String>,
}

/// Runs scripts for one machine.
pub(super) struct Interpreter<L> {
    settings: BTreeMap<String, String>,
    loader: L,
    kernel: Option<Kernel>,
    lines: usize,
}

/// What one command came to.
enum Step {
    /// The next command; true for success.
    Next(bool),
    /// The line with a label.
    Goto(String),
    /// The script ends; true for success.
    Exit(bool),
    /// All scripts end.
    End(Ending),
}

impl<L: Loader + Send> Interpreter<L> {
    /// Starts with the settings of a machine, such as `mac` and `ip`; each is also known below `net0/` and `netX/`.
    pub(super) fn new(settings: BTreeMap<String, String>, loader: L) -> Self {
        Self { settings, loader, kernel: None, lines: 0 }
    }

    /// Loads a script and runs it.
    pub(super) async fn run(&mut self, url: &str) -> Ending {
        match self.chain(url, 0).await {
            Step::End(ending) => ending,
            Step::Next(success) | Step::Exit(success) => Ending::Exit(success),
            Step::Goto(_) => Ending::Exit(false),
        }
    }

    /// Loads something and starts it: a script is run, anything else would be a boot loader.
    fn chain<'a>(
        &'a mut self,
        url: &'a str,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Step> + Send + 'a>> {
        Box::pin(async move {
            if depth >= MAX_DEPTH {
                self.loader.say("scripts chain each other too deep");
                return Step::Next(false);
            }
            let Some(bytes) = self.loader.load(url).await else { return Step::Next(false) };
            if !bytes.starts_with(b"#!ipxe") || bytes.len() > MAX_SCRIPT {
                return Step::End(Ending::Other(format!("the boot loader `{url}`")));
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.script(url, &text, depth).await
        })
    }

    async fn script(&mut self, base: &str, text: &str, depth: usize) -> Step {
        let lines = logical_lines(text);
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            self.lines += 1;
            if self.lines > MAX_LINES {
                self.loader.say("the script never ends");
                return Step::Next(false);
            }
            match self.line(base, line, depth).await {
                Step::Next(true) => at += 1,
                Step::Next(false) => return Step::Next(false),
                Step::Exit(success) => return Step::Next(success),
                Step::Goto(label) => match lines.iter().position(|line| is_label(line, &label)) {
                    Some(found) => at = found,
                    None => {
                        self.loader.say(&format!("there is no label `{label}`"));
                        return Step::Next(false);
                    }
                },
                end @ Step::End(_) => return end,
            }
        }
        Step::Next(true)
    }

    /// Runs the commands of a line: what stands behind `||` runs after a failure, behind `&&` after a success.
    async fn line(&mut self, base: &str, line: &str, depth: usize) -> Step {
        let mut success = true;
        for (condition, command) in commands(line) {
            let runs = match condition {
                Condition::Always => true,
                Condition::Success => success,
                Condition::Failure => !success,
            };
            if !runs {
                continue;
            }
            let words = self.words(&command);
            match self.command(base, &words, depth).await {
                Step::Next(result) => success = result,
                other => return other,
            }
        }
        Step::Next(success)
    }

    async fn command(&mut self, base: &str, words: &[String], depth: usize) -> Step {
        let Some((command, arguments)) = words.split_first() else { return Step::Next(true) };
        let words = positional(arguments);
        let first = words.first().map(|word| word.as_str()).unwrap_or_default();
        match command.as_str() {
            label if label.starts_with([':', '#']) => Step::Next(true),
            "echo" => {
                self.loader.say(&arguments.join(" "));
                Step::Next(true)
            }
            "goto" => Step::Goto(first.to_owned()),
            "exit" => Step::Exit(matches!(first, "" | "0")),
            "chain" | "imgexec" if !first.is_empty() => {
                let url = absolute(base, first);
                self.chain(&url, depth + 1).await
            }
            "kernel" | "imgselect" if !first.is_empty() => self.load_kernel(base, &words).await,
            "initrd" | "imgfetch" | "module" if !first.is_empty() => self.load_initrd(base, first).await,
            "boot" | "imgexec" => match self.kernel.take() {
                Some(kernel) => Step::End(Ending::Boot(kernel)),
                None => Step::Next(false),
            },
            "set" => {
                let value = words.get(1..).unwrap_or_default().iter().map(|word| word.as_str());
                self.settings.insert(first.to_owned(), value.collect::<Vec<_>>().join(" "));
                Step::Next(true)
            }
            "clear" => {
                self.settings.remove(first);
                Step::Next(true)
            }
            "isset" => Step::Next(!first.is_empty()),
            "iseq" => Step::Next(words.first() == words.get(1)),
            "sanboot" => Step::End(Ending::Other(format!("the disk `{}`", words_of(&words)))),
            "reboot" | "poweroff" => Step::End(Ending::Other(format!("`{command}`"))),
            // The network is up, nobody sits at the console, and time is saved.
            "dhcp" | "ifopen" | "ifclose" | "ifstat" | "imgfree" | "imgstat" | "sleep" | "route" | "sync"
            | "colour" | "cpair" | "console" => Step::Next(true),
            unknown => {
                self.loader.say(&format!("command `{unknown}` fails"));
                Step::Next(false)
            }
        }
    }

    async fn load_kernel(&mut self, base: &str, words: &[&String]) -> Step {
        let Some((name, arguments)) = words.split_first() else { return Step::Next(false) };
        let url = absolute(base, name);
        if self.loader.load(&url).await.is_none() {
            return Step::Next(false);
        }
        let initrds = self.kernel.take().map(|kernel| kernel.initrds).unwrap_or_default();
        self.kernel = Some(Kernel { url, command_line: words_of(arguments), initrds });
        Step::Next(true)
    }

    async fn load_initrd(&mut self, base: &str, name: &str) -> Step {
        let url = absolute(base, name);
        if self.loader.load(&url).await.is_none() {
            return Step::Next(false);
        }
        self.kernel.get_or_insert_default().initrds.push(url);
        Step::Next(true)
    }

    /// Splits a command into words after its settings were put in.
    fn words(&self, command: &str) -> Vec<String> {
        self.expanded(command).split_whitespace().map(str::to_owned).collect()
    }

    /// Puts the values of settings in, innermost first; one that is not set is empty.
    fn expanded(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Each round removes one setting; a value that holds another one cannot go on for ever.
        for _ in 0..64 {
            let Some(start) = text.rfind("${") else { break };
            let Some(length) = text.get(start..).and_then(|rest| rest.find('}')) else { break };
            let name = text.get(start + 2..start + length).unwrap_or_default();
            let value = self.setting(name);
            text.replace_range(start..=start + length, &value);
        }
        text
    }

    /// Returns a setting: `net0/mac:hexhyp` is `mac` with hyphens.
    fn setting(&self, name: &str) -> String {
        let (name, form) = name.split_once(':').unwrap_or((name, ""));
        let plain = ["netX/", "net0/", "net0.dhcp/", "netX.dhcp/"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        let value = self.settings.get(name).or_else(|| self.settings.get(plain)).cloned().unwrap_or_default();
        match form {
            "hexhyp" => value.replace(':', "-"),
            "hexraw" => value.replace([':', '-'], ""),
            _ => value,
        }
    }
}

/// When a command of a line runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    Success,
    Failure,
}

/// Joins lines that end with a backslash with the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        match line.trim_end().strip_suffix('\\') {
            Some(part) => open.push_str(part),
            None => {
                open.push_str(line);
                lines.push(std::mem::take(&mut open).trim().to_owned());
            }
        }
    }
    lines.push(open.trim().to_owned());
    lines
}

/// Splits a line into its commands. The separators are words of their own.
fn commands(line: &str) -> Vec<(Condition, String)> {
    let mut found = Vec::new();
    let mut condition = Condition::Always;
    let mut command: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let next = match word {
            "||" => Condition::Failure,
            "&&" => Condition::Success,
            _ => {
                command.push(word);
                continue;
            }
        };
        found.push((condition, std::mem::take(&mut command).join(" ")));
        condition = next;
    }
    found.push((condition, command.join(" ")));
    found
}

fn is_label(line: &str, label: &str) -> bool {
    line.strip_prefix(':').is_some_and(|name| name.trim() == label)
}

/// Options of iPXE's commands that take a value.
const VALUED: &[&str] = &["--name", "-n", "--timeout", "-t"];

/// Leaves out the options before the first argument, with their values. What comes after it is a kernel's.
fn positional(arguments: &[String]) -> Vec<&String> {
    let mut rest = arguments.iter().peekable();
    while let Some(option) = rest.next_if(|word| word.starts_with('-')) {
        if VALUED.contains(&option.as_str()) {
            rest.next();
        }
    }
    rest.collect()
}

fn words_of(words: &[&String]) -> String {
    words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Returns the URL that a name means in a script that came from `base`.
fn absolute(base: &str, name: &str) -> String {
    if name.contains("://") {
        return name.to_owned();
    }
    let host = base.find("://").map_or(0, |at| at + 3);
    let path = base.get(host..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| host + at);
    if name.starts_with('/') {
        return format!("{}{name}", base.get(..path).unwrap_or_default());
    }
    let folder = base.rfind('/').filter(|at| *at >= path).unwrap_or(base.len());
    format!("{}/{name}", base.get(..folder).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Files {
        files: BTreeMap<&'static str, &'static str>,
        asked: Vec<String>,
        said: Vec<String>,
    }

    impl Loader for &mut Files {
        fn load<'a>(
            &'a mut self,
            url: &'a str,
        ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
            self.asked.push(url.to_owned());
            let found = self.files.get(url).map(|text| text.as_bytes().to_vec());
            Box::pin(std::future::ready(found))
        }

        fn say(&mut self, line: &str) {
            self.said.push(line.to_owned());
        }
    }

    async fn run(files: &mut Files) -> Ending {
        let settings = [("mac", "52:54:00:77:00:01"), ("ip", "10.0.0.50")];
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Interpreter::new(settings, files).run("http://h:1/default.ipxe").await
    }

    const DISCOVERY: &str = "#!ipxe\n\
        chain http://h:1/${netX/mac}.ipxe && exit || chain http://h:1/${netX/ip}.ipxe && exit ||\n\
        echo No file of its own\n\
        kernel http://h:1/vmlinuz initrd=initrd0 a=b BOOTIF=01-${netX/mac:hexhyp} || goto failed\n\
        initrd --name initrd0 http://h:1/initrd.img || goto failed\n\
        boot || goto failed\n\
        :failed\n\
        echo Failed\n\
        exit 1\n";

    fn files(extra: &[(&'static str, &'static str)]) -> Files {
        let mut files = Files::default();
        files.files.insert("http://h:1/default.ipxe", DISCOVERY);
        files.files.extend(extra.iter().copied());
        files
    }

    #[tokio::test]
    async fn unknown_machine_boots_the_discovery_system() {
        let mut files = files(&[("http://h:1/vmlinuz", "k"), ("http://h:1/initrd.img", "i")]);
        let kernel = Kernel {
            url: "http://h:1/vmlinuz".into(),
            command_line: "initrd=initrd0 a=b BOOTIF=01-52-54-00-77-00-01".into(),
            initrds: vec!["http://h:1/initrd.img".into()],
        };
        assert_eq!(run(&mut files).await, Ending::Boot(kernel));
        assert_eq!(
            files.asked[1..3],
            ["http://h:1/52:54:00:77:00:01.ipxe".to_owned(), "http://h:1/10.0.0.50.ipxe".to_owned()]
        );
        assert_eq!(files.said, ["No file of its own"]);
    }

    #[tokio::test]
    async fn known_machine_runs_its_own_file_and_comes_back_to_the_firmware() {
        let mut files = files(&[("http://h:1/52:54:00:77:00:01.ipxe", "#!ipxe\nexit\n")]);
        assert_eq!(run(&mut files).await, Ending::Exit(true));
        assert_eq!(files.asked.len(), 2);
    }

    #[tokio::test]
    async fn missing_kernel_goes_to_the_label() {
        let mut files = files(&[]);
        assert_eq!(run(&mut files).await, Ending::Exit(false));
        assert_eq!(files.said, ["No file of its own", "Failed"]);
    }

    #[tokio::test]
    async fn endless_scripts_end() {
        let mut files = Files::default();
        files.files.insert("http://h:1/default.ipxe", "#!ipxe\n:a\ngoto a\n");
        assert_eq!(run(&mut files).await, Ending::Exit(false));
        files.files.insert("http://h:1/default.ipxe", "#!ipxe\nchain default.ipxe\n");
        assert_eq!(run(&mut files).await, Ending::Exit(false));
    }

    #[test]
    fn names_are_taken_from_the_scripts_own_place() {
        assert_eq!(absolute("http://h:1/a/b.ipxe", "c"), "http://h:1/a/c");
        assert_eq!(absolute("http://h:1/a/b.ipxe", "/c"), "http://h:1/c");
        assert_eq!(absolute("http://h:1", "c"), "http://h:1/c");
        assert_eq!(absolute("http://h:1/a", "tftp://x/c"), "tftp://x/c");
    }

    #[tokio::test]
    async fn unknown_command_fails_and_settings_that_are_not_set_are_empty() {
        let mut files = Files::default();
        files.files.insert(
            "http://h:1/default.ipxe",
            "#!ipxe\nfrobnicate || echo a${nothing}b\nset x 1 2\necho ${x}\nisset ${nothing} || sanboot 0x80\n",
        );
        assert_eq!(run(&mut files).await, Ending::Other("the disk `0x80`".into()));
        assert_eq!(files.said, ["command `frobnicate` fails", "ab", "1 2"]);
    }
}
