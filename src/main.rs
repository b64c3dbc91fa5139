//! The program: reads the command line and leaves the rest to the library.

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

/// Says why nothing is done; help is given where that was asked for.
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
        // Without a reader, the exit code has to do.
        let _ = writeln!(terminal::out(), "{text}");
    }
}
