//! How processes came to more rights than they had, and who they descend from.

use schemars::JsonSchema;
use serde::Serialize;

use crate::event::{Credentials, How, RecentCall};
use crate::process::{Process, UserChange};

/// How far up a process's ancestors are listed.
const ANCESTORS: usize = 64;

/// A process gained privileges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Escalation {
    /// When that was seen, in guest instructions.
    pub instructions: u64,
    /// The process, and those that it descends from, up to the first: places in the list of processes.
    pub chain: Vec<usize>,
    /// The credentials before.
    pub before: Credentials,
    /// The credentials after.
    pub after: Credentials,
    /// How that came about.
    pub how: How,
    /// The program that gave it the rights, if one did.
    pub program: Option<String>,
    /// The system calls before it, the oldest first.
    pub calls: Vec<RecentCall>,
}

impl Credentials {
    /// Whether it may become root by a system call for that: it has been root, and has kept a way back.
    fn may_be_root(&self) -> bool {
        self.uid == 0 || self.euid == 0 || self.suid == 0
    }

    /// Whether it has rights that `before` had neither as its own nor for the asking.
    fn exceeds(&self, before: &Credentials) -> bool {
        let root = self.may_be_root() && !before.may_be_root();
        let capable = self.capabilities & !before.capabilities != 0 && !before.may_be_root();
        root || capable
    }
}

/// The escalations of all processes, the earliest first.
pub(crate) fn escalations(processes: &[Process]) -> Vec<Escalation> {
    let mut found: Vec<Escalation> = processes
        .iter()
        .enumerate()
        .flat_map(|(place, process)| {
            let changes = process.changes.iter();
            let more =
                changes.filter(|change| change.how == How::None || change.after.exceeds(&change.before));
            more.map(move |change| escalation(processes, place, process, change))
        })
        .collect();
    found.sort_by_key(|escalation| escalation.instructions);
    found
}

fn escalation(processes: &[Process], place: usize, process: &Process, change: &UserChange) -> Escalation {
    let UserChange { instructions, before, after, how, calls } = change.clone();
    // The program is told of right after the rights that came with it.
    let program = (how == How::Execution)
        .then(|| process.programs.iter().find(|program| program.instructions >= Some(instructions)))
        .flatten();
    let ancestors = std::iter::successors(Some(place), |&place| processes.get(place)?.parent);
    Escalation {
        instructions,
        chain: ancestors.take(ANCESTORS).collect(),
        before,
        after,
        how,
        program: program.map(|program| program.file.clone()),
        calls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Program;

    fn user(uid: u32, euid: u32, suid: u32) -> Credentials {
        Credentials { uid, euid, suid, ..Credentials::default() }
    }

    fn process(parent: Option<usize>, changes: &[(u64, Credentials, Credentials, How)]) -> Process {
        let changes = changes.iter().map(|(instructions, before, after, how)| UserChange {
            instructions: *instructions,
            before: *before,
            after: *after,
            how: how.clone(),
            calls: Vec::new(),
        });
        Process { parent, changes: changes.collect(), ..Process::default() }
    }

    #[test]
    fn a_set_user_id_program_is_named_with_those_who_led_to_it() {
        let gained = (50, user(1000, 1000, 1000), user(1000, 0, 0), How::Execution);
        let mut su = process(Some(1), &[gained]);
        for (instructions, file) in [(Some(20), "/bin/sh"), (Some(50), "/usr/bin/su"), (Some(90), "/bin/sh")]
        {
            let program = Program {
                instructions,
                file: file.to_owned(),
                arguments: Vec::new(),
                environment: Vec::new(),
            };
            su.programs.push(program);
        }
        let found = escalations(&[process(None, &[]), process(Some(0), &[]), su]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].program.as_deref(), &found[0].chain[..]), (Some("/usr/bin/su"), &[2, 1, 0][..]));
    }

    #[test]
    fn going_back_to_root_is_no_escalation() {
        let changes = [
            (1, user(0, 0, 0), user(1000, 1000, 0), How::Call("setresuid".to_owned())),
            (2, user(1000, 1000, 0), user(0, 0, 0), How::Call("setresuid".to_owned())),
            (3, user(0, 0, 0), user(1000, 1000, 1000), How::Call("setuid".to_owned())),
        ];
        assert_eq!(escalations(&[process(None, &changes)]), []);
    }

    #[test]
    fn whatever_no_system_call_accounts_for_is_one() {
        let changes = [
            (1, user(0, 0, 0), user(5, 5, 5), How::None),
            (9, user(1000, 1000, 1000), user(0, 0, 0), How::None),
        ];
        let found = escalations(&[process(None, &changes)]);
        assert_eq!(found.iter().map(|escalation| escalation.instructions).collect::<Vec<_>>(), [1, 9]);
    }

    #[test]
    fn capabilities_are_rights_too() {
        let before = user(1000, 1000, 1000);
        let after = Credentials { capabilities: 1 << 21, ..before };
        let change = (1, before, after, How::Call("unshare".to_owned()));
        assert_eq!(escalations(&[process(None, &[change])]).len(), 1);
    }
}
