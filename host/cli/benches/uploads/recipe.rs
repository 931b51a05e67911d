//! Packs as a hostile author would make them: whole and signed, but for what is wrong.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use formwork_client::{Client, ClientError, Query};
use formwork_model::{InstalledPack, Timestamp};
use formwork_packs::{Archive, Signer, SigningKey};
use formwork_toolchain::{GuestBuild, Install, Toolchain};
use serde_json::{Value, json};
use wasm_encoder::{Component, CustomSection};

use crate::Hostile;

/// The number of the key that the endpoint trusts.
pub(crate) const TRUSTED: u8 = 1;

/// The number of the key that it trusted in former times.
pub(crate) const EXPIRED: u8 = 2;

/// The number of a key that it does not know.
pub(crate) const UNKNOWN: u8 = 3;

/// How many files are made of a case: enough that what is remembered of one does not help with the next.
const MANY: u64 = 40;

/// The same for large files.
const FEW: u64 = 4;

/// A file of more bytes is large.
const MUCH: usize = 1 << 20;

/// The components that packs are made of, by their packages.
const PACKAGES: [&str; 2] = ["guest-hostile", "guest-policy"];

static GUESTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    // This program is in `<target>/<profile>/deps`.
    let program = std::env::current_exe().expect("this program");
    let target = program.ancestors().nth(3).expect("the target folder").to_owned();
    let toolchain = Toolchain::find(&target.join("toolchain"), Install::Never).expect("a guest toolchain");
    let build = GuestBuild {
        workspace_dir: Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .expect("the workspace"),
        packages: PACKAGES.map(str::to_owned).to_vec(),
        target_dir: target.join("guests"),
        profile: "guest".to_owned(),
    };
    let built = toolchain.build(&build).expect("guests that compile");
    built.into_iter().map(|component| (component.package, component.wasm)).collect()
});

/// The bytes of a guest.
pub(crate) fn guest(package: &str) -> &'static [u8] {
    GUESTS.get(package).expect("a guest that was built")
}

/// A key by its number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// A pack of one component, `probe`, a task.
pub(crate) struct Recipe<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: u64,
    pub(crate) component: Vec<u8>,
    pub(crate) grants: &'a [&'a str],
    pub(crate) limits: Value,
    pub(crate) key: u8,
}

impl Default for Recipe<'_> {
    fn default() -> Self {
        Self {
            name: "hostile",
            number: 0,
            component: guest("guest-hostile").to_vec(),
            grants: &["params: read hostile/*"],
            limits: json!({}),
            key: TRUSTED,
        }
    }
}

impl Recipe<'_> {
    /// The bytes of the pack file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let component =
            json!({"name": "probe", "kind": "task", "grants": self.grants, "limits": self.limits});
        let version = format!("1.0.{}", self.number);
        let manifest = json!({"name": self.name, "version": version, "components": [component]});
        let name = format!("{}-probe", self.name);
        let texts = [
            (String::from("pack.yaml"), manifest),
            (
                format!("tasks/{name}.yaml"),
                json!({"Name": name, "Component": format!("{}/probe", self.name)}),
            ),
            (format!("stages/{name}.yaml"), json!({"Name": name, "Tasks": [name]})),
            (format!("workflows/{name}.yaml"), json!({"Name": name, "Stages": [name]})),
        ];
        let write = |path: &str, bytes: &[u8]| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("a file");
        };
        for (path, text) in texts {
            write(&path, text.to_string().as_bytes());
        }
        write("components/probe.wasm", &numbered(self.component.clone(), self.number));
        let key = key(self.key);
        let signer = Signer { key: &key, now: Timestamp::from_millis(1_700_000_000_000) };
        let mut bytes = Vec::new();
        let archive = Archive::from_folder(folder.path()).expect("a pack in form");
        archive.write(&mut bytes, Some(signer)).expect("a pack file");
        bytes
    }
}

/// Adds a number to a component, so that it is another one.
pub(crate) fn numbered(mut component: Vec<u8>, number: u64) -> Vec<u8> {
    let mut part = Component::new();
    let number = number.to_le_bytes();
    part.section(&CustomSection { name: "number".into(), data: number.as_slice().into() });
    // A component's first eight bytes are its head.
    component.extend_from_slice(part.finish().get(8..).unwrap_or_default());
    component
}

/// A kind of hostile pack file.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Part of what the endpoint says of it.
    words: &'static str,
    make: Box<dyn Fn(u64) -> Vec<u8>>,
}

impl Case {
    /// What makes a file of a number makes another one of each number.
    pub(crate) fn new(
        name: &'static str,
        words: &'static str,
        make: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Self {
        Self { name, words, make: Box::new(make) }
    }

    /// Makes the files that are sent, so that no time is spent on that while requests are timed.
    pub(crate) fn files(&self) -> Files {
        let first = (self.make)(0);
        let count = if first.len() > MUCH { FEW } else { MANY };
        let all = std::iter::once(first).chain((1..count).map(|number| (self.make)(number))).collect();
        Files { all, words: self.words }
    }
}

/// The files of a case.
pub(crate) struct Files {
    all: Vec<Vec<u8>>,
    words: &'static str,
}

impl Hostile for Files {
    async fn once(&self, client: &Client, number: u64) -> Result<(), String> {
        let at = usize::try_from(number).unwrap_or_default() % self.all.len();
        match upload(client, self.all[at].clone()).await {
            Err(ClientError::Api(error)) if error.to_string().contains(self.words) => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(_) => Err(String::from("it was installed")),
        }
    }
}

/// Uploads a pack file, agrees to all that it asks for, and waits for the end.
pub(crate) async fn upload(client: &Client, bytes: Vec<u8>) -> Result<InstalledPack, ClientError> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let query = Query::new().with("wait", true).with("grant", "all");
    client.pack_upload(std::io::Cursor::new(bytes), length, &query, |_| ()).await
}
