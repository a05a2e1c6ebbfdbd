//! [`EQUATIONS`]: the mathematics that this crate implements, numbered as in its code and documentation.
//!
//! t = 0 is the source p, t = 1 the target q; alpha multiplies x_1, sigma multiplies x_0; a dot is the derivative in t.
//!
//! # Source
//! Lipman et al. 2024, arXiv:2412.06264; Lipman et al. 2023, arXiv:2210.02747; Tong et al. 2024, arXiv:2302.00482; Chen et
//! al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367; Liu et al. 2023, arXiv:2209.03003.

/// A numbered equation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Equation {
    /// Its number: `E18`.
    pub id: &'static str,
    /// Its formula. `_` and `^` lower and raise what follows: a letter, or a group in braces.
    pub formula: &'static str,
    /// What it is about.
    pub subject: &'static str,
}

const fn equation(id: &'static str, formula: &'static str, subject: &'static str) -> Equation {
    Equation { id, formula, subject }
}

/// E1 to E31.
pub const EQUATIONS: [Equation; 31] = [
    equation("E1", "d/dt ψ_t(x) = u_t(ψ_t(x)), ψ_0(x) = x", "the flow of a velocity, and its inverse"),
    equation("E2", "X_0 ~ p ⇒ X_1 = ψ_1(X_0) ~ q", "q is the pushforward of p by the flow"),
    equation("E3", "d/dt p_t(x) + ∇·(p_t(x) u_t(x)) = 0", "continuity: mass moves, none is made"),
    equation("E4", "p_t(x) = ∫ p_t(x | x_1) q(x_1) dx_1", "the marginal path"),
    equation("E5", "p_t(x | x_1) = N(x | t x_1, (1 − t)^2 I)", "the linear conditional path"),
    equation("E6", "X_t = t X_1 + (1 − t) X_0", "points on the linear path"),
    equation(
        "E7",
        "E[X_t] = t E[X_1], Cov[X_t] = t^2 Cov[X_1] + (1 − t)^2 I",
        "the moments of the linear path",
    ),
    equation("E8", "u_t(x | x_1) = (x_1 − x)/(1 − t) = X_1 − X_0", "the conditional velocity"),
    equation("E9", "u_t(x) = E[X_1 − X_0 | X_t = x]", "the marginal velocity"),
    equation("E10", "L_{FM} = E |v(t, X_t) − u_t(X_t)|^2", "the distance to the true field"),
    equation("E11", "L_{CFM} = E |v(t, X_t) − (X_1 − X_0)|^2", "the loss that is trained"),
    equation(
        "E12",
        "∇L_{CFM} = ∇L_{FM}, L_{CFM} = L_{FM} + V",
        "both losses have one gradient and differ by the floor V",
    ),
    equation("E13", "X_t = α_t X_1 + σ_t X_0, Ẋ_t = α̇_t X_1 + σ̇_t X_0", "affine paths"),
    equation("E14", "α_t, σ_t, α̇_t, σ̇_t, snr = α_t/σ_t", "schedulers, their derivatives and their ratio"),
    equation("E15", "x = α x̂_1 + σ x̂_0, u = α̇ x̂_1 + σ̇ x̂_0", "velocity, target and noise as predictions"),
    equation("E16", "∇ log p_t(x) = −x̂_0/σ_t", "the score"),
    equation(
        "E17",
        "ū_r(x) = (ċ_r/c_r) x + c_r (dt/dr) u_{t(r)}(x/c_r)",
        "another scheduler after training, the same ψ_1",
    ),
    equation(
        "E18",
        "ψ_t(x) = α_t m + C_t^{1/2} x, C_t = α_t^2 S + σ_t^2 I",
        "N(0, I) to N(m, S) in closed form",
    ),
    equation("E19", "u_t(x) = Σ_k g_k(t, x) u_t^k(x)", "a mixture of Gaussians as the target"),
    equation(
        "E20",
        "x̂_1 = Σ_i w_i x_i, w_i ∝ exp(−|x − α_t x_i|^2/(2 σ_t^2))",
        "a set of points as the target",
    ),
    equation(
        "E21",
        "log p_1(x) = log p_0(ψ_1^{−1}(x)) − ∫_0^1 ∇·u_t(ψ_t) dt",
        "the change of variables along the flow",
    ),
    equation("E22", "∇·u = tr(du/dx) = E[e^T (du/dx) e]", "the divergence, exact and by probes"),
    equation("E23", "error = O(h^k)", "the order of a method"),
    equation("E24", "(t, h) for each row by itself", "no result depends on its neighbours"),
    equation("E25", "π(x_0, x_1), marginals p and q", "couplings"),
    equation(
        "E26",
        "X_t = t X_1 + (1 − t) X_0 + s e, and two more",
        "paths of constant width, with a least width, bridges",
    ),
    equation("E27", "ũ = (1 − w) u(x | ∅) + w u(x | y)", "guidance without a classifier"),
    equation("E28", "∫ E |u_t(X_t)|^2 dt, ∫ E |(X_1 − X_0) − u_t(X_t)|^2 dt", "path energy and straightness"),
    equation("E29", "u = u^{gauss}_t(x) + r_t net(t, (x − m_t)/s_t)", "the Gaussian baseline"),
    equation(
        "E30",
        "dX = (u_t + (b_t^2/2) ∇ log p_t) dt + b_t dW",
        "noise on the way that keeps the marginals",
    ),
    equation("E31", "u_t(x | y) = u_t(x) + k_t ∇ log p_t(y | x)", "guidance by a classifier"),
];
