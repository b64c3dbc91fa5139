//! A guest program for tests and benchmarks: raw hypercalls, exact marks in memory and in the log, and bad calls.
//!
//! Compiled on its own by the harness: `rustc -O -C target-feature=+crt-static tests/guest/probe.rs`.

use std::{
    arch::asm,
    env,
    fs::{self, File},
    io::Read,
    process::exit,
    time::Instant,
};

const MAGIC: u64 = 0x666;
const TOGGLE: i32 = -100;

unsafe extern "C" {
    fn iopl(level: i32) -> i32;
    fn fork() -> i32;
    fn wait(status: *mut i32) -> i32;
    fn nice(increment: i32) -> i32;
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn setitimer(which: i32, new: *const [i64; 4], old: *mut [i64; 4]) -> i32;
}

/// One hypercall: action and arguments in, all four registers out.
fn hypercall(action: i32, first: u64, second: u64) -> [u64; 4] {
    call(MAGIC, action, first, second)
}

/// The same for any plugin's magic.
fn call(magic: u64, action: i32, first: u64, second: u64) -> [u64; 4] {
    let (mut a, mut b, mut c, mut d) = (magic, action as u32 as u64, first, second);
    // SAFETY: a cpuid changes these four registers and nothing else of ours.
    unsafe {
        asm!("xchg {b}, rbx", "cpuid", "xchg {b}, rbx", b = inout(reg) b,
             inout("rax") a, inout("rcx") c, inout("rdx") d);
    }
    [a, b, c, d]
}

/// How many turns the loop after a start has made; found in a snapshot by its text.
#[repr(C, align(4096))]
struct Mark {
    text: [u8; 32],
    turns: u64,
}

/// What the harness looks for in the snapshot, with the recording's name behind it; in two halves, so that the program
/// file does not hold it.
const HALVES: [&[u8; 8]; 2] = [b"pandacap", b"-mark-of"];

/// Starts with a toggle, counts the turns of a loop, stops with a toggle, and keeps reading a port.
///
/// Every 2-byte port read is in the log, and nothing else in this guest reads two bytes. The first one follows
/// the start at once, the second one comes five instructions before the end of the stop's cpuid, and what comes
/// after that was recorded behind the stop.
fn gap(name: &str) {
    let mut mark = Box::new(Mark { text: [b':'; 32], turns: 0 });
    for (i, half) in HALVES.iter().enumerate() {
        mark.text[8 * i..8 * i + 8].copy_from_slice(*half);
    }
    mark.text[16..16 + name.len()].copy_from_slice(name.as_bytes());
    let mut buffer = [0u8; 128];
    buffer[..name.len()].copy_from_slice(name.as_bytes());
    let (started, stopped, turns): (u64, u64, u64);
    // SAFETY: ports may be read (iopl), the mark and the name are ours, RBX is kept.
    unsafe {
        assert_eq!(iopl(3), 0, "port access");
        asm!(
            "push rbx",
            "mov r13d, 0x666", "mov eax, r13d", "mov ebx, {toggle}", "mov rcx, r8", "mov edx, 0x80", "cpuid",
            "mov r12, rax", "in ax, dx",
            "2:", "inc qword ptr [r9]", "mov r10, [r9]", "cmp r10, r11", "jb 2b",
            "mov edx, 0x80", "in ax, dx",
            "mov eax, r13d", "mov ebx, {toggle}", "mov rcx, r8", "nop", "cpuid",
            "mov r14, rax", "xor r15d, r15d",
            "3:", "mov edx, 0x80", "in ax, dx", "inc r15", "cmp r15, 20000", "jb 3b",
            "pop rbx",
            toggle = const TOGGLE,
            in("r8") buffer.as_ptr(), in("r9") &raw mut mark.turns, in("r11") 3_000_000u64,
            out("r10") _, out("r12") started, out("r13") _, out("r14") stopped, out("r15") turns,
            out("rax") _, out("rcx") _, out("rdx") _,
        );
    }
    println!("gap started={} stopped={} turns={turns}", started as i32, stopped as i32);
}

/// Nanoseconds for one cpuid that is no hypercall, without the loop around it.
///
/// The best of many short rounds, because other load on the host only makes a round longer.
fn cpuid(rounds: u64) {
    const TURNS: u64 = 100_000;
    let round = |body: fn()| {
        let begin = Instant::now();
        for _ in 0..TURNS {
            body();
        }
        begin.elapsed().as_nanos() as f64 / TURNS as f64
    };
    let time = |body: fn()| (0..rounds).map(|_| round(body)).fold(f64::INFINITY, f64::min);
    let with = time(|| {
        // SAFETY: changes these registers and nothing else of ours.
        unsafe {
            asm!("mov {b}, rbx", "cpuid", "mov rbx, {b}", b = out(reg) _, inout("rax") 0u64 => _,
                 inout("rcx") 0u64 => _, out("rdx") _);
        }
    });
    let without = time(|| {
        // SAFETY: as above, without the instruction that is measured.
        unsafe {
            asm!("mov {b}, rbx", "nop", "mov rbx, {b}", b = out(reg) _, inout("rax") 0u64 => _,
                 inout("rcx") 0u64 => _, out("rdx") _);
        }
    });
    println!("cpuid ns={:.2}", with - without);
}

/// A random number generator with a fixed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Names with `..`, absolute paths, binary data and invalid characters, and invalid pointers.
fn hostile_names(count: u64) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for i in 0..count {
        let fixed: &[&[u8]] = &[
            b"../escape\0", b"/etc/passwd\0", b"nodir/x\0", b"\0", b".\0", b"..\0", b"precious\0", b"x.rr2\0",
            b"a\nb\0", b"%s%n%x\0", b"$(reboot)\0", b"-rf\0", b"\xff\xfe\0", b"../../../../tmp/escape\0",
        ];
        let mut name = vec![0u8; 256];
        match fixed.get(i as usize) {
            Some(text) => name[..text.len()].copy_from_slice(text),
            None => name.iter_mut().for_each(|byte| *byte = dice.roll() as u8),
        }
        let address = match i % 10 {
            8 => dice.roll(),
            9 => 0xffff_8000_0000_0000 | dice.roll() >> 20,
            _ => name.as_ptr() as u64,
        };
        let started = hypercall(1002, address, 0)[0] as i32;
        let stopped = hypercall(1003, 0, 0)[0] as i32;
        println!("hostile {i} {started} {stopped}");
    }
}

/// Maps new memory and writes to each page of it.
fn touch(pages: usize) {
    let mut memory: Vec<u8> = Vec::with_capacity(pages << 12);
    memory.spare_capacity_mut().iter_mut().step_by(1 << 12).for_each(|byte| _ = byte.write(1));
    std::hint::black_box(&mut memory);
}

/// Forks a child that exits at once, and waits for it.
fn bear() {
    // SAFETY: there is one thread; the child does nothing but end.
    unsafe {
        if fork() == 0 {
            exit(0);
        }
        wait(std::ptr::null_mut());
    }
}

/// Copies random bytes to a file.
fn copy() {
    let mut bytes = [0; 1 << 16];
    let copied = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
    copied.and_then(|()| fs::write("/tmp/load", bytes)).expect("a file of random bytes");
}

fn compute(turns: u64) {
    let mut number = 1.0f64;
    for _ in 0..turns {
        number = std::hint::black_box(number * 1.000_000_1 + 1e-9 / number);
    }
}

/// Keeps the guest busy forever, in every way at once: four processes.
fn load() {
    extern "C" fn tick(_: i32) {}
    let loads: [fn(); 4] = [
        || compute(1 << 20),
        || touch(256),
        bear,
        || {
            // SAFETY: the handler does nothing; SIGALRM every millisecond.
            unsafe {
                signal(14, tick);
                setitimer(0, &[0, 1000, 0, 1000], std::ptr::null_mut());
            }
            copy();
        },
    ];
    for load in loads {
        // SAFETY: there is one thread.
        if unsafe { fork() } == 0 {
            loop {
                load();
            }
        }
    }
}

/// Does a fixed amount of work.
fn work(rounds: u64) {
    for _ in 0..rounds {
        compute(20_000);
        touch(16);
        bear();
        fs::read("/proc/self/stat").expect("a process of its own");
    }
}

/// Starts a recording, works a little, and stops it, again and again, with more of the guest's time than the others.
fn cycles(count: u64) {
    // SAFETY: it changes nothing but the priority.
    unsafe { nice(-10) };
    let exact = (0..count).filter(|_| {
        let started = hypercall(1002, c"cycle".as_ptr() as u64, 0)[0] as i32;
        compute(20_000);
        touch(16);
        (started, hypercall(1003, 0, 0)[0] as i32) == (1, 2)
    });
    println!("cycles {count} exact={}", exact.count());
}

/// A system call that libc has no part in.
fn raw(number: i64, arguments: [i64; 4]) -> i64 {
    let result;
    // SAFETY: the calls below take numbers, and addresses of what lives longer than they take.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1],
             in("rdx") arguments[2], in("r10") arguments[3], out("rcx") _, out("r11") _);
    }
    result
}

/// The same as 32-bit programs make them.
fn raw_32(number: i64) -> i64 {
    let result;
    // SAFETY: calls without arguments.
    unsafe {
        asm!("int 0x80", inlateout("rax") number => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    result
}

const GETPPID: i64 = 110;
const GETPGRP: i64 = 111;
const KILL: i64 = 62;

extern "C" fn inner(_: i32) {
    raw(GETPGRP, [0; 4]);
}

extern "C" fn outer(_: i32) {
    raw(KILL, [raw(39, [0; 4]), 12, 0, 0]);
    raw(GETPPID, [0; 4]);
}

/// Makes system calls that are known by construction, between two that do not exist: `tests/it/analyze.rs` has the list.
fn calls() {
    for (number, handler) in [(14, inner as extern "C" fn(i32)), (10, outer), (12, inner)] {
        // SAFETY: the handlers make system calls and nothing else.
        unsafe { signal(number, handler) };
    }
    raw(1000, [0; 4]);
    for _ in 0..100 {
        raw(39, [0; 4]);
    }
    for _ in 0..10 {
        raw_32(20);
    }
    // A call that a signal interrupts.
    let soon = [0_i64, 0, 0, 20_000];
    raw(38, [0, soon.as_ptr() as i64, 0, 0]);
    raw(34, [0; 4]);
    // A signal in a signal's handler.
    let own = raw(39, [0; 4]);
    raw(KILL, [own, 10, 0, 0]);
    // A child that ends, and one that is killed.
    let child = raw(57, [0; 4]);
    if child == 0 {
        raw(60, [5, 0, 0, 0]);
    }
    raw(61, [child, 0, 0, 0]);
    let child = raw(57, [0; 4]);
    while child == 0 {
        raw(34, [0; 4]);
    }
    raw(KILL, [child, 9, 0, 0]);
    raw(61, [child, 0, 0, 0]);
    raw(1001, [0; 4]);
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let number = |i: usize| arguments.get(i).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    match arguments.get(1).map(String::as_str) {
        // call ACTION [@ADDRESS | TEXT] [LENGTH]
        Some("call") => {
            let text = arguments.get(3).cloned().unwrap_or_default();
            let mut buffer = [0u8; 2048];
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            let address = text.strip_prefix('@').and_then(|hex| u64::from_str_radix(hex, 16).ok());
            let got = hypercall(number(2) as i32, address.unwrap_or(buffer.as_ptr() as u64), number(4) as u64);
            println!("call {} -> {} {:x} {:x} {:x}", arguments[2], got[0] as i32, got[1], got[2], got[3]);
        }
        // magic MAGIC
        Some("magic") => println!("magic {} -> {}", arguments[2], call(number(2) as u64, 0, 0, 0)[0] as u32),
        Some("gap") => gap(&arguments[2]),
        Some("cpuid") => cpuid(number(2) as u64),
        Some("load") => load(),
        Some("cycles") => cycles(number(2) as u64),
        // work ROUNDS
        Some("work") => work(number(2) as u64),
        // flood ACTION COUNT
        Some("flood") => {
            let begin = Instant::now();
            (0..number(3)).for_each(|_| {
                hypercall(number(2) as i32, 0x1000, 5);
            });
            println!("flood {} calls in {} ms", number(3), begin.elapsed().as_millis());
        }
        Some("calls") => calls(),
        Some("hostile-names") => hostile_names(number(2) as u64),
        // mischief COUNT: random register values after the magic
        Some("mischief") => {
            let mut dice = Dice(88172645463325252);
            for _ in 0..number(2) {
                let actions = [1000, 1001, 1004, -100, 100, 200, 7, dice.roll() as i32];
                let action = actions[(dice.roll() % 8) as usize];
                // each start costs a snapshot, so make few of them
                let action = if matches!(action, -100 | 100) && dice.roll() % 50 != 0 { 200 } else { action };
                hypercall(action, dice.roll() >> (dice.roll() % 64), dice.roll() >> (dice.roll() % 64));
            }
            hypercall(1003, 0, 0);
            println!("mischief done");
        }
        _ => {
            eprintln!("probe: call, magic, gap, cpuid, load, work, cycles, flood, hostile-names or mischief");
            exit(2);
        }
    }
}
