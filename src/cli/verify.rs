//! `pandacap verify`: checks that traces are unchanged and replay.

use std::io::{self, Write};
use std::path::PathBuf;

use comfy_table::{Table, presets::NOTHING};
use machine::Interrupt;
use panda_host::Panda;
use trace::{ReplayError, Trace, Verdict, expand, unreadable};

use super::container::{DockerArgs, started};
use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::output::Output;
use super::terminal::complain;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Traces, or folders of traces
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,

    /// Use the extra PANDA arguments in the traces (`rec --qemu-arg`), which can do anything on this machine
    #[arg(long)]
    trust_args: bool,

    #[command(flatten)]
    pub(super) docker: DockerArgs,
}

impl Args {
    /// Verifies every trace, even if others fail. After an interrupt, prints the results so far.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        started(None, &[])?;
        let mut verdicts = Vec::new();
        let mut cut_short = false;
        for folder in self.traces.into_iter().flat_map(expand) {
            let verdict = match Trace::open(&folder) {
                _ if interrupt.is_set() => Err(ReplayError::Interrupted.into()),
                Ok(trace) => verify(&trace, self.trust_args, context, &interrupt),
                Err(error) => Ok(unreadable(folder, &error)),
            };
            match verdict {
                Err(Error::Replay(ReplayError::Interrupted)) => {
                    cut_short = true;
                    break;
                }
                verdict => verdicts.push(verdict?),
            }
        }
        print(&verdicts, context.output)?;
        Ok(match cut_short {
            true => Exit::Interrupted,
            false if verdicts.iter().all(Verdict::passed) => Exit::Done,
            false => Exit::Unverified,
        })
    }
}

fn verify(trace: &Trace, trusted: bool, context: &Context, interrupt: &Interrupt) -> Result<Verdict, Error> {
    let panda = Panda::find(&context.home, &context.selection, trace.manifest.target)?;
    Ok(trace::verify(trace, trusted, &panda, interrupt, &context.progress)?)
}

fn print(verdicts: &[Verdict], output: Output) -> io::Result<()> {
    output.give(verdicts, |out| write!(out, "{}", table(verdicts)))?;
    if !output.json {
        for verdict in verdicts {
            for problem in &verdict.problems {
                complain(format_args!("{}: {problem}", verdict.trace.display()));
            }
        }
    }
    Ok(())
}

fn table(verdicts: &[Verdict]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["trace", "instructions", "digests", "replay", "seconds"]);
    for verdict in verdicts {
        let replayed = match verdict.replay_ok {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "not tried",
        };
        table.add_row([
            verdict.trace.display().to_string(),
            verdict.instructions.map_or("-".to_owned(), |count| count.to_string()),
            if verdict.digests_ok { "ok" } else { "FAILED" }.to_owned(),
            replayed.to_owned(),
            verdict.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.2}")),
        ]);
    }
    table.trim_fmt() + "\n"
}
