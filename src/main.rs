//! The program: reads the command line and leaves the rest to the library.

use std::io::Write;
use std::process::ExitCode;

use pandacap::cli::Cli;
use pandacap::exit::Exit;
use pandacap::terminal;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            terminal::complain(error);
            return Exit::Usage.into();
        }
    };
    env_logger::Builder::new()
        .filter_level(cli.verbosity())
        .format(|out, record| {
            let said = record.args().to_string();
            writeln!(out, "[{:<5} {}] {}", record.level(), record.target(), terminal::printable(&said))
        })
        .init();
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(error) => {
            terminal::complain(&error);
            error.exit().into()
        }
    }
}
