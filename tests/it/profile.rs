//! Kernel profiles, held against what guests and other programs say of the same kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use kernel_profile::Profile;
use serde_json::Value;
use testkit::program::{home, pandacap, recorded};
use testkit::skip::skip;

/// The name that a symbol has in a profile: that of the function that the compiler made a changed copy of.
fn plain(name: &str) -> &str {
    [".isra.", ".constprop."].iter().find_map(|copy| name.split_once(copy)).map_or(name, |(plain, _)| plain)
}

#[test]
fn the_profile_in_a_trace_is_what_its_guest_says_of_its_kernel() {
    let (_dir, trace) = recorded(&["cat", "/proc/version", "/proc/kallsyms"]);
    let manifest: Value = serde_json::from_slice(&fs::read(trace.join("manifest.json")).unwrap()).unwrap();
    let bytes = fs::metadata(trace.join("profile.json")).unwrap().len();
    assert_eq!(manifest["files"]["profile.json"]["bytes"], bytes, "{manifest:#}");
    assert_eq!(manifest["guest"]["files"]["profile.json"], Value::Null, "it is not booted");
    let profile = Profile::read(&fs::read(trace.join("profile.json")).unwrap()).unwrap();
    let said = fs::read_to_string(trace.join("output.log")).unwrap();
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some(&*profile.banner));
    let mut symbols: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for line in lines {
        let [address, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
        if let Ok(address) = u64::from_str_radix(address, 16) {
            symbols.entry(plain(name)).or_default().insert(address);
            symbols.entry(name).or_default().insert(address);
        }
    }
    assert!(profile.symbols.len() > 400, "{:?}", profile.symbols);
    for (name, address) in &profile.symbols {
        let said = symbols.get(&**name).unwrap_or_else(|| panic!("the guest has no {name}"));
        assert!(said.contains(address), "{name} is at {address:x}, and the guest says {said:x?}");
    }
}

#[test]
fn pandas_own_introspection_follows_a_trace_with_the_guests_kernelinfo() {
    let (dir, trace) = recorded(&["sh", "-c", "ls /; cat /proc/version"]);
    let kernelinfo = pandacap(home()).args(["guest", "profile", "tiny", "--format", "kernelinfo"]).output();
    let conf = dir.path().join("kernelinfo.conf");
    fs::write(&conf, kernelinfo.unwrap().stdout).unwrap();
    let plugin = format!("osi_linux:kconf_file={},kconf_group=tiny:64", conf.display());
    let mut replay = pandacap(home());
    replay.current_dir(dir.path()).arg("replay").arg(&trace).args(["--os", "linux-64-tiny"]);
    let replay =
        replay.args(["--plugin", "osi", "--plugin", &plugin, "--plugin", "asidstory"]).output().unwrap();
    if replay.status.code() == Some(3) {
        return skip("PANDA's osi_linux with a guest's kernelinfo", &String::from_utf8_lossy(&replay.stderr));
    }
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let story = fs::read_to_string(dir.path().join("asidstory")).unwrap();
    assert!(story.contains("[ls ") && story.contains("cat "), "{story}");
}

#[test]
fn volatility_reads_the_symbols_and_types() {
    const SCRIPT: &str = "
import json, sys
import volatility3.framework.symbols.linux.extensions.network
from volatility3 import schemas
from volatility3.framework import contexts
from volatility3.framework.symbols import linux
assert schemas.validate(json.load(open(sys.argv[1])), use_cache=False)
context = contexts.Context()
table = linux.LinuxKernelIntermedSymbols(context, 'k', name='k', isf_url='file://' + sys.argv[1])
context.symbol_space.append(table)
task = context.symbol_space.get_type('k!task_struct')
symbol = table.get_symbol('init_task')
print(task.size, task.relative_child_offset('comm'), symbol.address, symbol.type_name)
print(table.get_symbol('linux_banner').constant_data.decode().strip('\\n\\0'))
";
    let volatility = Command::new("python3").args(["-c", "import volatility3, jsonschema"]).output();
    if !volatility.is_ok_and(|output| output.status.success()) {
        return skip(
            "profile::volatility_reads_the_symbols_and_types",
            "volatility3 or jsonschema is not installed",
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let print = |arguments: &[&str]| {
        let output = pandacap(home()).args(["guest", "profile", "tiny"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let isf = dir.path().join("tiny.json");
    fs::write(&isf, print(&["--format", "isf"])).unwrap();
    let profile = Profile::read(&print(&["--json"])).unwrap();
    let read = Command::new("python3").args(["-c", SCRIPT]).arg(&isf).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let [size, comm, address] =
        [profile.size("task_struct"), profile.offset("task_struct.comm"), profile.symbol("init_task")]
            .map(Option::unwrap);
    let expected = format!("{size} {comm} {address} k!task_struct\n{}\n", profile.banner);
    assert_eq!(String::from_utf8_lossy(&read.stdout), expected);
}
