//! How the beginnings and ends of recordings are told: on standard error, in the events file, to other plugins.

use std::ffi::CString;

use serde_json::json;

use super::{Plugin, State};
use crate::{
    files::Sizes,
    follow::News,
    quiet::say,
    recorder::{Began, Complete, Denials},
};

impl<C: Copy + 'static> Plugin<C> {
    /// A recording has begun.
    pub(super) fn report_beginning(&self, state: &mut State, began: &Began) {
        let name = began.files.name();
        state.later.news.push(News::Began { name: c_text(name) });
        if began.files.are_pretended() {
            say!(state.lines, Info, "recording {name} (not really: dry=y)");
            return;
        }
        say!(state.lines, Info, "recording {name}");
        let mut fields = json!({
            "name": name,
            "snapshot_bytes": began.files.sizes().snapshot_bytes,
            "locked": began.locked,
        });
        if let Some(held) = began.held {
            fields["held_seconds"] = held.as_secs_f64().into();
        }
        state.events.record("began", fields);
    }

    /// A recording is complete; `bytes` is what it takes on disk.
    pub(super) fn report_end(&self, state: &mut State, complete: &Complete, sizes: Sizes) {
        let Complete { files, began, why, exit_status, denied } = complete;
        let (name, instructions) = (files.name(), files.instructions());
        let why = why.to_string();
        say!(state.lines, Info, "{name} is complete: {instructions} instructions ({why})");
        let mut fields = json!({
            "name": name,
            "why": why,
            "instructions": instructions,
            "snapshot_bytes": sizes.snapshot_bytes,
            "log_bytes": sizes.log_bytes,
            "seconds": self.now().saturating_sub(*began).as_secs_f64(),
            "dry": files.are_pretended(),
        });
        if let Some(status) = exit_status {
            fields["exit_status"] = (*status).into();
        }
        if *denied != Denials::default() {
            let Denials { stop, toggle, key } = denied;
            fields["denied"] = json!({ "stop": stop, "toggle": toggle, "key": key });
        }
        if files.are_pretended() {
            // It costs a guest nothing to pretend again and again.
            state.events.chatter("ended", fields);
        } else {
            state.events.record("ended", fields);
        }
        state.later.news.push(News::Ended { name: c_text(name), why: c_text(&why), instructions });
    }
}

/// A text of ours for C.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}
