//! The types of functions, as they are in `wit/` and as a component has them, in one form that can be compared.

use std::fmt;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{ComponentDefinedType, ComponentFuncType, ComponentValType};
use wasmparser::types::TypesRef;
use wit_parser::{Handle, Resolve, Type, TypeDefKind};

/// Most parts of one function's type that are looked at; those of `wit/` have at most a hundred. A type that refers to
/// the same type twice, and that one too, is larger than the bytes that it takes.
const MAX_PARTS: usize = 2000;

/// Longest type in a message.
const MAX_SHOWN: usize = 160;

/// A function's parameters and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    params: Vec<(String, Shape)>,
    result: Option<Shape>,
}

/// The form of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// A type without parts, by its name.
    Simple(&'static str),
    List(Box<Shape>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Tuple(Vec<Shape>),
    Record(Vec<(String, Shape)>),
    Variant(Vec<(String, Option<Shape>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
}

impl Function {
    /// The type of a function of `wit/`.
    pub(crate) fn known(resolve: &Resolve, function: &wit_parser::Function) -> Self {
        let known = |shape| Shape::known(resolve, shape);
        let params = function.params.iter().map(|param| (param.name.clone(), known(&param.ty)));
        Self { params: params.collect(), result: function.result.as_ref().map(known) }
    }

    /// The type of a function of a component.
    pub(crate) fn found(types: TypesRef<'_>, function: &ComponentFuncType) -> Self {
        let mut parts = MAX_PARTS;
        let mut found = |shape: &ComponentValType| Shape::found(types, shape, &mut parts);
        let params = function.params.iter().map(|(name, shape)| (name.as_str().to_owned(), found(shape)));
        let params = params.collect();
        let result = function.result.as_ref().map(&mut found);
        if function.async_ {
            return Self { params, result: Some(Shape::Simple("something later, as it is async")) };
        }
        Self { params, result }
    }

    /// Says what a function has that differs from what it should have; none when nothing does.
    pub(crate) fn difference(&self, expected: &Self) -> Option<String> {
        if self.params.len() != expected.params.len() {
            return Some(format!("takes {self}, expected {expected}"));
        }
        for ((_, found), (name, expected)) in self.params.iter().zip(&expected.params) {
            if let Some(words) = found.difference(expected, &format!("`{name}`")) {
                return Some(format!("takes another type: {words}"));
            }
        }
        match (&self.result, &expected.result) {
            (None, None) => None,
            (Some(found), Some(expected)) => {
                found.difference(expected, "the result").map(|words| format!("gives another type: {words}"))
            }
            _ => Some(format!("is `{self}`, expected `{expected}`")),
        }
    }
}

impl Shape {
    /// The form of a type of `wit/`.
    fn known(resolve: &Resolve, shape: &Type) -> Self {
        let boxed = |shape: &Type| Box::new(Self::known(resolve, shape));
        let Type::Id(id) = shape else { return Self::Simple(simple(shape)) };
        // An id of this resolve is one of its types.
        let Some(definition) = resolve.types.get(*id) else { return Self::Simple("?") };
        match &definition.kind {
            TypeDefKind::Type(shape) => Self::known(resolve, shape),
            TypeDefKind::List(item) => Self::List(boxed(item)),
            TypeDefKind::Option(some) => Self::Option(boxed(some)),
            TypeDefKind::Result(result) => {
                Self::Result(result.ok.as_ref().map(boxed), result.err.as_ref().map(boxed))
            }
            TypeDefKind::Tuple(tuple) => {
                Self::Tuple(tuple.types.iter().map(|shape| Self::known(resolve, shape)).collect())
            }
            TypeDefKind::Record(record) => {
                let field = |field: &wit_parser::Field| (field.name.clone(), Self::known(resolve, &field.ty));
                Self::Record(record.fields.iter().map(field).collect())
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| {
                    (case.name.clone(), case.ty.as_ref().map(|shape| Self::known(resolve, shape)))
                };
                Self::Variant(variant.cases.iter().map(case).collect())
            }
            TypeDefKind::Enum(cases) => {
                Self::Enum(cases.cases.iter().map(|case| case.name.clone()).collect())
            }
            TypeDefKind::Flags(flags) => {
                Self::Flags(flags.flags.iter().map(|flag| flag.name.clone()).collect())
            }
            TypeDefKind::Handle(Handle::Own(_)) => Self::Simple("own"),
            TypeDefKind::Handle(Handle::Borrow(_)) => Self::Simple("borrow"),
            other => Self::Simple(other.as_str()),
        }
    }

    /// The form of a type of a component, of which no more than so many parts are looked at.
    #[expect(
        clippy::indexing_slicing,
        reason = "an id is that of one of these types, and there is no other way to it"
    )]
    fn found(types: TypesRef<'_>, shape: &ComponentValType, parts: &mut usize) -> Self {
        let id = match shape {
            ComponentValType::Primitive(primitive) => return Self::Simple(primitive_name(*primitive)),
            ComponentValType::Type(id) => *id,
        };
        let Some(left) = parts.checked_sub(1) else { return Self::Simple("...") };
        *parts = left;
        let mut found = |shape: &ComponentValType| Self::found(types, shape, parts);
        match &types[id] {
            ComponentDefinedType::Primitive(primitive) => Self::Simple(primitive_name(*primitive)),
            ComponentDefinedType::List { element, .. } => Self::List(Box::new(found(element))),
            ComponentDefinedType::Option { ty, .. } => Self::Option(Box::new(found(ty))),
            ComponentDefinedType::Result { ok, err, .. } => Self::Result(
                ok.as_ref().map(|shape| Box::new(found(shape))),
                err.as_ref().map(|shape| Box::new(found(shape))),
            ),
            ComponentDefinedType::Tuple(tuple) => Self::Tuple(tuple.types.iter().map(found).collect()),
            ComponentDefinedType::Record(record) => {
                let field = |(name, shape): (&_, &_)| (text(name), found(shape));
                Self::Record(record.fields.iter().map(field).collect())
            }
            ComponentDefinedType::Variant(variant) => {
                let cases = variant.cases.iter();
                Self::Variant(
                    cases.map(|(name, case)| (text(name), case.ty.as_ref().map(&mut found))).collect(),
                )
            }
            ComponentDefinedType::Enum(cases) => Self::Enum(cases.iter().map(text).collect()),
            ComponentDefinedType::Flags(flags) => Self::Flags(flags.iter().map(text).collect()),
            ComponentDefinedType::Own(_) => Self::Simple("own"),
            ComponentDefinedType::Borrow(_) => Self::Simple("borrow"),
            ComponentDefinedType::Map { .. } => Self::Simple("map"),
            ComponentDefinedType::FixedLengthList { .. } => Self::Simple("list of a fixed length"),
            ComponentDefinedType::Future { .. } => Self::Simple("future"),
            ComponentDefinedType::Stream { .. } => Self::Simple("stream"),
        }
    }

    /// Says where two forms first differ; `place` is what they are the type of.
    fn difference(&self, expected: &Self, place: &str) -> Option<String> {
        match (self, expected) {
            (Self::List(found), Self::List(expected)) => {
                found.difference(expected, &format!("an item of {place}"))
            }
            (Self::Option(found), Self::Option(expected)) => found.difference(expected, place),
            (Self::Result(Some(ok), None), Self::Result(Some(expected), None)) => {
                ok.difference(expected, place)
            }
            (Self::Result(ok, err), Self::Result(expected_ok, expected_err))
                if ok.is_some() == expected_ok.is_some() && err.is_some() == expected_err.is_some() =>
            {
                let difference = |found: &Option<Box<Self>>, expected: &Option<Box<Self>>, place: &str| {
                    found
                        .as_ref()
                        .zip(expected.as_ref())
                        .and_then(|(found, expected)| found.difference(expected, place))
                };
                difference(ok, expected_ok, place)
                    .or_else(|| difference(err, expected_err, &format!("the error of {place}")))
            }
            (Self::Record(found), Self::Record(expected)) => members(
                place,
                "field",
                (&names(found), &names(expected)),
                found.iter().zip(expected).find_map(|((name, found), (_, expected))| {
                    found.difference(expected, &format!("field `{name}` of {place}"))
                }),
            ),
            (Self::Variant(found), Self::Variant(expected)) => members(
                place,
                "case",
                (&names(found), &names(expected)),
                found.iter().zip(expected).find_map(|((name, found), (_, expected))| {
                    match (found, expected) {
                        (Some(found), Some(expected)) => {
                            found.difference(expected, &format!("case `{name}` of {place}"))
                        }
                        (None, None) => None,
                        (Some(found), None) => {
                            Some(format!("case `{name}` of {place} has `{}`, expected nothing", short(found)))
                        }
                        (None, Some(expected)) => Some(format!(
                            "case `{name}` of {place} has nothing, expected `{}`",
                            short(expected)
                        )),
                    }
                }),
            ),
            (Self::Enum(found), Self::Enum(expected)) => members(place, "case", (found, expected), None),
            (found, expected) if found == expected => None,
            (found, expected) => {
                Some(format!("{place} is `{}`, expected `{}`", short(found), short(expected)))
            }
        }
    }
}

/// Says which members are missing, are too many, or stand in another order; else what differs in one of them.
fn members(
    place: &str,
    member: &str,
    (found, expected): (&[String], &[String]),
    within: Option<String>,
) -> Option<String> {
    if let Some(missing) = expected.iter().find(|name| !found.contains(name)) {
        return Some(format!("{place} has no {member} `{missing}`"));
    }
    if let Some(extra) = found.iter().find(|name| !expected.contains(name)) {
        return Some(format!("{place} has a {member} `{}` that does not exist", short(extra)));
    }
    if found != expected {
        return Some(format!("{place} has its {member}s in another order"));
    }
    within
}

fn names<T>(members: &[(String, T)]) -> Vec<String> {
    members.iter().map(|(name, _)| name.clone()).collect()
}

fn text(name: impl ToString) -> String {
    name.to_string()
}

/// The beginning of something that may be long.
fn short(shown: impl fmt::Display) -> String {
    let text = shown.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn simple(shape: &Type) -> &'static str {
    match shape {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "?",
    }
}

fn primitive_name(primitive: PrimitiveValType) -> &'static str {
    match primitive {
        PrimitiveValType::Bool => "bool",
        PrimitiveValType::U8 => "u8",
        PrimitiveValType::U16 => "u16",
        PrimitiveValType::U32 => "u32",
        PrimitiveValType::U64 => "u64",
        PrimitiveValType::S8 => "s8",
        PrimitiveValType::S16 => "s16",
        PrimitiveValType::S32 => "s32",
        PrimitiveValType::S64 => "s64",
        PrimitiveValType::F32 => "f32",
        PrimitiveValType::F64 => "f64",
        PrimitiveValType::Char => "char",
        PrimitiveValType::String => "string",
        PrimitiveValType::ErrorContext => "error-context",
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = self.params.iter().map(|(name, shape)| format!("{name}: {}", short(shape)));
        write!(f, "({})", params.collect::<Vec<_>>().join(", "))?;
        match &self.result {
            Some(result) => write!(f, " -> {}", short(result)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shape: &Option<Box<Self>>| shape.as_ref().map_or("_".to_owned(), ToString::to_string);
        let list = |shapes: &[Self]| shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Simple(name) => f.write_str(name),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Option(some) => write!(f, "option<{some}>"),
            Self::Result(None, None) => f.write_str("result"),
            Self::Result(ok, err) => write!(f, "result<{}, {}>", part(ok), part(err)),
            Self::Tuple(shapes) => write!(f, "tuple<{}>", list(shapes)),
            Self::Record(fields) => {
                let fields = fields.iter().map(|(name, shape)| format!("{name}: {shape}"));
                write!(f, "record {{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::Variant(cases) => {
                let case = |(name, shape): &(String, Option<Self>)| match shape {
                    Some(shape) => format!("{name}({shape})"),
                    None => name.clone(),
                };
                write!(f, "variant {{ {} }}", cases.iter().map(case).collect::<Vec<_>>().join(", "))
            }
            Self::Enum(names) => write!(f, "enum {{ {} }}", names.join(", ")),
            Self::Flags(names) => write!(f, "flags {{ {} }}", names.join(", ")),
        }
    }
}
