//! Plots the timeline of a log.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;

use rr_log::{Bucket, Class, Count, Summary};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Error = DrawingAreaErrorKind<io::Error>;

const FONT: &str = "sans-serif";

/// Colours that colour-blind people can tell apart too, in the order of [`Class::ALL`].
const COLOURS: [RGBColor; Class::ALL.len()] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(240, 200, 40),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

/// Plots entries and bytes by class over the instruction count, as an SVG document.
pub(super) fn plot(summary: &Summary, title: &str) -> Result<String, Error> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (960, 640)).into_drawing_area();
    root.fill(&WHITE)?;
    let (names, panels) = root.titled(title, (FONT, 18))?.split_vertically(20);
    let (entries, bytes) = panels.split_vertically(295);
    legend(&names, summary)?;
    panel(&entries, summary, "entries", |count| count.entries)?;
    panel(&bytes, summary, "bytes in the log", |count| count.bytes)?;
    root.present()?;
    drop((root, names, panels, entries, bytes));
    Ok(svg)
}

/// One line for each class, on a logarithmic scale: on a linear one, a disk's traffic would hide a keyboard's.
fn panel(area: &Area, summary: &Summary, what: &str, figure: fn(&Count) -> u64) -> Result<(), Error> {
    let figures = |bucket: &Bucket| bucket.classes.iter().map(figure).max().unwrap_or(0);
    let most = summary.timeline.iter().map(figures).max().unwrap_or(0).max(10) as f64;
    let width = summary.bucket_width as f64;
    let last = summary.timeline.len() as f64 * width;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(30)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, (0.8..most * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("guest instructions")
        .y_desc(format!("{what} per {} instructions", short(&width)))
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .label_style((FONT, 12))
        .axis_desc_style((FONT, 13))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for class in Class::ALL.into_iter().filter(|&class| summary.has(class)) {
        let style = COLOURS[class as usize].stroke_width(2);
        let points: Vec<(f64, f64)> = summary
            .timeline
            .iter()
            .map(|bucket| (bucket.from as f64, figure(&bucket.classes[class as usize]) as f64))
            .collect();
        // A logarithmic scale has no 0, so the line is broken there.
        let steps = points.split(|point| point.1 == 0.0).filter(|run| !run.is_empty());
        let lines = steps.map(|run| {
            let corners = run.iter().flat_map(|&(from, value)| [(from, value), (from + width, value)]);
            PathElement::new(corners.collect::<Vec<_>>(), style)
        });
        chart.draw_series(lines)?;
    }
    Ok(())
}

/// The names of the classes in their colours, side by side.
fn legend(area: &Area, summary: &Summary) -> Result<(), Error> {
    let classes = Class::ALL.into_iter().filter(|&class| summary.has(class));
    for (class, x) in classes.zip((84..).step_by(110)) {
        area.draw(&PathElement::new([(x, 8), (x + 18, 8)], COLOURS[class as usize].stroke_width(3)))?;
        area.draw(&Text::new(class.name(), (x + 24, 2), (FONT, 13)))?;
    }
    Ok(())
}

/// 2500000 as 2.5M.
fn short(number: &f64) -> String {
    let (value, unit) = match *number {
        n if n >= 1e9 => (n / 1e9, "G"),
        n if n >= 1e6 => (n / 1e6, "M"),
        n if n >= 1e3 => (n / 1e3, "k"),
        n => (n, ""),
    };
    format!("{}{unit}", (value * 10.0).round() / 10.0)
}
