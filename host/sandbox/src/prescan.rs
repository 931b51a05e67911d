//! A look at every function of a component before anything is compiled.
//!
//! A compiler's time is not linear in its input: 15 KB of nested loops over many locals keep the register allocator busy
//! for minutes. What is refused here is far beyond what compilers of real languages write.

use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// Largest component. An engine for JavaScript or Python with its program is 12 to 20 MB.
pub(crate) const MAX_BYTES: usize = 32 << 20;

/// Most functions in one component: each costs memory in the compiler, however small. The largest known have 20,000.
const MAX_FUNCTIONS: u64 = 50_000;

/// Largest body of one function.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Most locals of one function; the format's own limit is the same.
const MAX_LOCALS: u64 = 50_000;

/// Largest product of a function's locals with the depth of its blocks. A loop counts as [`LOOP_WEIGHT`] blocks, for each
/// carries all locals around. The worst function within this takes the compiler about four seconds.
const MAX_COMPLEXITY: u64 = 4_000_000;

/// How many blocks a loop counts for.
const LOOP_WEIGHT: u64 = 100;

/// Most nesting of modules and components within components.
const MAX_NESTING: usize = 16;

/// Why a component is not fit to be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Excess {
    /// Too many bytes.
    #[error("it has {found} bytes, more than {MAX_BYTES}")]
    Bytes {
        /// How many.
        found: usize,
    },
    /// Too many functions.
    #[error("it has more than {MAX_FUNCTIONS} functions")]
    Functions,
    /// A function is too long.
    #[error("function {function} has {found} bytes, more than {MAX_BODY_BYTES}")]
    Body {
        /// Number of the function in the order of the file.
        function: u64,
        /// How many bytes.
        found: usize,
    },
    /// A function has too many locals.
    #[error("function {function} has {found} locals, more than {MAX_LOCALS}")]
    Locals {
        /// Number of the function in the order of the file.
        function: u64,
        /// How many locals.
        found: u64,
    },
    /// A function would keep the compiler busy for too long.
    #[error(
        "function {function} nests blocks too deeply for its {locals} locals: {found} is more than {MAX_COMPLEXITY}"
    )]
    Complexity {
        /// Number of the function in the order of the file.
        function: u64,
        /// How many locals.
        locals: u64,
        /// Locals times weighted depth.
        found: u64,
    },
    /// Components within components within components.
    #[error("it nests modules and components deeper than {MAX_NESTING}")]
    Nesting,
}

/// Counts while the parts of a component go by.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    functions: u64,
}

/// What a look at one part can end with.
pub(crate) enum ScanError {
    Excess(Excess),
    Malformed(BinaryReaderError),
}

impl From<BinaryReaderError> for ScanError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

impl Scan {
    /// Looks at the nesting of modules and components.
    pub(crate) fn nesting(depth: usize) -> Result<(), ScanError> {
        if depth > MAX_NESTING { Err(ScanError::Excess(Excess::Nesting)) } else { Ok(()) }
    }

    /// Looks at one function.
    pub(crate) fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), ScanError> {
        let function = self.functions;
        self.functions += 1;
        if self.functions > MAX_FUNCTIONS {
            return Err(ScanError::Excess(Excess::Functions));
        }
        let found = body.as_bytes().len();
        if found > MAX_BODY_BYTES {
            return Err(ScanError::Excess(Excess::Body { function, found }));
        }
        let mut locals = 0_u64;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
        }
        if locals > MAX_LOCALS {
            return Err(ScanError::Excess(Excess::Locals { function, found: locals }));
        }
        // Parameters are locals too, but there are at most a thousand and their number stands elsewhere.
        let found = (locals + 1).saturating_mul(deepest(body)?);
        if found > MAX_COMPLEXITY {
            return Err(ScanError::Excess(Excess::Complexity { function, locals, found }));
        }
        Ok(())
    }
}

/// The greatest weighted depth of a function's blocks.
fn deepest(body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
    let (mut open, mut depth, mut deepest) = (Vec::new(), 0_u64, 0_u64);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let weight = match operators.read()? {
            Operator::Loop { .. } => LOOP_WEIGHT,
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => 1,
            Operator::End => {
                // The last one ends the function itself.
                depth -= open.pop().unwrap_or(0);
                continue;
            }
            _ => continue,
        };
        open.push(weight);
        depth += weight;
        deepest = deepest.max(depth);
    }
    Ok(deepest)
}
