//! Counts entries over an instruction count whose end is not known beforehand.

use super::class::{Bucket, Class, Count};

/// Stretches of equal length, a power of two, that doubles whenever there would be too many of them.
#[derive(Debug)]
pub(super) struct Timeline {
    buckets: Vec<[Count; Class::ALL.len()]>,
    most: usize,
    shift: u32,
}

impl Timeline {
    /// A time line of at most `most` stretches, and at least one.
    pub(super) fn new(most: usize) -> Timeline {
        Timeline { buckets: Vec::new(), most: most.max(1), shift: 0 }
    }

    /// Length of a stretch, in instructions; one that has all that can be counted is an instruction longer.
    pub(super) fn width(&self) -> u64 {
        1_u64.checked_shl(self.shift).unwrap_or(u64::MAX)
    }

    /// The stretch of an instruction.
    fn stretch(&self, instructions: u64) -> u64 {
        instructions.checked_shr(self.shift).unwrap_or(0)
    }

    pub(super) fn add(&mut self, instructions: u64, class: Class, bytes: u64) {
        while self.stretch(instructions) >= self.most as u64 {
            self.double();
        }
        let bucket = self.stretch(instructions) as usize;
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, Default::default());
        }
        self.buckets[bucket][class as usize].add(bytes);
    }

    pub(super) fn into_buckets(self) -> Vec<Bucket> {
        let starts = (0u64..).map(|bucket| bucket.checked_shl(self.shift).unwrap_or(0));
        starts.zip(self.buckets).map(|(from, classes)| Bucket { from, classes }).collect()
    }

    fn double(&mut self) {
        self.shift += 1;
        let merged = self.buckets.chunks(2).map(|pair| {
            let mut sum = pair[0];
            for (sum, count) in sum.iter_mut().zip(pair[1..].iter().flatten()) {
                sum.merge(*count);
            }
            sum
        });
        self.buckets = merged.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_log_counts_to_fits_into_one_stretch() {
        let mut timeline = Timeline::new(1);
        timeline.add(7, Class::Dma, 3);
        timeline.add(u64::MAX, Class::Dma, 5);
        assert_eq!(timeline.width(), u64::MAX);
        let buckets = timeline.into_buckets();
        assert_eq!((buckets.len(), buckets[0].from), (1, 0));
        assert_eq!(buckets[0].classes[Class::Dma as usize], Count { entries: 2, bytes: 8 });
    }

    #[test]
    fn no_entry_is_lost_while_the_stretches_grow() {
        let mut timeline = Timeline::new(10);
        for instruction in 0..1000 {
            timeline.add(instruction, Class::Dma, 3);
        }
        timeline.add(u64::MAX, Class::Input, 5);
        assert_eq!(timeline.width(), 1 << 61);
        let buckets = timeline.into_buckets();
        assert_eq!(buckets.len(), 8);
        assert_eq!(buckets[0].classes[Class::Dma as usize], Count { entries: 1000, bytes: 3000 });
        assert_eq!(buckets[7].classes[Class::Input as usize], Count { entries: 1, bytes: 5 });
        assert_eq!(buckets[7].from, 7 << 61);
    }
}
