//! What a guest can reach, and what it can do to its PANDA.

use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use testkit::debian::{Machine, debian, warm_debian};
use testkit::skip::skip;

/// Makes bash connect to a port of the host's loopback, and write this many bytes.
fn send(port: u16, bytes: u32) -> String {
    format!("timeout 20 bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port} && head -c {bytes} /dev/zero >&3'")
}

/// The identification protocol, where QEMU 2.9 copies what a guest sends without a bounds check (CVE-2019-6778). Only
/// root can listen there; without root, the guest's bytes are discarded.
const IDENT: u16 = 113;

/// Listens on a port, and reads everything that arrives.
fn sink(port: u16) -> Option<u16> {
    let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || while stream.read(&mut [0; 65536]).is_ok_and(|read| read > 0) {});
        }
    });
    Some(port)
}

#[test]
fn a_guest_cannot_reach_the_host_but_its_forwarded_port_works() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut machine = Machine::start(warm_debian(), &["--nrec", "1"]);
    machine.fail("root", &send(listener.local_addr().unwrap().port(), 1));
    assert!(listener.accept().is_err(), "the guest has reached the host");
    machine.fail("root", &send(IDENT, 4 << 20));
    assert_eq!(machine.run("root", "echo alive"), "alive\n");
    // The run ends with the recording, and so does the login.
    let _ = machine.ssh("root", &[], "recctrlu run a -- true").output().unwrap();
    machine.traced(&["a"]);
}

#[test]
fn an_open_network_reaches_the_host_and_killing_panda_fails_the_run() {
    let port = sink(0).unwrap();
    let mut machine = Machine::start(debian(), &["--net", "open"]);
    machine.run("root", "recctrlu run a -- true");
    machine.run("root", &send(port, 1));
    if sink(IDENT).is_none() {
        skip("network::a_guest_that_may_reach_the_host...", "port 113 cannot be had");
        return;
    }
    // What is in memory after the buffer varies, so not every attempt kills PANDA.
    let keep_alive = ["-o", "ServerAliveInterval=5"];
    let survives = |machine: &Machine| {
        let _ = machine.ssh("root", &keep_alive, &send(IDENT, 4 << 20)).output();
        machine.ssh("root", &keep_alive, "true").output().unwrap().status.success()
    };
    let _ = (0..20).find(|_| !survives(&machine));
    thread::sleep(Duration::from_secs(1));
    let (code, traces, said) = machine.ended();
    assert_eq!(code, Some(5), "{said}");
    // SIGSEGV, or SIGABRT if the allocator notices.
    assert!([6, 11].map(serde_json::Value::from).contains(&traces[0]["panda_ended"]["signal"]), "{said}");
    assert_eq!(traces[0]["verification"]["replayed"], true);
    assert!(said.contains("PANDA itself was ended by signal"), "{said}");
}
