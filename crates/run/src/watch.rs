//! What can be seen of a run from outside, and what the user hears of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use files::Tail;
use machine::Console;
use machine::life::{Event, Follow, Notice};
use panda_host::progress::Task;
use trace::EndedBy;

use crate::bounds;
use crate::context::Context;
use crate::events::{Bootstrap, Story};
use crate::layout::{CONSOLE, EVENTS, OUTPUT};
use crate::plan::Plan;
use crate::shown::Shown;

/// Follows a run.
pub(crate) struct Watch<'a> {
    folder: PathBuf,
    story: Story,
    events: Tail,
    console: Console,
    max_output: u64,
    /// Whether there is a command.
    command: bool,
    /// Whether there is a bootstrap disk.
    seeded: bool,
    /// Whether the guest was seen to have booted.
    booted: bool,
    context: Context<'a>,
    /// Where the command's output is shown.
    shown: Option<&'a Shown>,
    /// How many recordings have been announced as begun and as ended; none are when there is a command.
    announced: Option<(usize, usize)>,
    /// The refusal that has been announced.
    refused: Option<String>,
    began: Instant,
    task: Option<Box<dyn Task>>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(folder: &Path, plan: &Plan<'a>, shown: Option<&'a Shown>) -> Watch<'a> {
        let command = !plan.command.is_empty();
        Watch {
            folder: folder.to_owned(),
            story: Story::default(),
            events: Tail::of(folder.join(EVENTS)),
            console: Console::of(folder.join(CONSOLE), "login:"),
            max_output: plan.max_output,
            command,
            seeded: plan.subject.is_seeded(),
            booted: false,
            context: plan.context,
            shown,
            announced: (!command).then_some((0, 0)),
            refused: None,
            began: Instant::now(),
            task: Some(plan.context.progress.waiting(&format!("booting {}", plan.subject.id.name))),
        }
    }

    pub(crate) fn finish(self) -> Story {
        self.story
    }

    /// What the guest has told recctrl until now; all of it may be told again.
    fn told(&self) -> impl Iterator<Item = Event> {
        let story = &self.story;
        [
            (self.seeded && matches!(story.bootstrap, Bootstrap::Failed(_)), Event::BootstrapFailed),
            (story.bootstrap != Bootstrap::Silent, Event::Bootstraps),
            (story.heard, Event::Heard),
            (self.command && story.exit_status().is_some(), Event::CommandEnded),
            // The tiny guest powers off by itself then; ending it is faster.
            (self.command && story.told_status.is_some(), Event::SaidAll),
        ]
        .into_iter()
        .filter_map(|(so, event)| so.then_some(event))
    }

    /// Has what the command wrote shown.
    fn show(&mut self) {
        let Some(shown) = self.shown else { return };
        if fs::metadata(self.folder.join(OUTPUT)).is_ok_and(|output| output.len() > 0) {
            // The output must not end up in the line of the spinner.
            self.task = None;
            shown.wake();
        }
    }

    fn announce(&mut self) {
        let progress = self.context.progress;
        let Some((begun, ended)) = self.announced.as_mut().filter(|_| self.booted) else { return };
        if self.story.refused != self.refused {
            self.refused.clone_from(&self.story.refused);
            if let Some(why) = &self.refused {
                progress.say(&format!("refused to record: {why}"));
            }
        }
        for recording in &self.story.recordings[*begun..] {
            progress.say(&format!("recording {}", recording.name));
            *begun += 1;
        }
        let over = self.story.recordings[*ended..].iter().take_while(|recording| recording.ended.is_some());
        for recording in over.collect::<Vec<_>>() {
            let by = recording.by.as_ref().map_or("an unknown cause".to_owned(), EndedBy::to_string);
            let seconds = recording.ended.unwrap_or(recording.began) - recording.began;
            progress.say(&format!("recorded {} ({seconds:.1} s, ended by {by})", recording.name));
            *ended += 1;
        }
    }
}

impl Follow for Watch<'_> {
    fn look(&mut self) -> io::Result<Vec<Event>> {
        self.story.follow(&mut self.events)?;
        self.announce();
        self.show();
        let bound = bounds::reached(&self.folder, self.max_output)?;
        let mut seen: Vec<Event> = bound.map(Event::Reached).into_iter().chain(self.told()).collect();
        if !self.booted {
            seen.extend(self.console.look()?);
        }
        if self.events.has_more() {
            seen.push(Event::Changed);
        }
        Ok(seen)
    }

    fn tell(&mut self, notice: Notice) {
        let progress = self.context.progress;
        match notice {
            Notice::Booted => {
                self.booted = true;
                self.task = None;
                if self.announced.is_some() {
                    self.task =
                        Some(progress.waiting("the guest decides what is recorded; Ctrl-C ends the run"));
                    progress.say(&format!("booted after {:.1} s", self.began.elapsed().as_secs_f64()));
                }
                self.announce();
            }
            Notice::NoHook if self.announced.is_some() => progress
                .say("the guest has booted and does not run its bootstrap disk: has it pandacap's hook?"),
            Notice::NoHook => {}
        }
    }
}
