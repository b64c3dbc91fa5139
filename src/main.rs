//! pandacap turns a disk image into verified PANDA traces.

#![allow(unreachable_pub, reason = "a program has no outside: `pub` is for its other modules")]

mod cli;
mod digest;
mod dist;
mod doctor;
mod exit;
mod guest;
mod interrupt;
mod panda;
mod progress;
mod rec;
mod target;
mod trace;
mod vm;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    env_logger::Builder::new().filter_level(cli.verbosity()).format_timestamp(None).init();
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("pandacap: {error:#}");
            error.exit().into()
        }
    }
}
