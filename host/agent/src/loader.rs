//! Loads the kernel of another boot environment on this computer, by the program `kexec` of kexec-tools.

use std::{ffi::OsStr, fs, path::Path, process::Stdio, time::Duration};

use formwork_client::download_into;
use tokio::{fs::File, io::AsyncWriteExt as _, process::Command, time::timeout};

use crate::KernelPlan;

/// The program.
pub(crate) const TOOL: &str = "kexec";

/// The folder of the files, in the agent's state folder.
const FOLDER: &str = "kexec";

/// The most bytes of a kernel: ten times what distributions have.
const MAX_KERNEL: u64 = 256 << 20;

/// The most bytes of all initial file systems of a kernel together, which lie in the memory.
const MAX_INITRD: u64 = 4 << 30;

/// Initial file systems follow each other at addresses that this divides (Linux, "initramfs buffer format").
const ALIGNMENT: u64 = 4;

/// How long the program may take: it copies the files into the memory and computes their digest.
const LOADING: Duration = Duration::from_secs(120);

/// Ways to load: by the call that checks signatures, which locked kernels demand, else by the older one.
const WAYS: [&[&str]; 2] = [&["--kexec-file-syscall"], &[]];

/// How this computer loads kernels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loader<'a> {
    /// The agent's state folder.
    pub(crate) folder: &'a Path,
    /// The program.
    pub(crate) tool: &'a OsStr,
}

impl Loader<'_> {
    /// Fetches the files of a plan and loads them. They are removed at the end: the kernel keeps copies.
    ///
    /// # Errors
    ///
    /// What went wrong, in words for the log.
    pub(crate) async fn load(self, plan: &KernelPlan) -> Result<(), String> {
        let folder = self.folder.join(FOLDER);
        // A look before the files are fetched, which may take minutes.
        self.run(&["--version"]).await?;
        // What an agent left that ended half way.
        fs::remove_dir_all(&folder).ok();
        let loaded = match fs::create_dir_all(&folder) {
            Ok(()) => self.load_in(&folder, plan).await,
            Err(error) => Err(format!("failed to make `{}`: {error}", folder.display())),
        };
        fs::remove_dir_all(&folder).ok();
        loaded
    }

    async fn load_in(self, folder: &Path, plan: &KernelPlan) -> Result<(), String> {
        let (kernel, initrd) = (folder.join("kernel"), folder.join("initrd"));
        join(&kernel, std::slice::from_ref(&plan.kernel), MAX_KERNEL).await?;
        let mut words = vec![format!("--command-line={}", plan.params)];
        if !plan.initrds.is_empty() {
            join(&initrd, &plan.initrds, MAX_INITRD).await?;
            words.push(format!("--initrd={}", initrd.display()));
        }
        words.push(kernel.display().to_string());
        let mut last = Ok(());
        for way in WAYS {
            let given = way.iter().copied().chain(["--load"]).chain(words.iter().map(String::as_str));
            last = self.run(&given.collect::<Vec<_>>()).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn run(self, words: &[&str]) -> Result<(), String> {
        let name = self.tool.to_string_lossy();
        let mut command = Command::new(self.tool);
        command.args(words).stdin(Stdio::null()).kill_on_drop(true);
        match timeout(LOADING, command.output()).await {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("`{name}` ended with {}: {}", output.status, said.trim()))
            }
            Ok(Err(error)) => Err(format!("failed to start `{name}` (package kexec-tools): {error}")),
            Err(_) => Err(format!("`{name}` took longer than {} s", LOADING.as_secs())),
        }
    }
}

/// Fetches files into one, each at an aligned place.
async fn join(path: &Path, urls: &[String], max_bytes: u64) -> Result<(), String> {
    let failed = |error| format!("failed to write `{}`: {error}", path.display());
    let mut file = File::create(path).await.map_err(failed)?;
    let mut length = 0;
    for url in urls {
        let left = max_bytes.saturating_sub(length);
        let fetched = download_into(url, None, left, &mut file, |_, _| {}).await;
        length += fetched.map_err(|error| error.chain())?;
        let padding = length.next_multiple_of(ALIGNMENT) - length;
        file.write_all([0; ALIGNMENT as usize].get(..padding as usize).unwrap_or_default())
            .await
            .map_err(failed)?;
        length += padding;
    }
    file.flush().await.map_err(failed)
}

/// Returns the network card that a boot loader named on the command line of the running kernel.
pub(crate) fn boot_card(command_line: &str) -> Option<&str> {
    command_line.split_whitespace().find_map(|word| word.strip_prefix("BOOTIF="))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Serves files by their paths until it is dropped.
    async fn serve(files: &'static [(&'static str, &'static str)]) -> (String, tokio::task::JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, files).await;
            }
        });
        (url, tasks)
    }

    async fn answer(mut stream: TcpStream, files: &[(&str, &str)]) {
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let found = files.iter().find(|(path, _)| request.starts_with(&format!("GET {path} ")));
        let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", *body));
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    /// A program in place of `kexec`, which keeps what it was told and was given.
    fn tool(folder: &Path, script: &str) -> std::path::PathBuf {
        let tool = folder.join("tool");
        let place = folder.display();
        fs::write(&tool, format!("#!/bin/sh\ncd {place}\n[ \"$1\" = --version ] && exit 0\n{script}\n"))
            .unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        tool
    }

    const FILES: &[(&str, &str)] = &[("/vmlinuz", "kernel"), ("/a", "one"), ("/b", "three")];

    fn plan(url: &str, initrds: &[&str]) -> KernelPlan {
        KernelPlan {
            kernel: format!("{url}/vmlinuz"),
            initrds: initrds.iter().map(|name| format!("{url}{name}")).collect(),
            params: "console=ttyS0 quiet".into(),
        }
    }

    #[tokio::test]
    async fn kernel_is_loaded_with_its_initial_file_systems_as_one_and_its_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let (url, _server) = serve(FILES).await;
        let tool = tool(folder.path(), "echo \"$*\" >>told; cp kexec/* . ");
        let loader = Loader { folder: folder.path(), tool: tool.as_os_str() };
        loader.load(&plan(&url, &["/a", "/b"])).await.unwrap();
        let told = fs::read_to_string(folder.path().join("told")).unwrap();
        let place = folder.path().join("kexec").display().to_string();
        assert_eq!(
            told,
            format!(
                "--kexec-file-syscall --load --command-line=console=ttyS0 quiet --initrd={place}/initrd {place}/kernel\n"
            )
        );
        assert_eq!(fs::read(folder.path().join("kernel")).unwrap(), b"kernel\0\0");
        assert_eq!(fs::read(folder.path().join("initrd")).unwrap(), b"one\0three\0\0\0");
        assert!(!folder.path().join("kexec").exists());
    }

    #[tokio::test]
    async fn kernel_that_knows_only_the_older_call_is_loaded_by_that() {
        let folder = tempfile::tempdir().unwrap();
        let (url, _server) = serve(FILES).await;
        let tool =
            tool(folder.path(), "[ \"$1\" = --load ] || { echo no such call >&2; exit 1; }\ntouch loaded");
        let loader = Loader { folder: folder.path(), tool: tool.as_os_str() };
        loader.load(&plan(&url, &[])).await.unwrap();
        assert!(folder.path().join("loaded").exists());
    }

    #[tokio::test]
    async fn what_cannot_be_loaded_says_why_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (url, _server) = serve(FILES).await;
        let refuses = tool(folder.path(), "echo locked down >&2; exit 1");
        let none = folder.path().join("no such program");
        for (tool, initrds, reason) in [
            (&none, &[][..], "kexec-tools"),
            (&refuses, &["/gone"], "status 404"),
            (&refuses, &["/a"], "locked down"),
        ] {
            let loader = Loader { folder: folder.path(), tool: tool.as_os_str() };
            let error = loader.load(&plan(&url, initrds)).await.unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert!(!folder.path().join("kexec").exists());
        }
    }

    #[test]
    fn network_card_is_what_the_boot_loader_named() {
        assert_eq!(boot_card("quiet BOOTIF=01-52-54-00-00-00-01 ip=dhcp\n"), Some("01-52-54-00-00-00-01"));
        assert_eq!(boot_card("quiet"), None);
    }
}
