//! Files in memory, with the rules of the host's own: links lead nowhere out of a root, and a write makes its folders.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;

use super::grants::{Access, Grants, below, is_plain};
use crate::bindings::capabilities::formwork::files::files::{Entry, Error, Kind};

/// Most bytes that are read or written at once.
const MAX_BYTES: usize = 1 << 20;

/// Longest path.
const MAX_PATH_BYTES: usize = 4096;

/// Most entries of a folder.
const MAX_ENTRIES: usize = 4096;

/// Most links on the way to a file, as Linux has it.
const MAX_LINKS: usize = 40;

/// All files, by their whole paths: `/sys/block`, `isos/debian.iso`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Link(String),
    Folder,
    /// A device or a pipe.
    Other,
}

/// What keeps a path from being used. The path is added where it is known as the guest wrote it.
enum Fault {
    NotGranted,
    NotFound,
    WrongKind,
    /// In the words of the operating system.
    System(&'static str),
}

/// A root and the path below it.
struct Place<'a> {
    root: &'a str,
    rest: &'a str,
}

impl Tree {
    /// Puts a file somewhere.
    pub(crate) fn put_file(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, Node::File(bytes));
    }

    /// Puts a link somewhere.
    pub(crate) fn put_link(&mut self, path: &str, target: String) {
        self.put(path, Node::Link(target));
    }

    /// Puts an empty folder somewhere.
    pub(crate) fn put_folder(&mut self, path: &str) {
        self.put(path, Node::Folder);
    }

    /// Copies what is in a folder of this machine, links as links.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> io::Result<()> {
        self.put_folder(path);
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let path = join(path, &entry.file_name().to_string_lossy());
            match entry.file_type()? {
                kind if kind.is_dir() => self.copy(&path, &entry.path())?,
                kind if kind.is_file() => self.put_file(&path, fs::read(entry.path())?),
                kind if kind.is_symlink() => {
                    self.put_link(&path, fs::read_link(entry.path())?.to_string_lossy().into_owned());
                }
                _ => self.put(&path, Node::Other),
            }
        }
        Ok(())
    }

    /// The bytes of a file, whatever is granted; links are not followed.
    pub(crate) fn bytes(&self, path: &str) -> Option<&[u8]> {
        match self.0.get(path)? {
            Node::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn put(&mut self, path: &str, node: Node) {
        for (end, _) in path.match_indices('/') {
            if let Some(folder) = path.get(..end).filter(|folder| !folder.is_empty()) {
                self.0.entry(folder.to_owned()).or_insert(Node::Folder);
            }
        }
        self.0.insert(path.to_owned(), node);
    }

    pub(crate) fn read(
        &self,
        grants: Option<&Grants>,
        path: &str,
        offset: u64,
        max_bytes: u32,
    ) -> Result<Vec<u8>, Error> {
        let place = place(grants, path, Access::ReadOnly)?;
        let found = self.find(&place, true).map_err(|fault| fault.at(path))?;
        let Some(Node::File(bytes)) = self.node(&found) else { return Err(Fault::WrongKind.at(path)) };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(offset..).unwrap_or_default();
        Ok(rest.iter().copied().take((max_bytes as usize).min(MAX_BYTES)).collect())
    }

    pub(crate) fn list(&self, grants: Option<&Grants>, path: &str) -> Result<Vec<Entry>, Error> {
        let place = place(grants, path, Access::ReadOnly)?;
        let found = self.find(&place, true).map_err(|fault| fault.at(path))?;
        let Some(Node::Folder) = self.node(&found) else { return Err(Fault::WrongKind.at(path)) };
        let entry = |(path, node): (&String, &Node)| {
            let name = below(&found, path).filter(|name| !name.is_empty() && !name.contains('/'))?;
            Some(Entry { name: name.to_owned(), kind: node.kind() })
        };
        Ok(self.0.iter().filter_map(entry).take(MAX_ENTRIES).collect())
    }

    pub(crate) fn read_link(&self, grants: Option<&Grants>, path: &str) -> Result<String, Error> {
        let place = place(grants, path, Access::ReadOnly)?;
        let found = self.find(&place, false).map_err(|fault| fault.at(path))?;
        match self.node(&found) {
            Some(Node::Link(target)) => Ok(target.clone()),
            _ => Err(Fault::WrongKind.at(path)),
        }
    }

    pub(crate) fn write(&mut self, grants: Option<&Grants>, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let place = place(grants, path, Access::ReadWrite)?;
        if bytes.len() > MAX_BYTES {
            return Err(Error::Other(format!(
                "`{path}`: a file of more than {MAX_BYTES} bytes is not written"
            )));
        }
        let target = self.place_to_write(&place).map_err(|fault| fault.at(path))?;
        self.0.insert(target, Node::File(bytes.to_vec()));
        Ok(())
    }

    /// Finds where a file is to be written, and makes the folders that it will be in.
    fn place_to_write(&mut self, place: &Place<'_>) -> Result<String, Fault> {
        let Place { root, rest } = *place;
        let is_named = !root.starts_with('/');
        if is_named && self.node(root).is_none() {
            self.put_folder(root);
        }
        match self.node(root) {
            Some(Node::Folder) if rest.is_empty() => return Err(Fault::WrongKind),
            Some(Node::Folder) => {}
            // The root is a single file, which need not be there yet, but its folder must.
            node if rest.is_empty() => {
                let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
                let has_folder = folder.is_empty() || self.node(folder).is_some();
                return match node {
                    Some(Node::File(_)) => Ok(root.to_owned()),
                    Some(_) => Err(Fault::WrongKind),
                    None if has_folder => Ok(root.to_owned()),
                    None => Err(Fault::NotFound),
                };
            }
            _ => return Err(Fault::NotFound),
        }
        if self.find(place, false).is_ok_and(|found| !matches!(self.node(&found), Some(Node::File(_)))) {
            return Err(Fault::WrongKind);
        }
        let (folders, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        let made = self.make(root, folders)?;
        Ok(join(&made, name))
    }

    /// Makes folders that are not there yet. The last one may be a link to a folder, but nothing else.
    fn make(&mut self, root: &str, folders: &str) -> Result<String, Fault> {
        let mut known = "";
        for (end, _) in folders.match_indices('/').chain([(folders.len(), "")]) {
            known = folders.get(..end).unwrap_or_default();
            let place = Place { root, rest: known };
            let (fault, is_last) = match self.find(&place, true) {
                Ok(found) if matches!(self.node(&found), Some(Node::Folder)) => continue,
                Ok(_) => (Fault::WrongKind, end == folders.len()),
                Err(fault) => (fault, end == folders.len()),
            };
            let is_missing = matches!(fault, Fault::NotFound);
            if self.find(&place, false).is_ok() && (is_last || is_missing) {
                return Err(Fault::System("File exists (os error 17)"));
            }
            if !is_missing {
                return Err(fault);
            }
            let (above, name) = known.rsplit_once('/').unwrap_or(("", known));
            let above = self.find(&Place { root, rest: above }, true)?;
            self.0.insert(join(&above, name), Node::Folder);
        }
        self.find(&Place { root, rest: known }, true)
    }

    /// Walks to a place, over links as long as they stay within the root, and returns its own path.
    fn find(&self, place: &Place<'_>, follow_last: bool) -> Result<String, Fault> {
        let Place { root, rest } = *place;
        match self.node(root) {
            Some(Node::Folder) => {}
            Some(_) if rest.is_empty() => return Ok(root.to_owned()),
            _ => return Err(Fault::NotFound),
        }
        let (mut parents, mut here, mut links) = (Vec::new(), root.to_owned(), 0);
        let mut ahead: VecDeque<String> = parts(rest).collect();
        while let Some(part) = ahead.pop_front() {
            if part == ".." {
                here = parents.pop().ok_or(Fault::NotGranted)?;
                continue;
            }
            let next = join(&here, &part);
            match self.node(&next).ok_or(Fault::NotFound)? {
                Node::Link(target) if follow_last || !ahead.is_empty() => {
                    links += 1;
                    if target.starts_with('/') {
                        return Err(Fault::NotGranted);
                    }
                    if links > MAX_LINKS {
                        return Err(Fault::System("Too many levels of symbolic links (os error 40)"));
                    }
                    ahead = parts(target).chain(ahead).collect();
                }
                Node::File(_) | Node::Other if !ahead.is_empty() => return Err(Fault::WrongKind),
                _ => parents.push(std::mem::replace(&mut here, next)),
            }
        }
        Ok(here)
    }

    fn node(&self, path: &str) -> Option<&Node> {
        if path == "/" { Some(&Node::Folder) } else { self.0.get(path) }
    }
}

impl Node {
    fn kind(&self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Link(_) => Kind::Link,
            Self::Folder => Kind::Folder,
            Self::Other => Kind::Other,
        }
    }
}

impl Fault {
    fn at(self, path: &str) -> Error {
        match self {
            Self::NotGranted => Error::NotGranted(path.to_owned()),
            Self::NotFound => Error::NotFound(path.to_owned()),
            Self::WrongKind => Error::WrongKind(path.to_owned()),
            Self::System(words) => Error::Other(format!("`{path}`: {words}")),
        }
    }
}

/// Finds the root of a path. Without grants it is the whole machine, or the name that the path begins with.
fn place<'a>(grants: Option<&'a Grants>, path: &'a str, access: Access) -> Result<Place<'a>, Error> {
    if path.len() > MAX_PATH_BYTES {
        let start: String = path.chars().take(100).collect();
        return Err(Error::Other(format!("the path `{start}...` is too long")));
    }
    let root = match grants {
        None if !is_plain(path) => None,
        None if path.starts_with('/') => Some("/"),
        None => path.split('/').next(),
        Some(grants) => grants.root(path).filter(|root| root.access >= access).map(|root| root.path.as_str()),
    };
    let place = root.and_then(|root| Some(Place { root, rest: below(root, path)? }));
    place.ok_or_else(|| Error::NotGranted(path.to_owned()))
}

fn parts(path: &str) -> impl Iterator<Item = String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned)
}

fn join(folder: &str, name: &str) -> String {
    if folder == "/" { format!("/{name}") } else { format!("{folder}/{name}") }
}
