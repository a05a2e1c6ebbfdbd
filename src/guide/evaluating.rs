//! Reading what `evaluate` and `audit` print: no number means anything alone, each stands beside what a perfect model would have.
//!
//! ```text
//! pushforward data toy:moons:5000 -o moons.csv
//! pushforward train moons.csv -o moons.pf
//! pushforward evaluate moons.pf toy:moons:4000 --train moons.csv --exact
//!
//! distance             model    noise floor  largest floor  rows a side
//! sliced W2             0.0507       0.0361         0.0468         2000
//! exact W2              0.1209       0.0915         0.0999         2000
//! energy distance      2.05e-3      1.09e-3        1.79e-3         2000
//! MMD squared          7.46e-5     -1.78e-4       -3.06e-5         2000
//! classifier accuracy   0.4972       0.4964         0.5025         2000
//! ```
//! Rows of the data must be such as no training has seen.
//!
//! # Beside the floor
//! Two halves of the data are at a distance too, for nothing but luck. That is the *noise floor*, from sets of the same sizes; four
//! halvings are made, and the largest of them tells how far luck goes ([`Evaluation`]). Read `model` against these two:
//! - below the largest floor: these rows cannot tell the model from the data. More rows might.
//! - above it: there is a difference. The ratio says how much it matters: 1.3, as for the exact W2 here, is a good model seen by many rows.
//! - far below the floor: samples are nearer to the data than data are. Look at `closer`.
//!
//! | distance | in | notices |
//! |---|---|---|
//! | sliced W2 | standard deviations | shifts, widths and gaps, along 200 directions; cheap for any number of rows |
//! | exact W2 | standard deviations | mass in the wrong place, and how far it is; its floor falls slowly where columns are many |
//! | energy distance | standard deviations | the same, softer; of rows that are far off it notices less |
//! | MMD squared | nothing | differences of the size of the median distance; without bias, so around 0 for equal laws, on both sides |
//! | classifier accuracy | 1/2 to 1 | whatever neighbours tell apart, thin gaps and wrong seams too; 1/2 is chance |
//!
//! Columns one by one have W1, W2 and the largest gap between the distribution functions (`ks`), in their own units: a column that is
//! off there is off by itself, and one that is not may still go with the others wrongly.
//!
//! # Log-density
//! ```text
//! measured         value     standard error  of
//! NLL                1.0295          0.0123  nats, in the units of the data
//! bits/dim           0.7426
//! ```
//! NLL is minus the mean log-density of rows that were not trained with. It has no floor but the entropy of the data, which nobody knows, so it
//! compares models of the same columns in the same units: less is better, by the difference in nats. In other units each column with a scale s adds ln s.
//! A model that is much better on its own training rows than on others has learnt rows by heart.
//!
//! # The way
//! ```text
//! path energy        1.1675          0.0107  units of the network, squared
//! normalised         2.8610                  0: the shortest way to the data
//! straightness       0.8718         6.93e-3  0: straight
//! NFE              200.0000                  evaluations of the network a sample
//! ```
//! How much samples move (E28, [`PathEnergy`]). It says nothing of their quality, and all of how few evaluations they need: `--coupling ot` lowers both.
//!
//! # Copies
//! ```text
//! closer             0.5009         6.46e-3  samples nearer to training rows than data; 1/2: as near
//! median distance    0.0156                  from a sample to the nearest training row
//! median distance    0.0156                  from a row of the data to the nearest training row
//! ```
//! With `--train`: fresh rows lie at some distance from the training rows, and samples should lie as far ([`Memorisation`]). A warning appears where
//! `closer` is five deviations above 1/2 and the median distance is at most half.
//!
//! # The loss and its floor
//! ```text
//! L_FM               0.0337         3.45e-3  distance from the true field of the training rows
//! L_CFM              2.8646          0.0323  the training loss, as a velocity
//! V                  2.8050          0.0114  its floor: what the true field itself has
//! ```
//! With `--exact` (E10 to E12, E20): of a loss of 2.86 only 0.03 are the network's, the rest is spread that no velocity avoids. So a loss is
//! read against V and never against 0, and losses of two data sets, paths or couplings do not compare. The true field of the
//! *training rows* ends in these rows: an L_FM of 0 would be a model that copies.
//!
//! # Is the mathematics right
//! `audit MODEL` asks the network itself: gradients against differences, the divergence against the trace, there and back, in one and two dimensions the mass
//! of its density. `audit` alone does so for every equation of the crate. Each has a bound, and where it comes from.
//!
//! # In a program
//! ```
//! use pushforward::metrics::Evaluation;
//! use pushforward::{Rng, Tensor, data::toy};
//!
//! let mut rng = Rng::from_seed(0);
//! let data: Tensor<f64> = toy::moons(1000, &mut rng);
//! let (same, other) = (toy::moons(1000, &mut rng), toy::gaussian(1000, &mut rng));
//! let found = Evaluation::measure(&same, &data, &mut rng)?.energy_distance;
//! assert!(found.model < 2.0 * found.floor_max); // a perfect model: more of the same
//! let found = Evaluation::measure(&other, &data, &mut rng)?.energy_distance;
//! assert!(found.model > 20.0 * found.floor_max);
//! # Ok::<(), pushforward::Error>(())
//! ```
//!
//! [`Evaluation`]: crate::metrics::Evaluation
//! [`Memorisation`]: crate::metrics::Memorisation
//! [`PathEnergy`]: crate::metrics::PathEnergy
