#!/usr/bin/env python3
"""Lists the crates that are in the programs: their licences' texts, and a bill of materials (CycloneDX).

usage: bundled.py THIRD-PARTY.txt SBOM.json
"""
import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

PROGRAMS = ["pandacap", "pandacap-plugin", "analysis-activity", "recctrlu"]
TARGET = "x86_64-unknown-linux-gnu"
TEXTS = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def bundled():
    """The packages that the programs are linked from, tests and build scripts left out, sorted."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {
        node["id"]: [one["pkg"] for one in node["deps"] if any(kind["kind"] is None for kind in one["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    left = [id for id in metadata["workspace_members"] if packages[id]["name"] in PROGRAMS]
    found = set()
    while left:
        id = left.pop()
        if id not in found:
            found.add(id)
            left += needs[id]
    return sorted((packages[id] for id in found), key=lambda package: (package["name"], package["version"]))


def texts(folder):
    """The licences in a package's folder."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name.upper().startswith(TEXTS))
    return [file.read_text(errors="replace").strip() for file in files]


def third_party(packages):
    """The licences of all that is not the project's own; a text that many have is there once."""
    parts = {}
    without = []
    for package in packages:
        name = f"{package['name']} {package['version']} ({package['license']})"
        found = texts(Path(package["manifest_path"]).parent)
        if not found:
            authors = ", ".join(package["authors"]) or "its authors"
            without.append(f"{name}, {package['repository']}, by {authors}")
        for text in found:
            parts.setdefault(text, []).append(name)
    # Rust's library is in them too, under licences whose texts others have brought.
    rust = subprocess.check_output(["rustc", "--version"], text=True).strip()
    without.append(f"the standard library of {rust} (MIT OR Apache-2.0), https://github.com/rust-lang/rust, by its authors")
    lines = ["pandacap's programs have these crates in them, under these licences."]
    if without:
        lines += ["", "Without a licence's text in their packages:", *(f"  {one}" for one in without)]
    for text, names in sorted(parts.items(), key=lambda part: part[1]):
        lines += ["", "=" * 78, *sorted(set(names)), "-" * 78, text]
    return "\n".join(lines) + "\n"


def bill(version, packages, epoch):
    """The same as CycloneDX 1.5."""
    def component(package):
        purl = f"pkg:cargo/{package['name']}@{package['version']}"
        return {
            "type": "library",
            "bom-ref": purl,
            "name": package["name"],
            "version": package["version"],
            "purl": purl,
            "licenses": [{"expression": package["license"].replace("/", " OR ")}],
        }

    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": "pandacap", "name": "pandacap", "version": version},
        },
        "components": [component(package) for package in packages],
    }


def main():
    licences, sbom = sys.argv[1:]
    packages = bundled()
    version = next(package["version"] for package in packages if package["name"] == "pandacap")
    strangers = [package for package in packages if package["source"]]
    Path(licences).write_text(third_party(strangers))
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    Path(sbom).write_text(json.dumps(bill(version, packages, epoch), indent=1) + "\n")


main()
