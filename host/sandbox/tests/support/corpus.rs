//! The corpus of bad components: what each is told, word by word, in `tests/guests/expected`.
//!
//! A case without a file fails its own test, a file without a case fails [`the_corpus_has_a_file_for_each_case_and_no_other`],
//! and a case that no test looks at is a warning of the compiler. `FORMWORK_GOLDEN=write` writes the files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

macro_rules! corpus {
    ($($case:ident = $name:literal,)*) => {
        /// One bad component, or one way in which a component misbehaves.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Bad {
            $(#[doc = $name] $case,)*
        }

        impl Bad {
            /// The names of all.
            const NAMES: &[&str] = &[$($name,)*];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)*
                }
            }
        }
    };
}

corpus! {
    // Told from the bytes.
    NotWasm = "not-wasm",
    Empty = "empty",
    CoreModule = "core-module",
    Truncated = "truncated",
    ManyBytes = "many-bytes",
    ManyTypes = "many-types",
    ManyFunctions = "many-functions",
    ManyLocals = "many-locals",
    GiantFunction = "giant-function",
    DeepNesting = "deep-nesting",
    DeepBlocks = "deep-blocks",
    DeepLoops = "deep-loops",
    CompileBomb = "compile-bomb",
    DebugInfoOnly = "debug-info-only",
    MuchDebugInfo = "much-debug-info",
    WrongWorld = "wrong-world",
    SeveralWorlds = "several-worlds",
    WrongTrack = "wrong-track",
    WrongTrackOfImport = "wrong-track-of-import",
    MissingFunction = "missing-function",
    OtherArguments = "other-arguments",
    OtherType = "other-type",
    MissingField = "missing-field",
    OtherField = "other-field",
    ExtraField = "extra-field",
    OtherResult = "other-result",
    OtherCase = "other-case",
    CasesInOtherOrder = "cases-in-other-order",
    ExtraPayload = "extra-payload",
    NoResult = "no-result",
    HugeType = "huge-type",
    UnknownImport = "unknown-import",
    ImportWithUnknownFunction = "import-with-unknown-function",
    ImportWithOtherArguments = "import-with-other-arguments",
    ImportWithOtherType = "import-with-other-type",
    ImportNotForWorkflow = "import-not-for-workflow",
    ImportNotForPlugin = "import-not-for-plugin",
    // Told by the compiler.
    BrokenFunction = "broken-function",
    // Told at the call.
    UnaskedImport = "unasked-import",
    WrongKind = "wrong-kind",
    InfiniteLoop = "infinite-loop",
    InfiniteStart = "infinite-start",
    InfiniteWait = "infinite-wait",
    MemoryBomb = "memory-bomb",
    LargeMemory = "large-memory",
    TableBomb = "table-bomb",
    LargeTable = "large-table",
    ManyInstances = "many-instances",
    ManyMemories = "many-memories",
    HandleLeak = "handle-leak",
    LogFlood = "log-flood",
    HostCallFlood = "host-call-flood",
    HugeResult = "huge-result",
    HugeArgument = "huge-argument",
    EndlessPlan = "endless-plan",
    StackOverflow = "stack-overflow",
    Panic = "panic",
    TrapInDestructor = "trap-in-destructor",
    Reentrancy = "reentrancy",
    TooLongText = "too-long-text",
    TextBeyondMemory = "text-beyond-memory",
    TextWithoutMeaning = "text-without-meaning",
    AnswerWithoutMeaning = "answer-without-meaning",
    CallFlood = "call-flood",
}

impl Bad {
    /// Compares the whole of what is told with what stands in the file.
    pub(crate) fn is_told(self, words: &impl ToString) {
        let words = words.to_string();
        let path = folder().join(self.name()).with_extension("txt");
        if std::env::var_os("FORMWORK_GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&path, format!("{words}\n")).unwrap();
        }
        let expected =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(format!("{words}\n"), expected, "{}", path.display());
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/expected")
}

#[test]
fn the_corpus_has_a_file_for_each_case_and_no_other() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let cases: BTreeSet<String> = Bad::NAMES.iter().map(|name| format!("{name}.txt")).collect();
    assert_eq!(files, cases);
    assert_eq!(cases.len(), Bad::NAMES.len(), "a name is there twice");
}
