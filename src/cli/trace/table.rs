//! Prints the figures of a log as tables.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table, TableComponent};

use rr_log::{Class, Count, End, Summary};

/// Writes all the tables.
pub(super) fn write(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "instructions  {}", grouped(summary.instructions))?;
    writeln!(out, "entries       {}", grouped(summary.total.entries))?;
    writeln!(out, "log           {}", size(summary.file_bytes))?;
    match &summary.end {
        End::Complete => writeln!(out, "end           complete")?,
        End::Broken { reason } => writeln!(out, "end           broken: {reason}")?,
    }
    writeln!(out, "\n{}\n\n{}\n\n{}", kinds(summary), moved(summary), stretches(summary))
}

fn kinds(summary: &Summary) -> Table {
    let mut table = table(["kind", "call site", "entries", "bytes", "share"], 2);
    for row in &summary.rows {
        let share = 100.0 * row.count.bytes as f64 / summary.total.bytes.max(1) as f64;
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

fn moved(summary: &Summary) -> Table {
    let mut table = table(["traffic", "times", "bytes"], 1);
    for (name, Count { entries, bytes }) in [
        ("DMA into the guest's memory", summary.traffic.dma),
        ("disk", summary.traffic.disk),
        ("packets received", summary.traffic.packets_received),
        ("packets sent", summary.traffic.packets_sent),
        ("serial received", summary.traffic.serial_received),
        ("serial sent", summary.traffic.serial_sent),
    ] {
        table.add_row([name.to_owned(), grouped(entries), grouped(bytes)]);
    }
    table
}

fn stretches(summary: &Summary) -> Table {
    let classes: Vec<Class> = Class::ALL.into_iter().filter(|&class| summary.has(class)).collect();
    let heads = ["from instruction"].into_iter().chain(classes.iter().map(|class| class.name()));
    let mut table = table(heads, 0);
    for bucket in &summary.timeline {
        let counts = classes.iter().map(|&class| grouped(bucket.classes[class as usize].entries));
        table.add_row([grouped(bucket.from)].into_iter().chain(counts));
    }
    table
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
