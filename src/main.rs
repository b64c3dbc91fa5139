//! The program: reads the command line and leaves the rest to the library.

use std::process::ExitCode;

use pandacap::cli::Cli;
use pandacap::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            eprintln!("pandacap: {error}");
            return Exit::Usage.into();
        }
    };
    env_logger::Builder::new().filter_level(cli.verbosity()).format_timestamp(None).init();
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("pandacap: {error:#}");
            error.exit().into()
        }
    }
}
