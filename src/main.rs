//! The program: reads the command line and leaves the rest to the library.

use std::process::ExitCode;

use clap::Parser;
use pandacap::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::new().filter_level(cli.verbosity()).format_timestamp(None).init();
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("pandacap: {error:#}");
            error.exit().into()
        }
    }
}
