//! The Debian guest for tests: built once, booted as often as needed, and used over SSH.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::checkout::{self, dist, root, scratch};
use crate::program::{home, pandacap, process};
use crate::run;

/// The files that a Debian guest is built from, besides Debian.
const PARTS: [&str; 6] = [
    "guest-agent/recctrlu-setup",
    "crates/guest/src/bootstrap/guest/pandacap-bootstrap",
    "crates/guest/src/bootstrap/guest/pandacap-bootstrap.service",
    "crates/guest/src/debian/customize.sh",
    "crates/guest/src/debian/init.sh",
    "crates/guest/src/debian/mod.rs",
];
/// The time limit for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// The name of a Debian guest built from the current files; the first call builds it, which needs root.
pub fn debian() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let agent = dist().join("x86_64/recctrlu");
        let mut digest = Sha256::new_with_prefix(fs::read(agent).expect("scripts/build makes the agent"));
        for part in PARTS {
            digest.update(fs::read(root().join(part)).unwrap());
        }
        let name = format!("debian-{:.12}", format!("{:x}", digest.finalize()));
        let guests = home().join("guests");
        fs::create_dir_all(&guests).unwrap();
        let lock = File::create(scratch().join("debian.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        if !guests.join(&name).is_dir() {
            for stale in fs::read_dir(&guests).unwrap().map(|entry| entry.unwrap().file_name()) {
                if stale.to_string_lossy().starts_with("debian-") {
                    pandacap(home()).args(["guest", "rm", "--force"]).arg(stale).assert().success();
                }
            }
            build(&name, &guests.join(&name));
        }
        name
    })
}

fn build(name: &str, folder: &Path) {
    let root = rustix::process::geteuid().is_root();
    let mut build = Process::new(if root { "env" } else { "sudo" });
    build.arg(checkout::pandacap()).arg("--home").arg(home());
    run(build.args(["guest", "build", "debian", "--name", name]));
    if !root {
        let me = format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        run(Process::new("sudo").args(["chown", "-R", &me]).arg(folder));
    }
}

/// The same guest with a warm state: machines resume from it unless they are given `--cold`.
pub fn warm_debian() -> &'static str {
    static WARM: OnceLock<()> = OnceLock::new();
    WARM.get_or_init(|| {
        pandacap(home()).args(["guest", "warm", debian()]).assert().success();
    });
    debian()
}

/// A running `pandacap rec` of the Debian guest, with its SSH port forwarded.
pub struct Machine {
    dir: TempDir,
    rec: Child,
    port: u16,
    key: PathBuf,
    /// How many recordings were already returned to the test.
    seen: usize,
}

impl Machine {
    /// Starts a run with these options of `pandacap rec`.
    pub fn start(guest: &str, options: &[&str]) -> Machine {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(dir.path().join(name)).unwrap();
        let mut rec = process(home());
        rec.args(["--json", "rec", "--name", "r", "--port-fwd", "ssh:0:l", "--guest", guest, "--out"]);
        rec.arg(dir.path().join("traces")).args(options);
        let rec = rec.stdin(Stdio::null()).stdout(file("report")).stderr(file("said")).spawn().unwrap();
        let key = home().join("guests").join(guest).join("ssh_key");
        let mut machine = Machine { dir, rec, port: 0, key, seen: 0 };
        machine.port = machine.wait_for("the forwarded port", |machine| {
            let said = machine.said();
            let line = said.lines().find(|line| line.starts_with("port 22 of the guest is port "))?;
            line.split(' ').nth(7)?.parse().ok()
        });
        machine
    }

    /// The output of `pandacap rec` so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap()
    }

    fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&Machine) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.rec.try_wait().unwrap();
            let late = began.elapsed() > PATIENCE;
            assert!(!late && ended.is_none(), "no {what} ({ended:?}); {}", self.said());
            sleep(Duration::from_millis(50));
        }
    }

    /// The banner of the guest's SSH server, as soon as it answers.
    pub fn banner(&mut self) -> String {
        self.wait_for("SSH server", |machine| {
            let stream = TcpStream::connect(("127.0.0.1", machine.port)).ok()?;
            // A busy guest takes its time, and one that is hung up on has all the more to do.
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).ok()?;
            line.starts_with("SSH-").then_some(line)
        })
    }

    /// An SSH login as `user` that runs the shell command `command`, or is interactive without one.
    pub fn ssh(&self, user: &str, options: &[&str], command: &str) -> Process {
        let mut ssh = Process::new("ssh");
        ssh.args(["-q", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=100", "-o"]);
        ssh.args(["StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i"]).arg(&self.key);
        ssh.args(options).arg("-p").arg(self.port.to_string()).arg(format!("{user}@127.0.0.1"));
        ssh.args((!command.is_empty()).then_some(command)).stdin(Stdio::null());
        ssh
    }

    /// What a user sees who logs in and types `keys`.
    pub fn interactive(&mut self, user: &str, keys: &str) -> String {
        let output = self.wait_for("login", |machine| {
            let mut ssh =
                machine.ssh(user, &["-tt"], "").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            ssh.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
            let output = ssh.wait_with_output().unwrap();
            (output.status.code() != Some(255)).then_some(output)
        });
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs it as soon as a login succeeds.
    fn login(&mut self, user: &str, command: &str) -> Output {
        self.wait_for("login", |machine| {
            let output = machine.ssh(user, &[], command).output().unwrap();
            (output.status.code() != Some(255)).then_some(output)
        })
    }

    /// The output of `command`, which must succeed without errors.
    pub fn run(&mut self, user: &str, command: &str) -> String {
        let output = self.login(user, command);
        let [out, complaint] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(
            output.status.success() && complaint.is_empty(),
            "{command}: {out}{complaint}{}",
            self.said()
        );
        out
    }

    /// The error output of `command`, which must fail.
    pub fn fail(&mut self, user: &str, command: &str) -> String {
        let output = self.login(user, command);
        assert!(!output.status.success(), "{command}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// recctrl's events so far.
    pub fn events(&self) -> Vec<Value> {
        let events = fs::read_to_string(self.dir.path().join("traces/.r.partial/events.jsonl"));
        let events = events.unwrap_or_default();
        events.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until `count` more recordings are complete than at the last call; returns their names, unnumbered.
    pub fn recorded(&mut self, count: usize) -> Vec<String> {
        let before = self.seen;
        self.seen += count;
        let names = self.wait_for(&format!("{count} recordings more"), |machine| {
            let events = machine.events();
            let ended = events.iter().filter(|event| event["event"] == "ended");
            let names: Vec<_> = ended.map(|event| event["name"].as_str().unwrap().to_owned()).collect();
            (names.len() >= before + count).then_some(names)
        });
        names[before..].iter().map(|name| name[..name.len() - "_000".len()].to_owned()).collect()
    }

    /// Turns the machine off without a shutdown.
    pub fn power_off(&mut self) {
        let _ = self.ssh("root", &[], "poweroff -ff").output().unwrap();
    }

    /// Waits until the run has ended; returns its exit code, its traces' manifests, and its output.
    pub fn ended(&mut self) -> (Option<i32>, Vec<Value>, String) {
        let began = Instant::now();
        while self.rec.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.said());
            sleep(Duration::from_millis(50));
        }
        let report = fs::read(self.dir.path().join("report")).unwrap();
        let traces = serde_json::from_slice(&report).unwrap_or_default();
        (self.rec.wait().unwrap().code(), traces, self.said())
    }

    /// Waits until the run has ended with a single trace, and brings it to `folder`; returns where it is there.
    pub fn kept(mut self, name: &str, folder: &Path) -> PathBuf {
        let (code, _, said) = self.ended();
        assert_eq!(code, Some(0), "{said}");
        let name = format!("r-{name}");
        run(Process::new("mv").arg(self.dir.path().join("traces").join(&name)).arg(folder));
        folder.join(name)
    }

    /// Waits until the run has ended, and asserts that these are its traces, all verified and ended by the guest;
    /// returns the size of their common overlay in bytes.
    pub fn traced(mut self, names: &[&str]) -> u64 {
        let (code, traces, said) = self.ended();
        assert_eq!(code, Some(0), "{said}");
        let found: Vec<_> = traces.iter().map(|trace| trace["name"].as_str().unwrap()).collect();
        let expected: Vec<String> = names.iter().map(|name| format!("r-{name}")).collect();
        assert_eq!(found, expected);
        for trace in &traces {
            assert_eq!(trace["verification"]["replayed"], true, "{trace:#}");
            assert_eq!(trace["recording"]["ended"], "guest", "{trace:#}");
        }
        traces[0]["files"]["disk.qcow2"]["bytes"].as_u64().unwrap()
    }
}

/// A machine does not outlive a test that fails.
impl Drop for Machine {
    fn drop(&mut self) {
        // Only if it is still running, because otherwise its id may have been reused.
        if let Ok(None) = self.rec.try_wait() {
            let _ = self.rec.kill();
            let _ = self.rec.wait();
        }
    }
}
