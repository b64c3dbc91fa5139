//! The program: reads the command line, runs the command and reports its errors.

mod cli;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::exit::{Exit, Report};
use crate::cli::{Cli, ReadError, terminal};

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let json = cli::asks_for_json(&typed);
    let cli = match Cli::read(typed) {
        Ok(cli) => cli,
        Err(error) => return unread(&error, json),
    };
    env_logger::Builder::new()
        .filter_level(cli.verbosity())
        .format(|out, record| {
            let said = record.args().to_string();
            writeln!(out, "[{:<5} {}] {}", record.level(), record.target(), terminal::printable(&said))
        })
        .init();
    let json = cli.json();
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            terminal::complain_of(&error);
            report(json, &Report::from(&error));
            Exit::from(&error).into()
        }
    }
}

/// Reports a command line that cannot be run, or prints the help that it asks for.
fn unread(error: &ReadError, json: bool) -> ExitCode {
    match error {
        ReadError::Typed(help) if !help.use_stderr() => help.exit(),
        ReadError::Typed(wrong) => _ = wrong.print(),
        ReadError::Config(wrong) => terminal::complain_of(wrong),
    }
    report(json, &Report::from(error));
    Exit::Usage.into()
}

/// Prints the error in place of a result.
fn report(json: bool, report: &Report) {
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    if json {
        // If nothing reads standard output, the exit code has to suffice.
        let _ = writeln!(terminal::out(), "{text}");
    }
}
