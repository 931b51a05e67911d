use formwork_model::{ArchInfo, Stage};
use formwork_store::Store;

use super::*;

fn files(present: &[&str]) -> (tempfile::TempDir, FileRoot) {
    let folder = tempfile::tempdir().unwrap();
    for path in present {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let root = FileRoot::new(folder.path()).unwrap();
    (folder, root)
}

fn discovery() -> BootEnv {
    let mut env = BootEnv {
        name: "discovery".into(),
        kernel: "vmlinuz".into(),
        initrds: vec!["initrd".into()],
        ..BootEnv::default()
    };
    env.header.bundle = crate::content::BUILT_IN.into();
    env.header.read_only = true;
    env.header.set_errors(Vec::new());
    env
}

#[test]
fn missing_boot_file_is_named_by_its_path() {
    let (_folder, root) = files(&["discovery/install/vmlinuz"]);
    let found = faults(&root, &discovery());
    assert_eq!(found, ["discovery: missing boot file discovery/install/initrd below the file root"]);
    let (_folder, root) = files(&["discovery/install/vmlinuz", "discovery/install/initrd"]);
    assert!(faults(&root, &discovery()).is_empty());
}

#[test]
fn archive_and_no_kernel_need_no_files_and_each_architecture_its_own() {
    let (_folder, root) = files(&["discovery/install/vmlinuz", "discovery/install/initrd"]);
    assert!(faults(&root, &BootEnv { name: "local".into(), ..BootEnv::default() }).is_empty());
    let mut iso = discovery();
    iso.os.iso_file = "x.iso".into();
    iso.kernel = "gone".into();
    assert!(faults_at_once(&root, &iso).is_empty(), "an archive is looked for after the answer");
    assert!(faults(&root, &iso)[0].contains("archive x.iso for amd64: it is missing"));
    let mut both = discovery();
    both.os.supported_architectures.insert("aarch64".into(), ArchInfo::default());
    let found = faults(&root, &both);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("discovery/arm64/install/vmlinuz"), "{found:?}");
}

#[tokio::test]
async fn built_in_environment_is_hidden_only_while_its_files_are_missing() {
    let (folder, root) = files(&[]);
    let mut stage = Stage { name: "discover".into(), boot_env: "discovery".into(), ..Stage::default() };
    stage.header.bundle = crate::content::BUILT_IN.into();
    stage.header.read_only = true;
    stage.header.set_errors(Vec::new());
    let store = Store::memory(vec![Arc::new(discovery()), Arc::new(stage)]);
    let round = || {
        let (changed, root) = (changed_environments(&store.snapshot(), &root), root.clone());
        let count = changed.len();
        let written = store.write("system", move |tx| {
            note_availability(tx, &root, changed.iter().map(|(name, _)| name));
            Ok::<(), ()>(())
        });
        async move { written.await.map(|_| count) }
    };
    assert_eq!(round().await.unwrap(), 1);
    let available = |prefix, key| {
        store.snapshot().stored(prefix, key).map(|stored| (stored.object.header().available, stored.base))
    };
    assert_eq!(available("bootenvs", "discovery"), Some((false, false)));
    assert_eq!(available("stages", "discover"), Some((false, false)));
    assert_eq!(round().await.unwrap(), 0, "what is noted is not noted again");
    std::fs::create_dir_all(folder.path().join("discovery/install")).unwrap();
    for file in ["vmlinuz", "initrd"] {
        std::fs::write(folder.path().join("discovery/install").join(file), "x").unwrap();
    }
    assert_eq!(round().await.unwrap(), 1);
    assert_eq!(available("bootenvs", "discovery"), Some((true, true)));
    assert_eq!(available("stages", "discover"), Some((true, true)));
}

#[test]
fn next_retry_sets_the_length_of_the_sleep() {
    let mut retries = Retries::default();
    let job = |uuid: &str, state, at: i64| Job {
        uuid: uuid.into(),
        state,
        retry_at: Timestamp::from_millis(at),
        current: true,
        ..Job::default()
    };
    assert_eq!(retries.pause(Timestamp::from_millis(0)), LONGEST_SLEEP);
    retries.note_job(&job("a", JobState::Failed, 9000));
    retries.note_job(&job("b", JobState::Failed, 4000));
    assert_eq!(retries.pause(Timestamp::from_millis(1000)), Duration::from_secs(3));
    assert_eq!(retries.pause(Timestamp::from_millis(5000)), Duration::ZERO);
    retries.note_job(&job("b", JobState::Running, 4000));
    assert_eq!(retries.pause(Timestamp::from_millis(5000)), Duration::from_secs(4));
}
