//! One run, from what was asked for to its traces.

use std::ffi::OsString;
use std::path::Path;
use std::thread;

use jiff::{Timestamp, tz::TimeZone};
use machine::life::Cut;
use machine::{Interrupt, Overlays, Reach, check_memory, check_space};
use panda_host::{Panda, RECCTRL};
use trace::{Partial, PartialError, leftovers};

use crate::context::Context;
use crate::error::{NAME_LENGTH, RecError};
use crate::keep::{Kept, Run};
use crate::layout::{EVENTS, OUTPUT};
use crate::options::Options;
use crate::plan::Plan;
use crate::shown::Shown;
use crate::subject::Subject;

/// The result of a run.
#[derive(Debug)]
pub enum Done {
    /// Nothing was run: these lines for a shell would do it.
    Dry(Vec<String>),
    /// There are traces.
    Made(Made),
}

/// What a run has made.
#[derive(Debug)]
pub struct Made {
    /// The traces: at least one.
    pub kept: Vec<Kept>,
    /// What ended the run, if not the guest.
    pub cut: Option<Cut>,
}

impl Options {
    /// Records, and verifies each recording; a dry run makes nothing.
    pub fn record(&self, context: Context<'_>, interrupt: &Interrupt) -> Result<Done, RecError> {
        let done = self.try_to_record(context, interrupt);
        done.map_err(|error| match error {
            // The programs that prepare the run got the Ctrl-C as well, and failed because of it.
            error if !interrupt.is_set() || matches!(error, RecError::Left { .. }) => error,
            _ => RecError::Interrupted,
        })
    }

    fn try_to_record(&self, context: Context<'_>, interrupt: &Interrupt) -> Result<Done, RecError> {
        if let Some(name) = &self.name
            && (!files::is_plain(name) || name.len() > NAME_LENGTH)
        {
            return Err(RecError::Name(name.clone()));
        }
        let mut subject = Subject::of(self, context)?;
        let panda = Panda::find(context.home, context.selection, subject.target)?;
        let recctrl = context.dist.find(RECCTRL, panda.target)?;
        self.plugin.iter().try_for_each(|plugin| plugin.check(&panda))?;
        if !self.cold && self.net == Reach::Restricted {
            subject.find_warm(context, &panda, interrupt, !self.dry_run)?;
        }
        let _hold = subject.base().map(|base| base.hold()).transpose()?;
        let forwards = self.port_fwd.iter().map(|forward| forward.ready()).collect::<Result<Vec<_>, _>>()?;
        check_memory(subject.machine.memory_mib)?;
        check_space(&self.out, subject.machine.memory_mib)?;

        let created = Timestamp::now();
        let (name, claimed) = if self.dry_run {
            (self.name.clone().unwrap_or_else(|| self.default_name(&subject, created)), None)
        } else {
            for folder in leftovers(&self.out) {
                log::warn!(
                    "{} holds recordings of a run that was killed; see `pandacap trace salvage`, or remove it",
                    folder.display()
                );
            }
            let (name, partial) = self.claim(&subject, created)?;
            subject.prepare(partial.folder(), &name, &self.command)?;
            (name, Some(partial))
        };
        let plan = Plan {
            panda: &panda,
            recctrl: &recctrl,
            recctrl_args: self.recctrl(EVENTS),
            plugins: &self.plugin,
            subject: &subject,
            forwards: &forwards,
            reach: self.net,
            display: self.display.as_deref(),
            name: &name,
            command: &self.command,
            boot_timeout: self.boot_timeout,
            timeout: self.limit(),
            max_output: self.max_output,
            context,
        };
        let Some(partial) = claimed else {
            let folder = std::path::absolute(&self.out)?.join(&name);
            return Ok(Done::Dry(plan.dry(&folder)?));
        };
        for (asked, ready) in self.port_fwd.iter().zip(&forwards).filter(|(asked, _)| asked.host == 0) {
            context
                .progress
                .say(&format!("port {} of the guest is port {} of this machine", asked.guest, ready.host));
        }
        // Output that waits for its reader is waited for last.
        thread::scope(|scope| {
            let output = partial.folder().join(OUTPUT);
            let shown = context.output.map(|sink| Shown::begin(scope, output, sink));
            let outcome = plan.run(partial.folder(), shown.as_ref(), interrupt);
            if let Some(shown) = shown {
                shown.end();
            }
            let outcome = outcome?;
            let overlays = Overlays::of(context.home);
            let (out, discard_disk) = (&*self.out, self.discard_disk);
            let run = Run { plan: &plan, outcome: &outcome, created, out, overlays: &overlays, discard_disk };
            Ok(Done::Made(Made { kept: run.keep(partial, interrupt)?, cut: outcome.ended_by.cut() }))
        })
    }

    /// The run's name and its folder in the making.
    fn claim(&self, subject: &Subject, now: Timestamp) -> Result<(String, Partial), RecError> {
        if let Some(name) = &self.name {
            return Ok((name.clone(), Partial::claim(&self.out, name)?));
        }
        let base = self.default_name(subject, now);
        let mut name = base.clone();
        for count in 2.. {
            match Partial::claim(&self.out, &name) {
                Err(PartialError::Taken(_) | PartialError::Busy(_) | PartialError::Left(_)) => {
                    name = format!("{base}-{count}");
                }
                claimed => return Ok((name, claimed?)),
            }
        }
        Err(RecError::Name(base))
    }

    /// `ls-20260131-235959`
    fn default_name(&self, subject: &Subject, now: Timestamp) -> String {
        let program = self.command.first().map(Path::new).and_then(Path::file_name);
        let what = program.map_or(subject.id.name.clone().into(), OsString::from);
        let what = what.to_string_lossy();
        let plain = protocol::Name::from_guest(what.trim_start_matches(['-', '.']).as_bytes());
        let what = plain.as_ref().map_or("run", |name| name.as_str());
        let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S");
        format!("{what:.40}-{time}")
    }
}
