//! Conditions of a flow: which rows are drawn, scored or encoded under which, and with how much guidance.
//!
//! # Math
//! psi_1 of u_t(. | y_i) carries the source to q(. | y_i), for each row i its own (E27). Samples for which no condition was given
//! are those of the training rows' own law: row i takes the condition of a training row that is drawn for it.

use std::borrow::Cow;
use std::ops::Range;

use crate::data::Conditions;
use crate::error::{Error, Result};
use crate::field::{DifferentiableField, Guided};
use crate::kernel::Real;
use crate::nn::Mlp;
use crate::rng::Streams;
use crate::tensor::Tensor;

use super::Flow;

/// The most numbers of the training rows' conditions that a model keeps: of more rows, evenly spaced ones.
const MOST_KEPT: usize = 1 << 18;

/// The condition of sample i is drawn from this stream and those after it: its place is drawn from the ones before.
const FIRST_STREAM: u64 = 1 << 63;

/// The conditions that a model was trained with.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Conditional {
    conditions: Conditions,
    /// Those of training rows, [n, c], one row after the other.
    kept: Vec<f64>,
}

/// The conditions of the rows that a flow is asked for.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// As the network is given them, [N, c].
    rows: Tensor<f32>,
    weight: f64,
}

impl Flow {
    /// The same flow with conditions, whose values of the training rows are [N, c]: what samples take that are not given any.
    ///
    /// # Errors
    /// Those of [`Conditions::check`], and [`Error::Dimension`] if there are no rows, or the network was not made for them.
    pub fn with_conditions(self, conditions: Conditions, values: &Tensor<f64>) -> Result<Self> {
        let (rows, c) = (values.rows(), values.cols().max(1));
        let kept = rows.min((MOST_KEPT / c).max(1));
        let kept = (0..kept).flat_map(|i| values.row(i * rows / kept).to_vec()).collect();
        self.with_conditional(Conditional { conditions, kept })
    }

    pub(super) fn with_conditional(self, conditional: Conditional) -> Result<Self> {
        let Conditional { conditions, kept } = &conditional;
        conditions.check_columns()?;
        let c = conditions.columns().len();
        let rows = kept.len() / c;
        conditions.check(&Tensor::from_vec(kept.clone(), rows, c)?)?;
        let network = self.velocity.shape().condition;
        for (what, expected, found) in [
            ("numbers of a condition that the network was made for", conditions.width(), network),
            ("rows of the conditions", rows.max(1), rows),
        ] {
            if expected != found {
                let remedy = "make the network for these conditions (`MlpShape::condition`)";
                return Err(Error::Dimension { what, expected, found, remedy });
            }
        }
        Ok(Self { conditional: Some(conditional), ..self })
    }

    /// The same flow with the conditions of another one for the same network.
    pub(crate) fn with_conditions_of(self, other: &Self) -> Self {
        Self { conditional: other.conditional.clone(), ..self }
    }

    /// The conditions that it was trained with.
    #[must_use]
    pub fn conditions(&self) -> Option<&Conditions> {
        self.conditional.as_ref().map(|conditional| &conditional.conditions)
    }

    /// The same flow for rows with these conditions, values [N, c] as in [`Conditions`]: what it is then asked for must be N rows,
    /// row i under condition i. Chosen `weight`s of guidance make the conditional field (1), the one without a condition (0),
    /// or go beyond the conditional one (above 1). // E27
    ///
    /// # Errors
    /// [`Error::Setting`] if the model has no conditions, a value is none of them, or for a weight other than 1 of a model that
    /// never saw rows without; and those of [`Conditions::encode`].
    ///
    /// # Example
    /// ```
    /// use pushforward::data::{ConditionColumn, ConditionKind, Conditions, toy};
    /// use pushforward::{AffinePath, Mlp, Rng, Solver, Tensor, Trainer, nn::MlpShape};
    ///
    /// let mut rng = Rng::from_seed(0);
    /// let x_1: Tensor<f64> = toy::moons(500, &mut rng);
    /// let values = Tensor::from_vec((0..500).map(|i| x_1.row(i)[0]).collect(), 500, 1)?;
    /// let column = ConditionColumn { name: "left".into(), kind: ConditionKind::Numeric };
    /// let conditions = Conditions::fit(vec![column], &values)?;
    /// let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(2, &[16]) };
    /// let trainer = Trainer::new(AffinePath::default()).steps(20).batch(64).conditions(conditions, values);
    /// let flow = trainer.fit(Mlp::initialize(shape, &mut rng)?, &x_1, &mut rng)?;
    ///
    /// let given = flow.given(&Tensor::from_rows(&[[-1.0], [0.5]]), 1.5)?; // two rows
    /// assert_eq!(given.sample(2, &Solver::midpoint(), &mut rng)?.x.rows(), 2);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn given(&self, values: &Tensor<f64>, weight: f64) -> Result<Self> {
        let Some(conditions) = self.conditions() else {
            let remedy = "the model was trained without conditions: leave them out, or train with them";
            return Err(Error::Setting { name: "condition", value: "given".into(), remedy });
        };
        let dropout = self.record.as_ref().map_or(0.0, |record| record.condition_dropout);
        let guided = (weight - 1.0).abs() > 0.0;
        let remedy = match weight {
            _ if !weight.is_finite() => "give a finite number: 1 is no guidance",
            _ if guided && dropout <= 0.0 => {
                "the model never saw rows without a condition: train with a condition dropout above 0"
            }
            _ => "",
        };
        if !remedy.is_empty() {
            return Err(Error::Setting { name: "guidance", value: weight.to_string(), remedy });
        }
        let rows = conditions.encode(values)?;
        Ok(Self { given: Some(Bound { rows, weight }), ..self.clone() })
    }

    /// The conditions that samples `rows` of the sequence of `streams` take when they are not given any: those of training rows,
    /// [n, c] as in [`Conditions`]. None for a model without conditions.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no memory for so many.
    pub fn draw_conditions(&self, rows: Range<usize>, streams: Streams) -> Result<Option<Tensor<f64>>> {
        let Some(Conditional { conditions, kept }) = self.conditional.as_ref() else { return Ok(None) };
        let c = conditions.columns().len();
        let mut drawn = Tensor::try_zeros(rows.len(), c)?;
        for (i, row) in rows.enumerate() {
            let stream = FIRST_STREAM.wrapping_add(row as u64);
            let from = streams.stream(stream).below(kept.len() / c);
            drawn.row_mut(i).copy_from_slice(&kept[from * c..(from + 1) * c]);
        }
        Ok(Some(drawn))
    }

    /// The flow for these rows of the sequence: with conditions of the training rows, unless it has none or they were given.
    pub(super) fn with_drawn_conditions(
        &self,
        rows: Range<usize>,
        streams: Streams,
    ) -> Result<Cow<'_, Self>> {
        match self.draw_conditions(rows, streams)?.filter(|_| self.given.is_none()) {
            Some(drawn) => Ok(Cow::Owned(self.given(&drawn, 1.0)?)),
            None => Ok(Cow::Borrowed(self)),
        }
    }

    /// Looks whether the flow knows the conditions of as many rows as it is asked for.
    pub(super) fn check_given(&self, rows: usize) -> Result<()> {
        let found = match (&self.given, self.velocity.shape().condition) {
            (_, 0) => rows,
            (Some(bound), _) => bound.rows.rows(),
            (None, _) => {
                return Err(Error::Setting {
                    name: "condition",
                    value: "not given".into(),
                    remedy: "the model was trained with conditions: give those of each row",
                });
            }
        };
        if found == rows {
            return Ok(());
        }
        let remedy = "give one condition for each row";
        Err(Error::Dimension { what: "rows of the conditions", expected: rows, found, remedy })
    }

    /// Hands the network to `f` with the conditions that were given, if there are any. // E27
    pub(super) fn with_conditions_given<R: Real, T>(
        &self,
        network: &Mlp<R>,
        f: impl FnOnce(&dyn DifferentiableField<R>) -> Result<T>,
    ) -> Result<T> {
        let Some(Bound { rows, weight }) = &self.given else { return f(network) };
        let rows: Tensor<R> = rows.cast();
        let given = network.given(&rows)?;
        // With a weight of 1 the other field would be asked for nothing.
        if (*weight - 1.0).abs() > 0.0 { f(&Guided::new(network, &given, *weight)) } else { f(&given) }
    }
}
