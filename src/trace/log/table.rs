//! The figures of a log as text for people.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table, TableComponent};

use super::summary::{Class, Count, End, Summary};

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "instructions  {}", grouped(self.instructions))?;
        writeln!(f, "entries       {}", grouped(self.total.entries))?;
        writeln!(f, "log           {}", size(self.file_bytes))?;
        match &self.end {
            End::Complete => writeln!(f, "end           complete")?,
            End::Broken { reason } => writeln!(f, "end           broken: {reason}")?,
        }
        writeln!(f, "\n{}\n\n{}\n\n{}", self.kinds(), self.moved(), self.stretches())
    }
}

impl Summary {
    fn kinds(&self) -> Table {
        let mut table = table(["kind", "call site", "entries", "bytes", "share"], 2);
        for row in &self.rows {
            let share = 100.0 * row.count.bytes as f64 / self.total.bytes.max(1) as f64;
            table.add_row([
                row.kind.to_owned(),
                row.callsite.to_owned(),
                grouped(row.count.entries),
                grouped(row.count.bytes),
                format!("{share:.1}%"),
            ]);
        }
        table
    }

    fn moved(&self) -> Table {
        let mut table = table(["traffic", "times", "bytes"], 1);
        for (name, Count { entries, bytes }) in [
            ("DMA into the guest's memory", self.traffic.dma),
            ("disk", self.traffic.disk),
            ("packets received", self.traffic.packets_received),
            ("packets sent", self.traffic.packets_sent),
            ("serial received", self.traffic.serial_received),
            ("serial sent", self.traffic.serial_sent),
        ] {
            table.add_row([name.to_owned(), grouped(entries), grouped(bytes)]);
        }
        table
    }

    fn stretches(&self) -> Table {
        let classes: Vec<Class> = Class::ALL.into_iter().filter(|&class| self.has(class)).collect();
        let heads = ["from instruction"].into_iter().chain(classes.iter().map(|class| class.name()));
        let mut table = table(heads, 0);
        for bucket in &self.timeline {
            let counts = classes.iter().map(|&class| grouped(bucket.classes[class as usize].entries));
            table.add_row([grouped(bucket.from)].into_iter().chain(counts));
        }
        table
    }

    /// Is there any entry of this class?
    pub(super) fn has(&self, class: Class) -> bool {
        self.timeline.iter().any(|bucket| bucket.classes[class as usize].entries > 0)
    }
}

/// A table whose columns from `figures` on are aligned to the right.
fn table<'a>(heads: impl IntoIterator<Item = &'a str>, figures: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(heads);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    for column in table.column_iter_mut().skip(figures) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// 1234567 as 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    format!("{} bytes ({})", grouped(bytes), indicatif::BinaryBytes(bytes))
}
