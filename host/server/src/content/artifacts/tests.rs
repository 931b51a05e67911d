use std::collections::BTreeMap;

use formwork_model::{ArtifactEntry, InstallSpec, Object};
use formwork_store::Store;

use super::*;

/// The sum of `new`.
const SUM: &str = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437";

/// A file root, and an archive that was taken apart.
struct Place {
    folder: tempfile::TempDir,
    files: FileRoot,
    archive: Space,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = FileRoot::new(&folder.path().join("tftpboot")).unwrap();
        let archive = Space::open(&folder.path().join("archive"), Arc::default()).unwrap();
        fs::create_dir(folder.path().join("undo")).unwrap();
        let place = Self { folder, files, archive };
        put(&place.archive, "bin/tool", "new");
        place
    }

    fn plan(&self, artifacts: &Artifacts, archived: bool) -> Result<Vec<Placing>, ArtifactError> {
        // What no archive is taken apart for needs no worker.
        let worker = ArchiveWorker::of(Path::new("/nonexistent"));
        let scratch = self.folder.path().join("scratch");
        let around = Surroundings { files: &self.files, worker: &worker, scratch: &scratch };
        plan(artifacts, archived.then_some(&self.archive), &around)
    }

    fn refused(&self, artifacts: &Artifacts, archived: bool) -> String {
        self.plan(artifacts, archived).unwrap_err().to_string()
    }

    fn write(&self, placings: &[Placing]) -> Placed {
        let load = ("load-1", vec![String::from("b1")]);
        Placed::write(&self.files, &self.journals(), load, placings).unwrap()
    }

    fn journals(&self) -> PathBuf {
        self.folder.path().join("undo")
    }

    fn text(&self, path: &str) -> Option<String> {
        let mut text = String::new();
        let mut file = self.files.files().read(&BlobPath::parse(path).unwrap()).ok()?.file;
        file.read_to_string(&mut text).unwrap();
        Some(text)
    }

    fn is_clean(&self) -> bool {
        fs::read_dir(self.journals()).unwrap().next().is_none()
    }
}

fn put(space: &Space, path: &str, text: &str) {
    let mut upload = space.begin(&BlobPath::parse(path).unwrap()).unwrap();
    upload.write(text.as_bytes()).unwrap();
    upload.finish().unwrap();
}

fn artifact(path: &str, sha256: &str, installs: &[(&str, &str)]) -> Artifacts {
    let spec = |(action, target): &(&str, &str)| InstallSpec {
        action: (*action).to_owned(),
        target: (*target).to_owned(),
    };
    let install = installs.iter().map(spec).collect();
    let entry = ArtifactEntry { sha256: sha256.to_owned(), install, ..ArtifactEntry::default() };
    BTreeMap::from([(path.to_owned(), entry)])
}

fn places(placings: &[Placing]) -> Vec<(&str, &str)> {
    placings.iter().map(Placing::place).collect()
}

#[test]
fn artifact_goes_to_its_own_path_to_a_target_or_into_a_folder() {
    let place = Place::new();
    let found = |installs: &[(&str, &str)]| place.plan(&artifact("bin/tool", SUM, installs), true).unwrap();
    assert_eq!(places(&found(&[("copy", "")])), [("files", "bin/tool")]);
    assert_eq!(
        places(&found(&[("copy", "files/a/b"), ("copy", "c/"), ("copy", "isos/x.iso")])),
        [("files", "a/b"), ("files", "c/tool"), ("isos", "x.iso")]
    );
    assert!(found(&[]).is_empty(), "nothing is said to be done");
}

#[test]
fn artifact_that_is_not_as_told_is_refused_with_its_path() {
    let place = Place::new();
    for (artifacts, words) in [
        (artifact("bin/none", "", &[("copy", "")]), "artifact `bin/none`: it is not there\nhint: "),
        (artifact("bin/tool", "00", &[("copy", "")]), "its sum is 1150"),
        (artifact("bin/tool", "", &[("link", "")]), "`link` cannot be done with it"),
        (artifact("../tool", "", &[("copy", "")]), "`.` and `..` are not allowed"),
        (artifact("bin/tool", "", &[("copy", "a/../../b")]), "`.` and `..` are not allowed"),
        (artifact("bin/tool", "", &[("copy", "isos")]), "is no file to copy it to"),
        (artifact("bin/tool", "", &[("copy", "x"), ("copy", "files/x")]), "two artifacts go to this place"),
    ] {
        let said = place.refused(&artifacts, true);
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn artifact_of_a_bundle_that_comes_alone_is_taken_from_the_files() {
    let place = Place::new();
    let artifacts = artifact("bin/tool", SUM, &[("copy", ""), ("copy", "also")]);
    assert!(place.refused(&artifacts, false).contains("upload them to the files first"));
    put(place.files.files(), "bin/tool", "new");
    assert_eq!(places(&place.plan(&artifacts, false).unwrap()), [("files", "also")]);
}

#[test]
fn files_of_a_refused_load_are_as_they_were_and_of_another_as_they_are() {
    let place = Place::new();
    put(place.files.files(), "old", "before");
    let artifacts = artifact("bin/tool", "", &[("copy", "old"), ("copy", "fresh")]);
    let placings = place.plan(&artifacts, true).unwrap();
    let placed = place.write(&placings);
    assert_eq!((place.text("old"), place.text("fresh")), (Some("new".into()), Some("new".into())));
    placed.undo(&place.files).unwrap();
    assert_eq!((place.text("old"), place.text("fresh")), (Some("before".into()), None));
    assert!(place.is_clean());
    place.write(&placings).keep();
    assert_eq!(place.text("old").as_deref(), Some("new"));
    assert!(place.is_clean());
}

#[test]
fn load_that_cannot_be_written_whole_leaves_nothing() {
    let place = Place::new();
    put(place.files.files(), "taken", "a file");
    // The second goes below a file, where there can be none.
    let artifacts = artifact("bin/tool", "", &[("copy", "first"), ("copy", "taken/second")]);
    let placings = place.plan(&artifacts, true).unwrap();
    let load = ("load-1", vec![String::from("b1")]);
    assert!(Placed::write(&place.files, &place.journals(), load, &placings).is_err());
    assert_eq!((place.text("first"), place.text("taken")), (None, Some("a file".into())));
    assert!(place.is_clean());
}

/// Objects with the record of a load.
fn loaded(load: &str) -> Store {
    let content = InstalledContent { name: "b1".into(), load: load.into(), ..InstalledContent::default() };
    Store::memory(vec![Arc::new(content) as Arc<dyn Object>])
}

#[tokio::test]
async fn crash_before_the_commit_undoes_and_one_after_it_keeps() {
    for (load, old) in [("load-0", "before"), ("load-1", "new")] {
        let place = Place::new();
        put(place.files.files(), "old", "before");
        let placings = place.plan(&artifact("bin/tool", "", &[("copy", "old")]), true).unwrap();
        // The process ends here: nobody undoes or keeps.
        drop(place.write(&placings));
        fs::create_dir(place.journals().join("not-whole")).unwrap();
        let store = loaded(load);
        recover(&place.files, &place.journals(), &store.snapshot()).unwrap();
        assert_eq!(place.text("old").as_deref(), Some(old), "{load}");
        assert!(place.is_clean());
        recover(&place.files, &place.journals(), &store.snapshot()).unwrap();
    }
}
