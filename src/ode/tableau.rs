//! [`Tableau`]: the coefficients of an explicit Runge-Kutta method.
//!
//! # Math
//! k_i = u(t + c_i h, x + h sum_{j<i} a_ij k_j) and x(t + h) = x + h sum_i b_i k_i. A pair has second weights b̂ of a
//! lower order: h sum_i (b_i - b̂_i) k_i tells how far x(t + h) may be off. Its last stage stands at the new x, so that
//! it is the first one of the next step (FSAL).
//!
//! Within the step x(t + s h) = x + h sum_i b_i(s) k_i: the cubic that has the right values and slopes at both ends
//! (Hermite), plus s²(1 - s)² h sum_i d_i k_i, which touches neither:
//! ```text
//! b_i(s) = b_i (3 s² - 2 s³) + [i first] s (1 - s)² - [i last] s² (1 - s) + d_i s² (1 - s)²
//! ```
//! It is of order 4 for `dopri5` and `tsit5`, and with d = 0 of order 3, the method's own, for `bosh3`. For `dop853`, of order
//! 7, d_i is d_i0 + s (d_i1 + (1 - s) (d_i2 + s d_i3)), and the sum goes over three more stages, which the step does not need.
//!
//! # Limits
//! An error row is b - b̂ as its authors have it; other programs differ: Hairer's dopri5.f and SciPy have the row used
//! here, torchdiffeq and diffrax for `dopri5` one of Shampine that is 2/3 of it.
//!
//! More than 500 lines, with the trees that prove the orders and the slips that the compiler must stop at.
//!
//! # Source
//! E. Hairer, S. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I", sections II.1 (rules), II.4 and II.5
//! (`dopri5`: J. Dormand, P. Prince, 1980), II.6 (its d, from L. Shampine, 1986).
//! P. Bogacki, L. Shampine, "A 3(2) pair of Runge-Kutta formulas", Appl. Math. Lett. 2 (1989).
//! Ch. Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption", Comput.
//! Math. Appl. 62 (2011); digits beyond the printed ones as in OrdinaryDiffEq.jl.

/// Rounding of a sum of some numbers, each rounded, as a share of the sum of their sizes, or of 1 if that is more.
const ROUNDING: f64 = 4e-16;

/// The coefficients of one method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tableau {
    /// Where in the step each stage stands.
    pub(crate) c: &'static [f64],
    /// Row i holds the i weights of the stages before stage i.
    pub(crate) a: &'static [&'static [f64]],
    /// Weights of the stages in the step.
    pub(crate) b: &'static [f64],
    /// What lets a method choose its steps.
    pub(super) pair: Option<Pair>,
}

/// The second weights of a method that estimates its error, and its curve within the step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// b - b̂.
    pub(super) error: &'static [f64],
    /// As `error`, of third weights of a still lower order, for a method that has two estimates.
    pub(super) coarse: Option<&'static [f64]>,
    /// The order of b̂, or what it would be of both estimates as one: that one is of the size h^(order + 1).
    pub(super) order: u32,
    pub(super) curve: Curve,
}

/// The curve within a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve {
    /// Where in the step the stages stand that the curve alone needs. They come after those of the step.
    pub(super) c: &'static [f64],
    /// The weights of the stages before each of them.
    pub(super) a: &'static [&'static [f64]],
    /// d: what the curve adds to the cubic of Hermite. Each row holds one number for each stage.
    pub(super) d: &'static [&'static [f64]],
}

/// Order 1.
pub(super) const EULER: Tableau = Tableau { c: &[0.0], a: &[&[]], b: &[1.0], pair: None }.checked();

/// Order 2: the velocity at the middle of an Euler step.
pub(super) const MIDPOINT: Tableau =
    Tableau { c: &[0.0, 0.5], a: &[&[], &[0.5]], b: &[0.0, 1.0], pair: None }.checked();

/// Order 2: the trapezoidal rule with an Euler step as its far end.
pub(super) const HEUN: Tableau =
    Tableau { c: &[0.0, 1.0], a: &[&[], &[1.0]], b: &[0.5, 0.5], pair: None }.checked();

/// Order 4: the classic method of Kutta, with stages at 0, 1/2, 1/2, 1 (not his 3/8 rule).
pub(super) const RK4: Tableau = Tableau {
    c: &[0.0, 0.5, 0.5, 1.0],
    a: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    pair: None,
}
.checked();

/// Order 3 with an estimate of order 2: Bogacki and Shampine.
pub(super) const BOSH3: Tableau = Tableau {
    c: &[0.0, 1.0 / 2.0, 3.0 / 4.0, 1.0],
    a: &[&[], &[1.0 / 2.0], &[0.0, 3.0 / 4.0], &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0]],
    b: &[2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0, 0.0],
    pair: Some(Pair {
        error: &[-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0],
        coarse: None,
        order: 2,
        curve: Curve { c: &[], a: &[], d: &[&[0.0, 0.0, 0.0, 0.0]] },
    }),
}
.checked();

/// Order 5 with an estimate of order 4: Dormand and Prince.
pub(super) const DOPRI5: Tableau = Tableau {
    c: &[0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0],
    a: &[
        &[],
        &[1.0 / 5.0],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
        &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
        &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
    ],
    b: &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0, 0.0],
    pair: Some(Pair {
        error: &[
            71.0 / 57600.0,
            0.0,
            -71.0 / 16695.0,
            71.0 / 1920.0,
            -17253.0 / 339_200.0,
            22.0 / 525.0,
            -1.0 / 40.0,
        ],
        coarse: None,
        order: 4,
        curve: Curve {
            c: &[],
            a: &[],
            d: &[&[
                -12_715_105_075.0 / 11_282_082_432.0,
                0.0,
                87_487_479_700.0 / 32_700_410_799.0,
                -10_690_763_975.0 / 1_880_347_072.0,
                701_980_252_875.0 / 199_316_789_632.0,
                -1_453_857_185.0 / 822_651_844.0,
                69_997_945.0 / 29_380_423.0,
            ]],
        },
    }),
}
.checked();

/// Order 5 with an estimate of order 4: Tsitouras. The last number of the error row has the sign that makes the
/// conditions hold; in the paper it is lost.
pub(super) const TSIT5: Tableau = Tableau {
    c: &[0.0, 0.161, 0.327, 0.9, 0.980_025_540_904_509_7, 1.0, 1.0],
    a: &[
        &[],
        &[0.161],
        &[-0.008_480_655_492_356_989, 0.335_480_655_492_357],
        &[2.897_153_057_105_493_5, -6.359_448_489_975_075, 4.362_295_432_869_581_5],
        &[5.325_864_828_439_257, -11.748_883_564_062_828, 7.495_539_342_889_836_5, -0.092_495_066_361_755_25],
        &[
            5.861_455_442_946_42,
            -12.920_969_317_847_11,
            8.159_367_898_576_159,
            -0.071_584_973_281_401,
            -0.028_269_050_394_068_383,
        ],
        &[
            0.096_460_766_818_065_23,
            0.01,
            0.479_889_650_414_499_6,
            1.379_008_574_103_742,
            -3.290_069_515_436_081,
            2.324_710_524_099_774,
        ],
    ],
    b: &[
        0.096_460_766_818_065_23,
        0.01,
        0.479_889_650_414_499_6,
        1.379_008_574_103_742,
        -3.290_069_515_436_081,
        2.324_710_524_099_774,
        0.0,
    ],
    pair: Some(Pair {
        error: &[
            0.001_780_011_052_225_777,
            0.000_816_434_459_656_746_9,
            -0.007_880_878_010_261_995,
            0.144_711_007_173_262_9,
            -0.582_357_165_452_555_2,
            0.458_082_105_929_186_97,
            -1.0 / 66.0,
        ],
        coarse: None,
        order: 4,
        curve: Curve {
            c: &[],
            a: &[],
            d: &[&[
                -1.053_088_497_729_021_6,
                0.1017,
                2.490_627_285_651_253,
                -16.548_102_889_244_902,
                47.379_521_962_819_28,
                -34.870_657_861_496_61,
                2.5,
            ]],
        },
    }),
}
.checked();

impl Tableau {
    /// Returns itself, or stops the compiler: row i of a has i numbers (a is strictly lower triangular)
    /// and sums to c_i; b sums to 1; every stage stands inside the step; a pair's error rows sum to 0, its curve has
    /// the order 1 at least, and its last stage is the first one of the next step.
    pub(super) const fn checked(self) -> Self {
        let stages = self.b.len();
        assert!(self.a.len() == stages, "one row of a for each stage");
        assert!(sums_to(self.b, 1.0), "b must sum to 1");
        check_stages(self.c, self.a, 0);
        if let Some(pair) = self.pair {
            check_difference(pair.error, stages);
            if let Some(coarse) = pair.coarse {
                check_difference(coarse, stages);
            }
            check_stages(pair.curve.c, pair.curve.a, stages);
            let mut i = 0;
            while i < pair.curve.d.len() {
                check_difference(pair.curve.d[i], stages + pair.curve.c.len());
                i += 1;
            }
            assert!(self.fsal(), "the last stage must stand at the new x");
        }
        self
    }

    /// Whether the last stage stands at the end of the step and at the new x: it is the first one of the next step.
    pub(super) const fn fsal(&self) -> bool {
        let last = self.b.len() - 1;
        let mut same = is(self.c[last], 1.0) && is(self.b[last], 0.0);
        let mut i = 0;
        while i < last {
            same = same && is(self.a[last][i], self.b[i]);
            i += 1;
        }
        same
    }

    /// Whether the velocity of stage i counts in the step, in its error or, as the last one of a pair, in the next step: then
    /// its rate does too.
    pub(super) fn counts(&self, i: usize) -> bool {
        let of_pair = |pair: Pair| {
            i + 1 == self.b.len()
                || pair.error[i] != 0.0
                || pair.coarse.is_some_and(|coarse| coarse[i] != 0.0)
        };
        self.b[i] != 0.0 || self.pair.is_some_and(of_pair)
    }

    /// b_i(s): the weight of stage i at the share s of the step (head of this file).
    pub(super) fn weight_at(&self, pair: &Pair, i: usize, s: f64) -> f64 {
        let r = 1.0 - s;
        let first = if i == 0 { s * r * r } else { 0.0 };
        let last = if i + 1 == self.b.len() { s * s * r } else { 0.0 };
        let b = self.b.get(i).copied().unwrap_or(0.0);
        let mut d = 0.0;
        for (power, row) in pair.curve.d.iter().enumerate().rev() {
            d = row[i] + if power % 2 == 0 { s } else { r } * d;
        }
        b * s * s * (3.0 - 2.0 * s) + first - last + d * s * s * r * r
    }
}

/// Stops the compiler unless stage i has a row of i numbers, after `before` other stages, which sums to c_i within the step.
const fn check_stages(c: &[f64], a: &[&[f64]], before: usize) {
    assert!(c.len() == a.len(), "one c for each stage");
    let mut i = 0;
    while i < a.len() {
        assert!(a[i].len() == before + i, "a must be strictly lower triangular");
        assert!(sums_to(a[i], c[i]), "a row of a must sum to its c");
        assert!(c[i] >= 0.0 && c[i] <= 1.0, "a stage must stand inside the step");
        i += 1;
    }
}

/// Stops the compiler unless there is one weight for each stage and they sum to 0: a constant velocity changes nothing.
const fn check_difference(weights: &[f64], stages: usize) {
    assert!(weights.len() == stages, "one weight for each stage");
    assert!(sums_to(weights, 0.0), "weights of a difference must sum to 0");
}

const fn sums_to(x: &[f64], wanted: f64) -> bool {
    let (mut total, mut sizes, mut i) = (0.0, 0.0, 0);
    while i < x.len() {
        total += x[i];
        sizes += x[i].abs();
        i += 1;
    }
    let sizes: f64 = if sizes > 1.0 { sizes } else { 1.0 };
    (total - wanted).abs() <= ROUNDING * sizes
}

const fn is(x: f64, wanted: f64) -> bool {
    (x - wanted).abs() <= ROUNDING
}

#[cfg(test)]
mod tests {
    use super::super::dop853::DOP853;
    use super::*;

    /// A rooted tree: the trees that hang on its root.
    #[derive(Debug, Clone, PartialEq, PartialOrd)]
    struct Tree(Vec<Tree>);

    impl Tree {
        /// All trees of that many nodes.
        fn all(nodes: usize) -> Vec<Self> {
            Self::forests(nodes - 1, nodes - 1).into_iter().map(Self).collect()
        }

        /// All sets of trees with that many nodes together, none larger than `largest`, the larger ones first.
        fn forests(nodes: usize, largest: usize) -> Vec<Vec<Self>> {
            if nodes == 0 {
                return vec![vec![]];
            }
            let mut found = vec![];
            for size in 1..=largest.min(nodes) {
                for tree in Self::all(size) {
                    for mut forest in Self::forests(nodes - size, size) {
                        // Of two trees of the same size the one that compares larger comes first.
                        if forest.first().is_none_or(|next| next.nodes() < size || *next <= tree) {
                            forest.insert(0, tree.clone());
                            found.push(forest);
                        }
                    }
                }
            }
            found
        }

        fn nodes(&self) -> usize {
            1 + self.0.iter().map(Self::nodes).sum::<usize>()
        }

        /// gamma: the product of the numbers of nodes above each node, itself included.
        fn density(&self) -> f64 {
            self.nodes() as f64 * self.0.iter().map(Self::density).product::<f64>()
        }

        /// Phi_i: a node is the sum over its stage, weighted with the row of its parent's.
        fn weight(&self, a: &[&[f64]], i: usize) -> f64 {
            let branch = |tree: &Self| (0..i).map(|j| a[i][j] * tree.weight(a, j)).sum::<f64>();
            self.0.iter().map(branch).product()
        }
    }

    /// The largest deviation of sum_i w_i Phi_i(tree) = s^nodes / gamma(tree) among the trees of one order (Hairer,
    /// Nørsett, Wanner, theorem II.2.13; with s: section II.6).
    fn deviation(tableau: Tableau, weights: &[f64], s: f64, order: u32) -> f64 {
        let curve = tableau.pair.map_or(&[][..], |pair| pair.curve.a);
        let a = [tableau.a, curve].concat();
        let of = |tree: &Tree| {
            let sum: f64 = weights.iter().enumerate().map(|(i, w)| w * tree.weight(&a, i)).sum();
            (sum - s.powi(order as i32) / tree.density()).abs()
        };
        Tree::all(order as usize).iter().map(of).fold(0.0, f64::max)
    }

    /// Rounding of the coefficients (at most 48 in size, and 530 in a curve) and of some fifty products of them.
    const SUMMED: f64 = 1e-13;
    /// Less than any method of these misses the next order by: `dop853` order 9 by 2.7e-5, the others by 5e-5 or more.
    const MISSED: f64 = 2e-5;

    const PAIRS: [(Tableau, u32); 4] = [(BOSH3, 3), (DOPRI5, 5), (TSIT5, 5), (DOP853, 8)];

    /// b less a difference: the weights that it is the difference to.
    fn others(tableau: Tableau, difference: &[f64]) -> Vec<f64> {
        tableau.b.iter().zip(difference).map(|(b, e)| b - e).collect()
    }

    #[test]
    fn trees_are_counted_right() {
        // Hairer, Nørsett, Wanner, table II.2.3.
        let counts: Vec<usize> = (1..=8).map(|nodes| Tree::all(nodes).len()).collect();
        assert_eq!(counts, [1, 1, 2, 4, 9, 20, 48, 115]);
    }

    #[test]
    fn each_method_has_its_order_and_no_more() {
        for (tableau, order) in [(EULER, 1), (MIDPOINT, 2), (HEUN, 2), (RK4, 4)].into_iter().chain(PAIRS) {
            for k in 1..=order {
                assert!(deviation(tableau, tableau.b, 1.0, k) < SUMMED, "{tableau:?} at order {k}");
            }
            let next = deviation(tableau, tableau.b, 1.0, order + 1);
            assert!(next > MISSED, "{tableau:?} has more than order {order}: {next}");
        }
    }

    #[test]
    fn the_weights_of_an_estimate_have_their_order_and_no_more() {
        let estimates = PAIRS.iter().map(|(tableau, order)| {
            (*tableau, tableau.pair.unwrap().error, if *order == 8 { 5 } else { order - 1 })
        });
        for (tableau, error, order) in estimates.chain([(DOP853, DOP853.pair.unwrap().coarse.unwrap(), 3)]) {
            let weights = others(tableau, error);
            for k in 1..=order {
                assert!(deviation(tableau, &weights, 1.0, k) < SUMMED, "{tableau:?} at order {k}");
            }
            let next = deviation(tableau, &weights, 1.0, order + 1);
            assert!(next > MISSED, "{tableau:?}: the estimate has more than order {order}: {next}");
        }
        // e = e_5² / sqrt(e_5² + 0.01 e_3²) is of the size h^(6 + 6 - 4).
        for (tableau, order) in PAIRS {
            assert_eq!(tableau.pair.unwrap().order + 1, order);
        }
    }

    #[test]
    fn the_curve_within_a_step_has_its_order_and_no_more() {
        for (tableau, order) in [(BOSH3, 3), (DOPRI5, 4), (TSIT5, 4), (DOP853, 7)] {
            let pair = tableau.pair.unwrap();
            let weights = |s: f64| -> Vec<f64> {
                let stages = 0..tableau.b.len() + pair.curve.c.len();
                stages.map(|i| tableau.weight_at(&pair, i, s)).collect()
            };
            for s in [0.0, 0.1, 0.3, 0.5, 0.8, 1.0] {
                for k in 1..=order {
                    assert!(deviation(tableau, &weights(s), s, k) < SUMMED, "{tableau:?} at {s}, order {k}");
                }
            }
            let next = deviation(tableau, &weights(0.5), 0.5, order + 1);
            assert!(next > MISSED, "{tableau:?}: more than order {order}: {next}");
        }
    }

    #[test]
    fn the_curves_are_those_of_others() {
        // SciPy 1.x, RK45.P and RK23.P, and the polynomials that Tsitouras prints: coefficients of s, s², s³, s⁴.
        let polynomial = |c: [f64; 4], s: f64| s * (c[0] + s * (c[1] + s * (c[2] + s * c[3])));
        for (tableau, i, c) in [
            (
                DOPRI5,
                0,
                [
                    1.0,
                    -8_048_581_381.0 / 2_820_520_608.0,
                    8_663_915_743.0 / 2_820_520_608.0,
                    -12_715_105_075.0 / 11_282_082_432.0,
                ],
            ),
            (
                DOPRI5,
                2,
                [
                    0.0,
                    131_558_114_200.0 / 32_700_410_799.0,
                    -68_118_460_800.0 / 10_900_136_933.0,
                    87_487_479_700.0 / 32_700_410_799.0,
                ],
            ),
            (
                DOPRI5,
                6,
                [
                    0.0,
                    40_617_522.0 / 29_380_423.0,
                    -110_615_467.0 / 29_380_423.0,
                    69_997_945.0 / 29_380_423.0,
                ],
            ),
            (BOSH3, 0, [1.0, -4.0 / 3.0, 5.0 / 9.0, 0.0]),
            (BOSH3, 1, [0.0, 1.0, -2.0 / 3.0, 0.0]),
            (BOSH3, 3, [0.0, -1.0, 1.0, 0.0]),
            (TSIT5, 0, [1.0, -2.763_706_197_274_826, 2.913_255_461_821_912_6, -1.053_088_497_729_021_6]),
            (TSIT5, 1, [0.0, 0.1317, -0.2234, 0.1017]),
            (TSIT5, 4, [0.0, 37.509_313_416_511_04, -88.178_904_894_766_4, 47.379_521_962_819_28]),
            (TSIT5, 6, [0.0, 1.5, -4.0, 2.5]),
        ] {
            for s in [0.0, 0.2, 0.5, 0.7, 1.0] {
                let found = tableau.weight_at(&tableau.pair.unwrap(), i, s);
                let wanted = polynomial(c, s);
                assert!((found - wanted).abs() < SUMMED, "{tableau:?}, stage {i} at {s}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn only_the_pairs_end_where_the_next_step_begins() {
        assert!(PAIRS.iter().all(|(tableau, _)| tableau.fsal()));
        assert!([EULER, MIDPOINT, HEUN, RK4].iter().all(|tableau| !tableau.fsal()));
        let used = |stage: &usize| DOP853.counts(*stage);
        assert_eq!((0..13).filter(used).collect::<Vec<_>>(), [0, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert!(!DOPRI5.counts(1) && [0, 2, 3, 4, 5, 6].iter().all(|&i| DOPRI5.counts(i)));
    }

    /// Heun's method with Euler's beside it and a stage more, at which the next step begins and which its estimate leaves out.
    const SMALL: Tableau = Tableau {
        c: &[0.0, 1.0, 1.0],
        a: &[&[], &[1.0], &[0.5, 0.5]],
        b: &[0.5, 0.5, 0.0],
        pair: Some(Pair { error: &[-0.5, 0.5, 0.0], coarse: None, order: 1, curve: FLAT }),
    };

    /// The cubic of Hermite.
    const FLAT: Curve = Curve { c: &[], a: &[], d: &[&[0.0, 0.0, 0.0]] };

    #[test]
    fn a_stage_counts_in_the_step_in_an_estimate_or_in_the_next_step() {
        assert!((0..3).all(|i| SMALL.counts(i)));
        let alone = Tableau { b: &[1.0, 0.0, 0.0], ..SMALL };
        assert!(alone.counts(1), "in the estimate");
        let pair = Pair { error: &[0.0; 3], coarse: Some(&[-0.5, 0.5, 0.0]), ..SMALL.pair.unwrap() };
        assert!(Tableau { pair: Some(pair), ..alone }.counts(1), "in the other estimate");
        assert!(!Tableau { pair: Some(Pair { coarse: None, ..pair }), ..alone }.counts(1), "in none");
    }

    #[test]
    fn the_next_step_begins_at_a_last_stage_that_stands_where_the_step_ends() {
        assert!(SMALL.fsal());
        assert!(!Tableau { c: &[0.0, 1.0, 0.5], ..SMALL }.fsal(), "it stands elsewhere in time");
        assert!(!Tableau { b: &[0.5, 0.5, 0.1], ..SMALL }.fsal(), "it counts in the step");
        assert!(
            !Tableau { a: &[&[], &[1.0], &[0.4, 0.5]], ..SMALL }.fsal(),
            "it stands elsewhere, by its first weight"
        );
        assert!(
            !Tableau { a: &[&[], &[1.0], &[0.5, 0.4]], ..SMALL }.fsal(),
            "it stands elsewhere, by its last weight"
        );
    }

    #[test]
    fn a_tableau_with_a_slip_is_refused() {
        let pair = SMALL.pair.unwrap();
        let with = |pair: Pair| Tableau { pair: Some(pair), ..SMALL };
        let curve = |curve: Curve| with(Pair { curve, ..pair });
        let slips = [
            ("a stage too many", Tableau { b: &[0.5, 0.5], ..SMALL }),
            ("the sum of b", Tableau { b: &[0.5, 0.4, 0.0], ..SMALL }),
            ("the sum of a row", Tableau { a: &[&[], &[0.9], &[0.5, 0.5]], ..SMALL }),
            (
                "a stage outside the step",
                Tableau { c: &[0.0, -1.0, 1.0], a: &[&[], &[-1.0], &[0.5, 0.5]], ..SMALL },
            ),
            (
                "a stage beyond the step",
                Tableau { c: &[0.0, 1.5, 1.0], a: &[&[], &[1.5], &[0.5, 0.5]], ..SMALL },
            ),
            ("the length of a row", Tableau { a: &[&[], &[1.0, 0.0], &[0.5, 0.5]], ..SMALL }),
            ("the number of c", Tableau { c: &[0.0, 1.0], ..SMALL }),
            ("the sum of an estimate", with(Pair { error: &[-0.5, 0.4, 0.0], ..pair })),
            ("the length of an estimate", with(Pair { error: &[-0.5, 0.5], ..pair })),
            ("the sum of the other estimate", with(Pair { coarse: Some(&[0.1, 0.0, 0.0]), ..pair })),
            ("the first row of a curve", curve(Curve { d: &[&[0.1, 0.0, 0.0], &[0.0; 3]], ..FLAT })),
            ("the last row of a curve", curve(Curve { d: &[&[0.0; 3], &[0.1, 0.0, 0.0]], ..FLAT })),
            ("a stage of the curve", curve(Curve { c: &[0.5], a: &[&[0.5, 0.1, 0.0]], d: &[] })),
            ("the last stage", Tableau { a: &[&[], &[1.0], &[0.4, 0.6]], ..SMALL }),
        ];
        SMALL.checked();
        for (what, slip) in slips {
            assert!(std::panic::catch_unwind(|| slip.checked()).is_err(), "{what}");
        }
    }
}
