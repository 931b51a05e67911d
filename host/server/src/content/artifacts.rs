//! The files that belong to bundles: put among the files together with the objects, or not at all (drp-api.md 11.2).
//!
//! Files and objects cannot be written in one step, so there is a journal. It names each file that is about to be written
//! and keeps what was there; only then is anything written, and only then are the objects committed, with the name of the
//! load in their record. A load that is refused is undone by the journal. After a crash the record tells whether the load
//! came through: then the journal goes, else the load is undone.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use formwork_blobs::{ArchiveWorker, BlobError, BlobPath, Space, TreeLimits, explode};
use formwork_model::{Artifacts, InstalledContent, Objects, ObjectsExt};
use serde::{Deserialize, Serialize};

use crate::{files::FileRoot, random};

/// Most bytes of a journal.
const MAX_JOURNAL_BYTES: u64 = 64 << 20;

/// The file of a journal.
const JOURNAL: &str = "journal.json";

/// Bytes that are copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// An artifact cannot be put where it belongs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    /// It is not what the bundle says, or the bundle says nothing that can be done.
    #[error("artifact `{path}`: {reason}")]
    Refused {
        /// Its path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The disk does not do it.
    #[error("failed to place the artifacts of a bundle")]
    Io(#[from] io::Error),
    /// A file cannot be written.
    #[error("failed to place the artifacts of a bundle")]
    Blob(#[from] BlobError),
}

/// One of the two spaces that artifacts go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Area {
    Files,
    Isos,
}

/// A file that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    area: Area,
    to: BlobPath,
    from: Arc<(Space, BlobPath)>,
}

impl Placing {
    /// Returns the scope of claims and the path of what is written.
    pub(crate) fn place(&self) -> (&'static str, &str) {
        (self.area.scope(), self.to.as_str())
    }
}

/// What is needed to find out which files the artifacts of a bundle become.
pub(crate) struct Surroundings<'a> {
    /// Where artifacts go, and where those are that came before their bundle.
    pub(crate) files: &'a FileRoot,
    /// What reads archives.
    pub(crate) worker: &'a ArchiveWorker,
    /// A folder for what is taken apart; whoever gives it removes it.
    pub(crate) scratch: &'a Path,
}

/// Returns the scopes of claims and the paths of the files of the endpoint that artifacts of a bundle that came alone are made
/// of.
///
/// # Errors
///
/// A path that is none.
pub(crate) fn sources(artifacts: &Artifacts) -> Result<Vec<(&'static str, BlobPath)>, ArtifactError> {
    let installed = artifacts.iter().filter(|(_, entry)| !entry.install.is_empty());
    let source = |(path, _): (&String, _)| {
        let refused = |error: &dyn std::error::Error| ArtifactError::Refused {
            path: path.clone(),
            reason: error.to_string(),
        };
        let (area, own) = area_of(&BlobPath::parse(path).map_err(|error| refused(&error))?)?;
        Ok((area.scope(), own))
    };
    installed.map(source).collect()
}

/// Returns the files that the artifacts of a bundle become. `archive` is what the bundle came in; artifacts of one that came
/// alone are taken from the files, where they must be already. Blocks.
///
/// # Errors
///
/// An artifact that is not there, has another sum or is no archive, and an action that is not known.
pub(crate) fn plan(
    artifacts: &Artifacts,
    archive: Option<&Space>,
    around: &Surroundings<'_>,
) -> Result<Vec<Placing>, ArtifactError> {
    let mut found = Vec::new();
    for (path, entry) in artifacts.iter().filter(|(_, entry)| !entry.install.is_empty()) {
        let refused = |reason: String| ArtifactError::Refused { path: path.clone(), reason };
        let parsed = |text: &str| BlobPath::parse(text).map_err(|error| refused(error.to_string()));
        let at = parsed(path)?;
        let (area, own) = area_of(&at)?;
        let (space, at) = match archive {
            Some(archive) => (archive.clone(), at.clone()),
            None => (area.space(around.files).clone(), own.clone()),
        };
        let sum = space.sum(&at).map_err(|_| {
            refused(String::from(
                "it is not there\nhint: send the bundle in an archive with its artifacts by `/content_archives`, \
                 or upload them to the files first",
            ))
        })?;
        if !entry.sha256.is_empty() && !entry.sha256.eq_ignore_ascii_case(&sum) {
            return Err(refused(format!("its sum is {sum}, not {}", entry.sha256)));
        }
        for spec in &entry.install {
            let target = if spec.target.is_empty() { None } else { Some(area_of(&parsed(&spec.target)?)?) };
            match spec.action.as_str() {
                "copy" => {
                    let (area, mut to) = target.unwrap_or((area, own.clone()));
                    if spec.target.ends_with('/') {
                        to = parsed(&format!("{to}/{}", own.name()))?;
                    }
                    if to.is_top() {
                        return Err(refused(format!("`{}` is no file to copy it to", spec.target)));
                    }
                    found.push(Placing { area, to, from: Arc::new((space.clone(), at.clone())) });
                }
                "explode" => {
                    let (area, into) = target.unwrap_or((area, own.parent()));
                    let taken = taken_apart(&space, &at, around).map_err(refused)?;
                    for name in
                        taken.list(&BlobPath::default(), true)?.iter().filter(|name| !name.ends_with('/'))
                    {
                        let from = parsed(name)?;
                        let to = parsed(&format!("{into}/{name}"))?;
                        found.push(Placing { area, to, from: Arc::new((taken.clone(), from)) });
                    }
                }
                other => {
                    return Err(refused(format!(
                        "`{other}` cannot be done with it: `copy` and `explode` can"
                    )));
                }
            }
        }
    }
    // What is there already in its own place is what it is to be.
    found.retain(|placing| {
        archive.is_some() || !(placing.from.1 == placing.to && placing.area.is(&placing.from.0, around.files))
    });
    let mut places = BTreeSet::new();
    if let Some(twice) = found.iter().find(|placing| !places.insert((placing.area, placing.to.clone()))) {
        let reason = String::from("two artifacts go to this place");
        return Err(ArtifactError::Refused { path: twice.to.to_string(), reason });
    }
    Ok(found)
}

/// Splits the word of a space off a path; without one it is among the files.
fn area_of(path: &BlobPath) -> Result<(Area, BlobPath), ArtifactError> {
    let (area, rest) = match path.as_str().split_once('/') {
        Some(("isos", rest)) => (Area::Isos, rest),
        Some(("files", rest)) => (Area::Files, rest),
        _ if matches!(path.as_str(), "files" | "isos") => return Ok((Area::Files, BlobPath::default())),
        _ => (Area::Files, path.as_str()),
    };
    let refused = |error: formwork_blobs::PathError| ArtifactError::Refused {
        path: path.to_string(),
        reason: error.to_string(),
    };
    Ok((area, BlobPath::parse(rest).map_err(refused)?))
}

impl Area {
    /// Returns the scope of claims about the files of a space.
    fn scope(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Isos => "isos",
        }
    }

    fn space(self, files: &FileRoot) -> &Space {
        match self {
            Self::Files => files.files(),
            Self::Isos => files.isos(),
        }
    }

    /// Tells whether a space is this one: both hold the same handle then.
    fn is(self, space: &Space, files: &FileRoot) -> bool {
        self.space(files).is_same(space)
    }
}

/// Takes an archive apart in a folder of its own; links and devices are left out.
fn taken_apart(space: &Space, path: &BlobPath, around: &Surroundings<'_>) -> Result<Space, String> {
    let blob = space.read(path).map_err(|error| error.to_string())?;
    let folder = around.scratch.join(random::uuid());
    let taken = Space::open(&folder, Arc::default()).map_err(|error| error.to_string())?;
    let into = taken.folder_of(&BlobPath::default()).map_err(|error| error.to_string())?;
    explode(around.worker, blob.file, &into, TreeLimits::default(), &|| false)
        .map_err(|error| error.to_string())?;
    Ok(taken)
}

/// What a journal says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Journal {
    /// The name of the load.
    load: String,
    /// The bundles that are loaded.
    bundles: Vec<String>,
    /// The files that are written; what was there is beside the journal, under the place in this list.
    files: Vec<(Area, String, bool)>,
}

/// Files that were written, and can be undone until it is known what becomes of their objects.
#[derive(Debug)]
#[must_use = "the journal is still there"]
pub(crate) struct Placed {
    folder: PathBuf,
    journal: Journal,
}

impl Placed {
    /// Writes files for a load of some bundles, after noting what was there. Blocks.
    ///
    /// # Errors
    ///
    /// The disk does not do it; what was written is undone.
    pub(crate) fn write(
        files: &FileRoot,
        journals: &Path,
        (load, bundles): (&str, Vec<String>),
        placings: &[Placing],
    ) -> Result<Self, ArtifactError> {
        let folder = journals.join(load);
        fs::create_dir_all(&folder)?;
        let mut journal = Journal { load: load.to_owned(), bundles, files: Vec::new() };
        for (place, placing) in placings.iter().enumerate() {
            let there = placing.area.space(files).read(&placing.to).ok();
            if let Some(mut blob) = there.as_ref().map(|blob| &blob.file) {
                let mut kept = File::create(folder.join(place.to_string()))?;
                io::copy(&mut blob, &mut kept)?;
                kept.sync_all()?;
            }
            journal.files.push((placing.area, placing.to.to_string(), there.is_some()));
        }
        let mut file = File::create(folder.join("draft"))?;
        file.write_all(&serde_json::to_vec(&journal).map_err(io::Error::from)?)?;
        file.sync_all()?;
        fs::rename(folder.join("draft"), folder.join(JOURNAL))?;
        File::open(&folder)?.sync_all()?;
        let placed = Self { folder, journal };
        for placing in placings {
            let (space, from) = placing.from.as_ref();
            let copied =
                space.read(from).and_then(|blob| copy(blob.file, placing.area.space(files), &placing.to));
            if let Err(error) = copied {
                placed.undo(files)?;
                return Err(error.into());
            }
        }
        Ok(placed)
    }

    /// Leaves the files as they are now. Blocks.
    pub(crate) fn keep(self) {
        // A journal that cannot be removed is looked at again by the next start, which keeps the files too.
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "the journal of a load stays");
        }
    }

    /// Puts back what was there. Doing it twice is harmless. Blocks.
    ///
    /// # Errors
    ///
    /// The disk does not do it; the journal stays for the next start.
    pub(crate) fn undo(self, files: &FileRoot) -> Result<(), ArtifactError> {
        for (place, (area, path, was_there)) in self.journal.files.iter().enumerate() {
            let space = area.space(files);
            let Ok(path) = BlobPath::parse(path) else { continue };
            if *was_there {
                match File::open(self.folder.join(place.to_string())) {
                    Ok(before) => copy(before, space, &path)?,
                    // It is undone for the second time, and was on its way out.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            } else if space.read(&path).is_ok() {
                space.remove(&path)?;
            }
        }
        // Without the journal nothing is undone again.
        fs::remove_file(self.folder.join(JOURNAL))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

fn copy(mut from: File, space: &Space, to: &BlobPath) -> Result<(), BlobError> {
    let failed = |source| BlobError::Io { path: to.clone(), source };
    let mut upload = space.begin(to)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return upload.finish().map(drop);
        }
        upload.write(buffer.get(..read).unwrap_or_default())?;
    }
}

/// Ends what an earlier process left in the middle: a load that came through is kept, another is undone. Blocks.
///
/// # Errors
///
/// The disk does not do it.
pub(crate) fn recover(
    files: &FileRoot,
    journals: &Path,
    objects: &impl Objects,
) -> Result<(), ArtifactError> {
    for entry in fs::read_dir(journals)? {
        let folder = entry?.path();
        let mut text = String::new();
        let read = File::open(folder.join(JOURNAL))
            .and_then(|file| file.take(MAX_JOURNAL_BYTES).read_to_string(&mut text));
        let journal = read.ok().and_then(|_| serde_json::from_str::<Journal>(&text).ok());
        let Some(journal) = journal else {
            // Nothing was written before the journal was whole.
            fs::remove_dir_all(&folder)?;
            continue;
        };
        let is_loaded = |name: &String| {
            objects.get::<InstalledContent>(name).is_some_and(|content| content.load == journal.load)
        };
        let came_through = journal.bundles.iter().any(is_loaded);
        let placed = Placed { folder, journal };
        match came_through {
            true => placed.keep(),
            false => placed.undo(files)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
