//! The flags of the filter, as the program jq has them.

use std::{ffi::OsString, fs, path::PathBuf};

use jaq_json::{Map, Val, read};

use super::JqError;

/// What `--help` says.
pub(super) const HELP: &str = "\
Filters JSON with the language of the program jq

Usage: formwork jq [FLAGS] FILTER [FILE...]

  -n, --null-input          Run the filter once on null; `input` and `inputs` read
  -R, --raw-input           Each line is a text
  -s, --slurp               All inputs are one list; with -R one text
  -r, --raw-output          Write texts as they are
  -j, --join-output         The same, without line ends
      --raw-output0         The same, with a zero byte behind each
  -a, --ascii-output        Escape what is not ASCII
  -c, --compact-output      One line for each result
  -S, --sort-keys           Members in the order of their names
  -C, --color-output        Colours always; JQ_COLORS says which
  -M, --monochrome-output   Colours never
      --tab                 Indent by tabs
      --indent N            Indent by N spaces, at most 8
      --seq                 Write a record separator before each result
      --unbuffered          Write each result at once, as is done anyway
  -e, --exit-status         End with 1 when the last result is false or null, with 4 when there is none
  -f, --from-file FILE      The filter is in a file
      --arg NAME TEXT       $NAME is a text
      --argjson NAME JSON   $NAME is a value
      --slurpfile NAME FILE $NAME is the list of values in a file
      --rawfile NAME FILE   $NAME is the text of a file
      --args                What follows are texts for $ARGS.positional
      --jsonargs            What follows are values for $ARGS.positional

Ends with 2 for arguments or input that make no sense, with 3 for a filter that is none, with 5 when it failed.
";

/// The widest indentation.
const MAX_INDENT: usize = 8;

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Asked {
    /// Filters.
    Filter(Box<Options>),
    /// Tells the flags.
    Help,
    /// Tells the version.
    Version,
}

/// How to filter.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) filter: String,
    pub(super) files: Vec<PathBuf>,
    /// Global variables with their dollar, `$ARGS` and `$ENV` among them.
    pub(super) variables: Vec<(String, Val)>,
    pub(super) null_input: bool,
    pub(super) raw_input: bool,
    pub(super) slurp: bool,
    pub(super) raw: bool,
    pub(super) ascii: bool,
    pub(super) sort_keys: bool,
    pub(super) sequence: bool,
    pub(super) exit_status: bool,
    /// What stands behind each result.
    pub(super) end: &'static [u8],
    /// Nothing for one line.
    pub(super) indent: Option<String>,
    /// Nothing for where somebody sees them.
    pub(super) color: Option<bool>,
}

/// What words without a dash are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Files,
    Texts,
    Values,
}

/// What was read so far.
struct Reader<'a> {
    rest: std::slice::Iter<'a, OsString>,
    options: Options,
    filter: Option<String>,
    from_file: bool,
    words: Words,
    named: Map,
    positional: Vec<Val>,
    told: Option<Asked>,
}

/// Reads the arguments.
pub(super) fn parse(words: &[OsString]) -> Result<Asked, JqError> {
    let mut reader = Reader {
        rest: words.iter(),
        options: Options {
            filter: String::new(),
            files: Vec::new(),
            variables: Vec::new(),
            null_input: false,
            raw_input: false,
            slurp: false,
            raw: false,
            ascii: false,
            sort_keys: false,
            sequence: false,
            exit_status: false,
            end: b"\n",
            indent: Some(String::from("  ")),
            color: None,
        },
        filter: None,
        from_file: false,
        words: Words::Files,
        named: Map::default(),
        positional: Vec::new(),
        told: None,
    };
    let mut flags = true;
    while let Some(word) = reader.rest.next() {
        let text = word.to_string_lossy();
        match text.as_ref() {
            "--" if flags => flags = false,
            long if flags && long.starts_with("--") => reader.long(&long[2..])?,
            short if flags && short.len() > 1 && short.starts_with('-') => {
                short.chars().skip(1).try_for_each(|letter| reader.short(letter))?;
            }
            _ => reader.word(word)?,
        }
        if let Some(told) = reader.told.take() {
            return Ok(told);
        }
    }
    reader.finish()
}

impl Reader<'_> {
    fn short(&mut self, letter: char) -> Result<(), JqError> {
        let long = match letter {
            'n' => "null-input",
            'R' => "raw-input",
            's' => "slurp",
            'r' => "raw-output",
            'j' => "join-output",
            'a' => "ascii-output",
            'c' => "compact-output",
            'S' => "sort-keys",
            'C' => "color-output",
            'M' => "monochrome-output",
            'e' => "exit-status",
            'f' => "from-file",
            'h' => "help",
            'V' => "version",
            letter => return Err(JqError::Usage(format!("there is no flag `-{letter}`"))),
        };
        self.long(long)
    }

    fn long(&mut self, flag: &str) -> Result<(), JqError> {
        let options = &mut self.options;
        match flag {
            "null-input" => options.null_input = true,
            "raw-input" => options.raw_input = true,
            "slurp" => options.slurp = true,
            "raw-output" => options.raw = true,
            "join-output" => (options.raw, options.end) = (true, b""),
            "raw-output0" => (options.raw, options.end) = (true, b"\0"),
            "ascii-output" => options.ascii = true,
            "compact-output" => options.indent = None,
            "sort-keys" => options.sort_keys = true,
            "color-output" => options.color = Some(true),
            "monochrome-output" => options.color = Some(false),
            "tab" => options.indent = Some(String::from("\t")),
            "indent" => {
                let width = self.value(flag)?;
                let width = width.parse().ok().filter(|width| *width <= MAX_INDENT);
                let width = width.ok_or_else(|| JqError::Usage(format!("--indent is 0 to {MAX_INDENT}")))?;
                self.options.indent = (width > 0).then(|| " ".repeat(width));
            }
            "seq" => options.sequence = true,
            "unbuffered" => {}
            "exit-status" => options.exit_status = true,
            "from-file" => self.from_file = true,
            "arg" | "argjson" | "slurpfile" | "rawfile" => self.variable(flag)?,
            "args" => self.words = Words::Texts,
            "jsonargs" => self.words = Words::Values,
            "help" => self.told = Some(Asked::Help),
            "version" => self.told = Some(Asked::Version),
            flag => return Err(JqError::Usage(format!("there is no flag `--{flag}`"))),
        }
        Ok(())
    }

    fn value(&mut self, flag: &str) -> Result<String, JqError> {
        let value = self.rest.next().map(|value| value.to_string_lossy().into_owned());
        value.ok_or_else(|| JqError::Usage(format!("--{flag} has no value")))
    }

    /// Reads `--arg NAME VALUE` and its kin. The first of one name wins.
    fn variable(&mut self, flag: &str) -> Result<(), JqError> {
        let (name, value) = (self.value(flag)?, self.value(flag)?);
        let value = match flag {
            "arg" => Val::utf8_str(value),
            "argjson" => json(&value)?,
            "rawfile" => Val::utf8_str(file(&value)?),
            _ => {
                let bytes = file(&value)?;
                let values = super::inputs::values(&bytes[..]).collect::<Result<Vec<Val>, String>>();
                let values = values.map_err(|error| JqError::Usage(format!("`{value}`: {error}")))?;
                values.into_iter().collect()
            }
        };
        self.named.entry(Val::utf8_str(name.clone())).or_insert_with(|| value.clone());
        let name = format!("${name}");
        if !self.options.variables.iter().any(|(known, _)| *known == name) {
            self.options.variables.push((name, value));
        }
        Ok(())
    }

    fn word(&mut self, word: &OsString) -> Result<(), JqError> {
        let text = || word.to_string_lossy().into_owned();
        if self.filter.is_none() {
            self.filter = Some(text());
            return Ok(());
        }
        match self.words {
            Words::Files => self.options.files.push(word.into()),
            Words::Texts => self.positional.push(Val::utf8_str(text())),
            Words::Values => self.positional.push(json(&text())?),
        }
        Ok(())
    }

    fn finish(self) -> Result<Asked, JqError> {
        let mut options = self.options;
        options.filter = match (self.filter, self.from_file) {
            (Some(path), true) => String::from_utf8_lossy(&file(&path)?).into_owned(),
            (Some(filter), false) => filter,
            (None, _) => return Err(JqError::Usage(String::from("the filter is missing"))),
        };
        let mut arguments = Map::default();
        arguments.insert(key("positional"), self.positional.into_iter().collect());
        arguments.insert(key("named"), Val::obj(self.named));
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((Val::utf8_str(name.into_string().ok()?), Val::utf8_str(value.into_string().ok()?)))
        });
        let known = [("$ARGS", Val::obj(arguments)), ("$ENV", Val::obj(environment.collect()))];
        options.variables.extend(known.map(|(name, value)| (name.to_owned(), value)));
        Ok(Asked::Filter(Box::new(options)))
    }
}

fn key(name: &str) -> Val {
    Val::utf8_str(name.to_owned())
}

fn json(text: &str) -> Result<Val, JqError> {
    let checked = super::inputs::is_shallow(text.as_bytes());
    let read = checked.and_then(|()| read::parse_single(text.as_bytes()).map_err(|error| error.to_string()));
    read.map_err(|error| JqError::Usage(format!("`{text}` is no JSON: {error}")))
}

fn file(path: &str) -> Result<Vec<u8>, JqError> {
    fs::read(path).map_err(|error| JqError::Usage(format!("failed to read `{path}`: {error}")))
}
