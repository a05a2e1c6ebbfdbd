//! [`Row`]: one row on its way, with its own time and step.
//!
//! # Math
//! The next step goes from t to t_new = t + h, or to t_1 if that is not further. Its stages stand at t + c h.

use crate::error::Error;

use super::control::Control;
use super::solution::{Reason, RowStats};

/// A step that would leave less than this share of itself before t_1 goes to t_1 at once (dopri5.f: 1.01).
const STRETCH: f64 = 1.01;

/// A row on its way.
pub(super) struct Row {
    /// Its place in the batch.
    pub(super) index: usize,
    pub(super) t: f64,
    /// The step that comes next, with its sign.
    pub(super) h: f64,
    /// Where that step ends, and whether that is t_1.
    pub(super) t_new: f64,
    pub(super) last: bool,
    /// ln e_0 of the last accepted step.
    pub(super) before: f64,
    /// Whether the step was tried and thrown away, so that this one is shorter.
    pub(super) just_rejected: bool,
    /// The error of the step that was made, scaled.
    pub(super) error: f64,
    /// What went wrong in the step that is being made.
    pub(super) trouble: Option<Error>,
    pub(super) stats: RowStats,
    /// The next of the times at which its course is kept.
    pub(super) next: u32,
}

impl Row {
    /// A row that stands at t; its step is not known yet.
    pub(super) fn new(index: usize, t: f64) -> Self {
        Self {
            index,
            t,
            h: 0.0,
            t_new: t,
            last: false,
            before: Control::before(0.0),
            just_rejected: false,
            error: 0.0,
            trouble: None,
            stats: RowStats::default(),
            next: 1,
        }
    }

    /// Sets the end of the step that comes next.
    pub(super) fn aim(&mut self, end: f64) {
        self.trouble = None;
        let left = end - self.t;
        self.last = left.abs() <= STRETCH * self.h.abs();
        if self.last {
            self.h = left;
        }
        self.t_new = if self.last { end } else { self.t + self.h };
    }

    /// The time at the fraction c of the step. For c < 1, c h rounded is at most h, and rounding keeps the order.
    pub(super) fn time(&self, c: f64) -> f64 {
        if c < 1.0 { self.t + c * self.h } else { self.t_new }
    }

    /// Whether the step is good enough.
    pub(super) fn passes(&self) -> bool {
        self.error <= 1.0 && self.trouble.is_none()
    }

    /// Goes to the end of the step.
    pub(super) fn accept(&mut self, control: &Control) {
        let error = self.error;
        self.t = self.t_new;
        self.h *= control.after_accepted(error, self.before, self.just_rejected);
        self.h = control.at_least(self.h);
        self.before = Control::before(error);
        self.just_rejected = false;
        self.stats.accepted += 1;
    }

    /// Shortens the step.
    pub(super) fn reject(&mut self, control: &Control) {
        // Numbers that are not finite, or whose scale is not: as far as it goes.
        let wild = self.trouble.is_some() || self.error.is_nan();
        let error = if wild { f64::INFINITY } else { self.error };
        self.h *= control.after_rejected(error);
        self.just_rejected = true;
        self.stats.rejected += 1;
    }

    /// Whether the row takes no more steps, and the error if that is before t_1.
    pub(super) fn stop(&mut self, control: &Control, first_row: usize) -> Option<Error> {
        if self.last && !self.just_rejected {
            self.stats.reason = Reason::Done;
            return None;
        }
        let (t, h, row) = (self.t, self.h, first_row + self.index);
        let (steps, least) = (control.max_steps, control.least(t));
        let (reason, error) = if self.just_rejected && control.is_lost(h, t) {
            (Reason::StepSize, Error::StepSize { h, least, t, row })
        } else if self.stats.accepted + self.stats.rejected >= u64::from(steps) {
            (Reason::Steps, Error::Steps { steps, t, row })
        } else {
            return None;
        };
        Some(match self.trouble.take() {
            Some(trouble) => self.fail(trouble),
            None => {
                self.stats.reason = reason;
                error
            }
        })
    }

    /// Stops the row for numbers that are not finite.
    pub(super) fn fail(&mut self, trouble: Error) -> Error {
        self.stats.reason = Reason::NotFinite;
        trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_within_the_step() {
        let mut row = Row::new(0, 0.1);
        row.h = 0.2; // 0.1 + 0.2 overshoots 0.3
        row.aim(0.3);
        assert_eq!((row.last, row.t_new.to_bits()), (true, 0.3_f64.to_bits()));
        for c in [0.0, 0.2, 8.0 / 9.0, 0.980_025_540_904_509_7, 1.0] {
            assert!((0.1..=0.3).contains(&row.time(c)), "{c} {}", row.time(c));
        }
        // Rounding keeps t + h from the end: the last stage stands at the end itself.
        (row.t, row.h) = (-1.0, 1.0);
        row.aim(1e-17);
        assert_eq!((row.t + row.h, row.time(1.0).to_bits()), (0.0, 1e-17_f64.to_bits()));
        (row.t, row.h) = (1.0, -0.1);
        row.aim(0.895); // 5 % more than a step: two steps
        assert_eq!((row.last, row.t_new), (false, 0.9));
        row.h = -0.104; // less than 1 % more: one step
        row.aim(0.895);
        assert_eq!((row.last, row.t_new.to_bits()), (true, 0.895_f64.to_bits()));
    }
}
