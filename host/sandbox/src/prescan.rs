//! A look at every function of a component before anything is compiled.
//!
//! A compiler's time is not linear in its input: 15 KB of nested loops over many locals keep the register allocator busy
//! for minutes. What is refused here is far beyond what compilers of real languages write.

use wasmparser::{
    BinaryReaderError, ComponentType, ComponentTypeDeclaration, ComponentTypeSectionReader, CoreType,
    CoreTypeSectionReader, FunctionBody, InstanceTypeDeclaration, ModuleTypeDeclaration, Operator, RecGroup,
    TypeSectionReader,
};

/// Largest component. An engine for JavaScript or Python with its program is 12 to 20 MB.
pub(crate) const MAX_BYTES: usize = 32 << 20;

/// Most functions in one component: each costs memory in the compiler, however small. The largest known have 20,000.
const MAX_FUNCTIONS: u64 = 50_000;

/// Largest body of one function.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Most locals of one function; the format's own limit is the same.
const MAX_LOCALS: u64 = 50_000;

/// Largest product of a function's locals with the depth of its blocks. A loop counts as [`LOOP_WEIGHT`] blocks, for each
/// carries all locals around.
///
/// Of the shapes that this and the two bounds below let through, the slowest that was found (4,000 blocks over 900 locals)
/// keeps the compiler that optimises busy for about two seconds of a 2.5 GHz processor, and the other one for 0.2 s:
/// `cargo xtask bench sandbox`. Many such functions end at the limits of the child.
const MAX_COMPLEXITY: u64 = 4_000_000;

/// Most blocks of one function within each other; the time of the compiler that optimises grows with the square. Compilers
/// of real languages nest as many as a `switch` has cases, some hundred.
const MAX_DEPTH: u64 = 4_000;

/// Most loops of one function within each other. Hand-written code has ten.
const MAX_LOOP_DEPTH: u64 = 400;

/// How many blocks a loop counts for.
const LOOP_WEIGHT: u64 = 100;

/// Most types in one component, those of all modules in it and those within other types counted: the engine keeps each for
/// as long as the component is there. Python with a program has 1,500, an engine for JavaScript some hundred.
const MAX_TYPES: u64 = 20_000;

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
    /// A function nests blocks, or loops, too deeply.
    #[error(
        "function {function} nests {blocks} blocks, {loops} of them loops: more than {MAX_DEPTH} or {MAX_LOOP_DEPTH}"
    )]
    Depth {
        /// Number of the function in the order of the file.
        function: u64,
        /// Most blocks within each other.
        blocks: u64,
        /// Most loops within each other.
        loops: u64,
    },
    /// Components within components within components.
    #[error("it nests modules and components deeper than {MAX_NESTING}")]
    Nesting,
    /// Too many types.
    #[error("it has more than {MAX_TYPES} types")]
    Types,
}

/// Counts while the parts of a component go by.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    functions: u64,
    types: u64,
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

    /// Looks at the types of a core module.
    pub(crate) fn types(&mut self, types: &TypeSectionReader<'_>) -> Result<(), ScanError> {
        types.clone().into_iter().try_for_each(|group| self.count(of_group(&group?)))
    }

    /// Looks at the core types of a component.
    pub(crate) fn core_types(&mut self, types: &CoreTypeSectionReader<'_>) -> Result<(), ScanError> {
        types.clone().into_iter().try_for_each(|core| self.count(of_core(&core?)))
    }

    /// Looks at the types of a component.
    pub(crate) fn component_types(
        &mut self,
        types: &ComponentTypeSectionReader<'_>,
    ) -> Result<(), ScanError> {
        types.clone().into_iter().try_for_each(|ty| self.count(of_component(&ty?)))
    }

    /// Adds so many types to those that went by.
    fn count(&mut self, types: u64) -> Result<(), ScanError> {
        self.types = self.types.saturating_add(types);
        if self.types > MAX_TYPES { Err(ScanError::Excess(Excess::Types)) } else { Ok(()) }
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
        let deepest = Depth::of(body)?;
        let Depth { blocks, loops } = deepest;
        if blocks > MAX_DEPTH || loops > MAX_LOOP_DEPTH {
            return Err(ScanError::Excess(Excess::Depth { function, blocks, loops }));
        }
        let found = (locals + 1).saturating_mul(deepest.weight());
        if found > MAX_COMPLEXITY {
            return Err(ScanError::Excess(Excess::Complexity { function, locals, found }));
        }
        Ok(())
    }
}

/// How many types a group of a core module has. One that is empty counts too, for it is kept all the same.
fn of_group(group: &RecGroup) -> u64 {
    (group.types().len() as u64).max(1)
}

/// How many types there are in a core type, itself counted.
fn of_core(core: &CoreType<'_>) -> u64 {
    match core {
        CoreType::Rec(group) => of_group(group),
        CoreType::Module(parts) => {
            let types = parts.iter().filter_map(|part| match part {
                ModuleTypeDeclaration::Type(group) => Some(of_group(group)),
                _ => None,
            });
            1 + types.sum::<u64>()
        }
    }
}

/// How many types there are in a type, itself counted. The parser bounds how deep they are within each other.
fn of_component(ty: &ComponentType<'_>) -> u64 {
    let within = match ty {
        ComponentType::Component(parts) => parts
            .iter()
            .map(|part| match part {
                ComponentTypeDeclaration::CoreType(core) => of_core(core),
                ComponentTypeDeclaration::Type(ty) => of_component(ty),
                _ => 0,
            })
            .sum(),
        ComponentType::Instance(parts) => parts
            .iter()
            .map(|part| match part {
                InstanceTypeDeclaration::CoreType(core) => of_core(core),
                InstanceTypeDeclaration::Type(ty) => of_component(ty),
                _ => 0,
            })
            .sum(),
        _ => 0_u64,
    };
    1 + within
}

/// How deep a function's blocks are within each other.
#[derive(Debug, Clone, Copy, Default)]
struct Depth {
    /// Most blocks, loops included.
    blocks: u64,
    /// Most loops.
    loops: u64,
}

impl Depth {
    /// Measures a function.
    fn of(body: &FunctionBody<'_>) -> Result<Self, BinaryReaderError> {
        let (mut open, mut now, mut deepest) = (Vec::new(), Self::default(), Self::default());
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let is_loop = match operators.read()? {
                Operator::Loop { .. } => true,
                Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => false,
                Operator::End => {
                    // The last one ends the function itself.
                    if let Some(was_loop) = open.pop() {
                        now.blocks -= 1;
                        now.loops -= u64::from(was_loop);
                    }
                    continue;
                }
                _ => continue,
            };
            open.push(is_loop);
            now.blocks += 1;
            now.loops += u64::from(is_loop);
            deepest = Self { blocks: deepest.blocks.max(now.blocks), loops: deepest.loops.max(now.loops) };
        }
        Ok(deepest)
    }

    /// The depth in blocks, where a loop counts for many.
    fn weight(self) -> u64 {
        (self.blocks - self.loops) + self.loops * LOOP_WEIGHT
    }
}
