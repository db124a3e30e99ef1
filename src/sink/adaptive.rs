//! How many attempts may be under way at once: fixed, or found by trying; pure.
//!
//! Additive increase, multiplicative decrease: one more for each round of answers that were not slower
//! than usual while all places were taken, a tenth less for each failure or slow answer.

use std::time::Duration;

/// The number of attempts that may be under way.
#[derive(Debug)]
pub(super) struct Places {
    most: f64,
    limit: f64,
    is_adaptive: bool,
    average: Option<f64>,
    deviation: f64,
}

/// The weight of the newest answer in the average.
const WEIGHT: f64 = 0.4;
/// Slow is what lies so many deviations above the average.
const DEVIATIONS: f64 = 2.5;
/// What a failure or a slow answer leaves.
const DECREASE: f64 = 0.9;

impl Places {
    /// `most` places; where `is_adaptive`, one at first and at most that many.
    pub(super) fn new(most: usize, is_adaptive: bool) -> Self {
        // Nobody has more places than a f64 counts exactly.
        let most = f64::from(u32::try_from(most).unwrap_or(u32::MAX));
        Self {
            most,
            limit: if is_adaptive { 1.0 } else { most },
            is_adaptive,
            average: None,
            deviation: 0.0,
        }
    }

    /// True when an attempt may begin beside `under_way` others.
    pub(super) fn has_room(&self, under_way: usize) -> bool {
        u32::try_from(under_way).is_ok_and(|under_way| f64::from(under_way) + 1.0 <= self.limit)
    }

    /// An answer came after `took`, while so many attempts were under way, itself among them.
    pub(super) fn answered(&mut self, took: Duration, under_way: usize) {
        if !self.is_adaptive {
            return;
        }
        let took = took.as_secs_f64();
        let average = *self.average.get_or_insert(took);
        let is_slow = took > average + DEVIATIONS * self.deviation.max(average * 0.1);
        self.deviation += WEIGHT * ((took - average).abs() - self.deviation);
        self.average = Some(average + WEIGHT * (took - average));
        if is_slow {
            self.decrease();
        } else if !self.has_room(under_way) {
            self.limit = (self.limit + 1.0 / self.limit).min(self.most);
        }
    }

    /// An attempt failed for want of the server.
    pub(super) fn failed(&mut self) {
        if self.is_adaptive {
            self.decrease();
        }
    }

    fn decrease(&mut self) {
        self.limit = (self.limit * DECREASE).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(10);

    fn room(places: &Places) -> usize {
        (0..).find(|n| !places.has_room(*n)).unwrap()
    }

    #[test]
    fn a_fixed_number_stays() {
        let mut places = Places::new(8, false);
        places.failed();
        places.answered(Duration::from_secs(9), 8);
        assert_eq!(room(&places), 8);
    }

    #[test]
    fn it_grows_while_answers_are_quick_and_all_places_are_taken() {
        let mut places = Places::new(20, true);
        assert_eq!(room(&places), 1);
        places.answered(FAST, 0);
        assert_eq!(room(&places), 1, "one place would have been enough");
        for _ in 0..1000 {
            let all = room(&places);
            places.answered(FAST, all);
        }
        assert_eq!(room(&places), 20);
    }

    #[test]
    fn failures_and_slow_answers_shrink_it_to_one() {
        let mut places = Places::new(20, true);
        for _ in 0..1000 {
            let all = room(&places);
            places.answered(FAST, all);
        }
        places.answered(Duration::from_secs(1), 20);
        assert_eq!(room(&places), 18);
        for _ in 0..100 {
            places.failed();
        }
        assert_eq!(room(&places), 1);
    }
}
