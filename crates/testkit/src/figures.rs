//! Figures that benches print.

/// The middle one of some measurements, of which there is at least one.
pub fn median(measured: impl IntoIterator<Item = f64>) -> f64 {
    let mut measured: Vec<f64> = measured.into_iter().collect();
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}
