//! Our header against the headers of real PANDAs: 2021's and 2024's wheels, for both widths of guest addresses.
//!
//! The wheels come from PyPI by pip, once, into cargo's folder for test files.

use std::{
    fs,
    mem::{offset_of, size_of},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use panda_sys::{panda_arg, panda_arg_list, panda_cb_with_context};

/// A wheel with headers, and whether PANDA's own library is in it too.
const WHEELS: [&str; 2] = ["0.1.1.5", "1.8.85"];

/// Types that the wheels' headers use and leave to others.
const BEFORE: &str = r#"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
typedef struct CPUState CPUState;
typedef struct CPUArchState CPUArchState;
typedef struct TranslationBlock TranslationBlock;
typedef struct MemoryRegion MemoryRegion;
typedef struct MachineState MachineState;
typedef struct Monitor Monitor;
typedef struct GArray GArray;
typedef char gchar;
typedef int target_pid_t;
typedef uint32_t MemTxResult;
typedef uint64_t hwaddr, ram_addr_t;
"#;

const HEADERS: &str = r#"
#include "rr_types.h"
#include "panda_datatypes.h"
#include "exec-all.h"
#include "rr_api.h"
#include "plugin.h"
#include "common.h"
#define PANDA_HEADERS
#include "panda_abi.h"
"#;

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The folder of one wheel's headers, downloaded if it is not there yet.
fn headers(version: &str) -> PathBuf {
    let wheel = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pandare-{version}"));
    if !wheel.is_dir() {
        let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        run(Command::new("python3")
            .args(["-m", "pip", "download", "--no-deps", "--quiet", "-d"])
            .arg(fresh.path())
            .arg(format!("pandare=={version}")));
        let mut files = fs::read_dir(fresh.path()).expect("downloaded");
        let file = files.next().expect("a wheel").expect("readable").path();
        let unpacked = fresh.path().join("unpacked");
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(file).arg(&unpacked));
        // A test beside this one may have been faster: its folder is as good.
        if let Err(error) = fs::rename(&unpacked, &wheel) {
            assert!(wheel.is_dir(), "{}: {error}", wheel.display());
        }
    }
    wheel.join("pandare/data/pypanda/include")
}

/// Compiles `checks` behind the headers of one wheel, with guest addresses of `width` bits.
fn compile(version: &str, width: u32, checks: &str) -> Output {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let source = dir.path().join("check.c");
    let widths = format!("typedef uint{width}_t target_ulong; typedef int{width}_t target_long;\n");
    fs::write(&source, [BEFORE, &widths, HEADERS, checks].concat()).expect("write");
    let mut cc = Command::new("cc");
    cc.args(["-w", "-std=gnu11", "-fsyntax-only", "-I"]).arg(headers(version));
    cc.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include")).arg(&source);
    cc.output().expect("a C compiler: apt-get install gcc")
}

/// What our bindings say, as assertions for the C compiler to hold against PANDA's own types.
fn bindings() -> String {
    let same = |what: &str, ours: i64| format!("_Static_assert(({what}) == {ours}, \"{what}\");\n");
    let layout = |what: &str, ours: usize| same(what, ours as i64);
    [
        same("RR_NOCHANGE", panda_sys::RR_NOCHANGE.into()),
        same("RR_OFF", panda_sys::RR_OFF.into()),
        same("RR_RECORD", panda_sys::RR_RECORD.into()),
        same("RR_REPLAY", panda_sys::RR_REPLAY.into()),
        same("RRCTRL_EINVALID", panda_sys::RRCTRL_EINVALID.into()),
        same("RRCTRL_EPENDING", panda_sys::RRCTRL_EPENDING.into()),
        same("RRCTRL_OK", panda_sys::RRCTRL_OK.into()),
        layout("sizeof(panda_cb_type)", size_of::<panda_sys::panda_cb_type>()),
        layout("sizeof(panda_cb_with_context)", size_of::<panda_cb_with_context>()),
        layout("sizeof(panda_arg)", size_of::<panda_arg>()),
        layout("offsetof(panda_arg, argptr)", offset_of!(panda_arg, argptr)),
        layout("offsetof(panda_arg, key)", offset_of!(panda_arg, key)),
        layout("offsetof(panda_arg, value)", offset_of!(panda_arg, value)),
        layout("sizeof(panda_arg_list)", size_of::<panda_arg_list>()),
        layout("offsetof(panda_arg_list, nargs)", offset_of!(panda_arg_list, nargs)),
        layout("offsetof(panda_arg_list, list)", offset_of!(panda_arg_list, list)),
        layout("offsetof(panda_arg_list, plugin_name)", offset_of!(panda_arg_list, plugin_name)),
        // The callback that we register, by type and by the bounds within which its number is looked for.
        "static bool ours(void *context, CPUState *cpu);\n".to_owned(),
        "panda_cb_with_context callback = { .guest_hypercall = ours };\n".to_owned(),
        "static void block(void *context, CPUState *cpu, TranslationBlock *tb);\n".to_owned(),
        "panda_cb_with_context blocks = { .before_block_exec = block };\n".to_owned(),
        "static bool asid(void *context, CPUState *cpu, target_ulong before, target_ulong after);\n".to_owned(),
        "panda_cb_with_context asids = { .asid_changed = asid };\n".to_owned(),
        "static void top(void *context, CPUState *cpu);\n".to_owned(),
        "panda_cb_with_context tops = { .top_loop = top };\n".to_owned(),
        "static bool picked(void *context, CPUState *cpu, target_ulong pc);\n".to_owned(),
        "panda_cb_with_context picks = { .insn_translate = picked };\n".to_owned(),
        "static int reached(void *context, CPUState *cpu, target_ulong pc);\n".to_owned(),
        "panda_cb_with_context reaches = { .insn_exec = reached };\n".to_owned(),
        "_Static_assert(PANDA_CB_INSN_TRANSLATE >= 4 && PANDA_CB_INSN_TRANSLATE <= 7, \"number\");\n".to_owned(),
        "_Static_assert(PANDA_CB_INSN_EXEC >= 5 && PANDA_CB_INSN_EXEC <= 8, \"number\");\n".to_owned(),
        "_Static_assert(PANDA_CB_BEFORE_BLOCK_EXEC >= 2 && PANDA_CB_BEFORE_BLOCK_EXEC <= 5, \"number\");\n".to_owned(),
        "_Static_assert(PANDA_CB_ASID_CHANGED > PANDA_CB_BEFORE_LOADVM && PANDA_CB_ASID_CHANGED <= 28, \"number\");\n"
            .to_owned(),
        "_Static_assert(PANDA_CB_TOP_LOOP >= 40 && PANDA_CB_TOP_LOOP <= 42, \"number\");\n".to_owned(),
        "_Static_assert(PANDA_CB_GUEST_HYPERCALL >= 20 && PANDA_CB_GUEST_HYPERCALL <= 23, \"number\");\n"
            .to_owned(),
    ]
    .concat()
}

#[test]
fn our_types_constants_and_signatures_are_those_of_every_panda() {
    for version in WHEELS {
        for width in [32, 64] {
            let output = compile(version, width, &bindings());
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "PANDA {version}, {width} bits:\n{errors}");
        }
    }
}

#[test]
fn a_signature_that_differs_would_be_seen() {
    let output = compile(WHEELS[0], 64, "int panda_record_begin(int name);\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("conflicting types"), "{errors}");
}

#[test]
fn a_number_that_differs_would_be_seen() {
    let output = compile(WHEELS[0], 64, "_Static_assert(RR_RECORD == 3, \"RR_RECORD\");\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("static assertion failed"), "{errors}");
}
