//! Tries to break out of PANDA, at load and from a callback, and reports what worked: `NAME yes` or
//! `NAME no ERROR`, one line for each attempt.

use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixStream};

use panda_plugin::{Argument, Arguments, Callback, Cpu, Plugin, argument};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn execv(path: *const c_char, argv: *const *const c_char) -> c_int;
    fn _exit(status: c_int) -> !;
}

pub struct Hostile {
    /// The targets: a key, a file and a folder of the user, the trace, sockets.
    places: Vec<String>,
    tried: bool,
}

impl Plugin for Hostile {
    const NAME: &'static CStr = c"hostile";
    const ARGUMENTS: &'static [Argument] =
        &[argument("places", "", "what to try, one per line, in hexadecimal"), argument("from", "", "where to try it as well")];
    const CALLBACKS: &'static [Callback] = &[Callback::Block];

    fn load(arguments: &Arguments) -> Result<Hostile, Box<dyn Error>> {
        // In hexadecimal, because PANDA gets access to paths that a plugin's arguments name.
        let digits = arguments.text("places");
        let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
        let text = String::from_utf8(bytes.collect::<Result<_, _>>()?)?;
        let plugin = Hostile { places: text.lines().map(str::to_owned).collect(), tried: arguments.text("from") != "block" };
        plugin.attack("load")?;
        Ok(plugin)
    }

    fn before_block(&mut self, _cpu: Cpu<'_>) {
        if !self.tried {
            self.tried = true;
            self.attack("block").expect("the work folder can be written to");
        }
    }
}

/// The result of a system call.
fn call(number: c_long, arguments: [usize; 6]) -> io::Result<usize> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: each try passes numbers, or addresses of what lives on.
    let answer = unsafe { syscall(number, a, b, c, d, e, f) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as usize) }
}

fn string(text: &str) -> CString {
    CString::new(text).expect("no zero in it")
}

impl Hostile {
    fn attack(&self, from: &str) -> io::Result<()> {
        let mut out = File::create(format!("tries.{from}"))?;
        let mut write = |name: &str, result: io::Result<()>| match result {
            Ok(()) => writeln!(out, "{name} yes"),
            Err(error) => writeln!(out, "{name} no {error}"),
        };
        self.files(&mut write)?;
        self.network(&mut write)?;
        processes(&mut write)?;
        kernel(&mut write)?;
        write("environment", std::env::var("PANDACAP_TEST_SECRET").map(drop).map_err(io::Error::other))
    }

    fn files(&self, write: &mut dyn FnMut(&str, io::Result<()>) -> io::Result<()>) -> io::Result<()> {
        let [key, file, folder, trace, name] = [0, 1, 2, 3, 4].map(|at| self.places[at].as_str());
        let parent = std::os::unix::process::parent_id();
        write("read_key", fs::read(key).map(drop))?;
        write("read_shadow", fs::read("/etc/shadow").map(drop))?;
        write("read_passwd", fs::read("/etc/passwd").map(drop))?;
        write("read_parents_environment", fs::read(format!("/proc/{parent}/environ")).map(drop))?;
        write("open_parents_memory", File::open(format!("/proc/{parent}/mem")).map(drop))?;
        write("list_root", fs::read_dir("/").map(drop))?;
        write("list_folder", fs::read_dir(folder).map(drop))?;
        write("write_beside", fs::write(format!("{folder}/made"), "x"))?;
        write("write_parent_folder", fs::write("../made", "x").and_then(|()| fs::remove_file("../made")))?;
        write("write_tmp", fs::write("/tmp/pandacap-hostile", "x").and_then(|()| fs::remove_file("/tmp/pandacap-hostile")))?;
        write("append", OpenOptions::new().append(true).open(file).map(drop))?;
        write("truncate", call(76, [string(file).as_ptr() as usize, 1, 0, 0, 0, 0]).map(drop))?;
        write("chmod", fs::set_permissions(file, fs::Permissions::from_mode(0o666)))?;
        write("rename", fs::rename(file, format!("{file}.x")).and_then(|()| fs::rename(format!("{file}.x"), file)))?;
        write("hard_link", fs::hard_link(key, "stolen").and_then(|()| fs::remove_file("stolen")))?;
        write("symbolic_link", symlink(key, "link").and_then(|()| fs::remove_file("link")))?;
        write("write_to_trace", fs::write(format!("{trace}/made"), "x"))?;
        let log = format!("{trace}/{name}-rr-nondet.log");
        write("open_log_for_writing", OpenOptions::new().write(true).open(log).map(drop))?;
        let setuid = OpenOptions::new().write(true).create(true).mode(0o4755).open("setuid").map(drop);
        let _ = fs::remove_file("setuid");
        write("setuid_file", setuid)?;
        let node = call(133, [c"node".as_ptr() as usize, 0o020_600, 0x0103, 0, 0, 0]).map(drop);
        let _ = fs::remove_file("node");
        write("device_node", node)?;
        for device in ["/dev/kvm", "/dev/ptmx", "/dev/mem", "/dev/fuse", "/dev/net/tun"] {
            let opened = OpenOptions::new().read(true).write(true).open(device).map(drop);
            write(&format!("open_{}", device[5..].replace('/', "_")), opened)?;
        }
        Ok(())
    }

    fn network(&self, write: &mut dyn FnMut(&str, io::Result<()>) -> io::Result<()>) -> io::Result<()> {
        let [tcp, unix, hidden] = [5, 6, 7].map(|at| self.places[at].as_str());
        write("connect", TcpStream::connect(format!("127.0.0.1:{tcp}")).map(drop))?;
        write("connect_unix", UnixStream::connect(unix).map(drop))?;
        let address = SocketAddr::from_abstract_name(hidden)?;
        write("connect_abstract", UnixStream::connect_addr(&address).map(drop))?;
        let udp = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", format!("127.0.0.1:{tcp}")));
        write("send_datagram", udp.map(drop))?;
        write("listen", TcpListener::bind("127.0.0.1:0").map(drop))?;
        write("listen_everywhere", TcpListener::bind("0.0.0.0:0").map(drop))?;
        // AF_INET6, AF_NETLINK, AF_VSOCK, AF_ALG as streams or whatever they support.
        for (name, family, kind) in
            [("inet6", 10, 1), ("netlink", 16, 3), ("packet", 17, 3), ("alg", 38, 5), ("raw", 2, 3)]
        {
            write(&format!("socket_{name}"), call(41, [family, kind, 0, 0, 0, 0]).map(drop))?;
        }
        let stream = call(41, [2, 1, 0, 0, 0, 0]);
        let port: u16 = tcp.parse().map_err(io::Error::other)?;
        let mut to = [2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0_u8];
        to[2..4].copy_from_slice(&port.to_be_bytes());
        // MSG_FASTOPEN connects by sending.
        let sent = stream.and_then(|socket| {
            call(44, [socket, b"x".as_ptr() as usize, 1, 0x2000_0000, to.as_ptr() as usize, 16])
        });
        write("connect_by_sending", sent.map(drop))
    }
}

/// Runs it in a child if that is possible, else in the process itself, where it can then do no harm.
fn execute(path: &CStr) -> io::Result<()> {
    let arguments = [path.as_ptr(), c"-c".as_ptr(), c"exit 7".as_ptr(), std::ptr::null()];
    // SAFETY: the child calls nothing but execv and _exit.
    match unsafe { fork() } {
        0 => unsafe {
            execv(path.as_ptr(), arguments.as_ptr());
            _exit(1)
        },
        -1 => {
            // SAFETY: the path and the arguments are C strings, with null at the end.
            unsafe { execv(path.as_ptr(), arguments.as_ptr()) };
            Err(io::Error::last_os_error())
        }
        child => {
            let mut status = 0;
            // SAFETY: `status` is there to be written to.
            unsafe { waitpid(child, &raw mut status, 0) };
            if status == 7 << 8 { Ok(()) } else { Err(io::Error::other("it did not run")) }
        }
    }
}

fn processes(write: &mut dyn FnMut(&str, io::Result<()>) -> io::Result<()>) -> io::Result<()> {
    let parent = std::os::unix::process::parent_id() as usize;
    // SAFETY: the child ends at once.
    let forked = match unsafe { fork() } {
        0 => unsafe { _exit(0) },
        -1 => Err(io::Error::last_os_error()),
        child => {
            // SAFETY: waits for the child just made.
            unsafe { waitpid(child, std::ptr::null_mut(), 0) };
            Ok(())
        }
    };
    write("fork", forked)?;
    write("vfork", std::process::Command::new("/bin/true").status().map(drop))?;
    write("execute_shell", execute(c"/bin/sh"))?;
    let _ = fs::copy("/bin/sh", "sh");
    let _ = fs::set_permissions("sh", fs::Permissions::from_mode(0o755));
    write("execute_own_file", execute(c"./sh"))?;
    let _ = fs::remove_file("sh");
    let memory = call(319, [c"x".as_ptr() as usize, 0, 0, 0, 0, 0]);
    write("memory_file", memory.map(drop))?;
    let no = call(322, [0, c"".as_ptr() as usize, 0, 0, 0x1000, 0]);
    write("execute_descriptor", match no {
        // Standard input is not a program, but if executing it may be attempted, a program could be executed.
        Err(error) if error.raw_os_error() == Some(13) || error.raw_os_error() == Some(8) => Ok(()),
        other => other.map(drop),
    })?;
    let attach = call(101, [16, parent, 0, 0, 0, 0]).map(|_| {
        // SAFETY: waits for the parent to stop, and lets it go on.
        unsafe { waitpid(parent as c_int, std::ptr::null_mut(), 0x4000_0000) };
        let _ = call(101, [17, parent, 0, 0, 0, 0]);
    });
    write("ptrace", attach)?;
    let mut byte = 0_u8;
    let own = [&raw mut byte as usize, 1];
    let theirs = own;
    let read = call(310, [parent, own.as_ptr() as usize, 1, theirs.as_ptr() as usize, 1, 0]);
    write("read_process", match read {
        // Allowed, though there is nothing at that address.
        Err(error) if error.raw_os_error() == Some(14) => Ok(()),
        other => other.map(drop),
    })?;
    const SIGCONT: usize = 18;
    write("signal", call(62, [parent, SIGCONT, 0, 0, 0, 0]).map(drop))?;
    write("signal_thread", call(234, [parent, parent, SIGCONT, 0, 0, 0]).map(drop))?;
    write("signal_one", call(200, [parent, SIGCONT, 0, 0, 0, 0]).map(drop))?;
    let pidfd = call(434, [parent, 0, 0, 0, 0, 0]);
    let sent = pidfd.and_then(|pidfd| call(424, [pidfd, SIGCONT, 0, 0, 0, 0]));
    write("signal_descriptor", sent.map(drop))?;
    write("priority", call(141, [0, parent, 0, 0, 0, 0]).map(drop))?;
    // PR_SET_PDEATHSIG: to outlive pandacap.
    write("outlive", call(157, [1, 0, 0, 0, 0, 0]).map(drop))
}

fn kernel(write: &mut dyn FnMut(&str, io::Result<()>) -> io::Result<()>) -> io::Result<()> {
    let same = usize::MAX;
    write("setresuid", call(117, [same, same, same, 0, 0, 0]).map(drop))?;
    write("setresgid", call(119, [same, same, same, 0, 0, 0]).map(drop))?;
    let _ = fs::create_dir("mountpoint");
    let [none, kind, place] = [c"none", c"tmpfs", c"mountpoint"].map(|text| text.as_ptr() as usize);
    let mounted = call(165, [none, place, kind, 0, 0, 0]);
    if mounted.is_ok() {
        let _ = call(166, [place, 0, 0, 0, 0, 0]);
    }
    let _ = fs::remove_dir("mountpoint");
    write("mount", mounted.map(drop))?;
    write("unshare", call(272, [0x0400_0000, 0, 0, 0, 0, 0]).map(drop))?;
    write("chroot", call(161, [c"/".as_ptr() as usize, 0, 0, 0, 0, 0]).map(drop))?;
    let parameters = [0_u8; 120];
    write("io_uring", call(425, [1, parameters.as_ptr() as usize, 0, 0, 0, 0]).map(drop))?;
    // A map with one entry.
    let map = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    write("bpf", call(321, [0, map.as_ptr() as usize, 48, 0, 0, 0]).map(drop))?;
    write("userfaultfd", call(323, [1, 0, 0, 0, 0, 0]).map(drop))?;
    // KEYCTL_GET_KEYRING_ID of the session, created if it does not exist.
    write("keyring", call(250, [0, -3_isize as usize, 1, 0, 0, 0]).map(drop))?;
    let mut attribute = [0_u8; 128];
    attribute[0] = 1;
    attribute[4] = 128;
    write("perf_event", call(298, [attribute.as_ptr() as usize, 0, same, same, 0, 0]).map(drop))?;
    write("personality", call(135, [0x0004_0000, 0, 0, 0, 0, 0]).map(drop))?;
    let limit = [u64::MAX, u64::MAX];
    write("raise_limit", call(302, [0, 4, limit.as_ptr() as usize, 0, 0, 0]).map(drop))?;
    let stdout = io::stdout().as_raw_fd() as usize;
    write("type_into_terminal", call(16, [stdout, 0x5412, b"x".as_ptr() as usize, 0, 0, 0]).map(drop))
}

panda_plugin::export!(Hostile);
