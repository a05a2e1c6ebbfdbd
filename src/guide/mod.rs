//! Pages to read: what flow matching is, what to choose, how to read what was measured. They hold no code but examples.
//!
//! | page | for |
//! |---|---|
//! | [`flow_matching`] | the mathematics from zero, equation by equation, each with what computes it here |
//! | [`choosing`] | path, coupling, prediction, solver, divergence: what each is worth, measured |
//! | [`evaluating`] | reading `evaluate` and `audit`: distances beside their noise floors, losses beside their floors |
//! | [`from_pytorch`] | names of torch, flow_matching, torchcfm, diffrax and sbi beside those here; networks there and back |
//! | [`reproducibility`] | what the bits of a result depend on, and what they do not |
//! | [`performance`](crate::performance) | where the time goes; batch, width and threads |
//! | [`checkpoint`](crate::checkpoint) | the format of model files, byte by byte |
//! | [`limits`] | what this is not for, and where it ends |
//!
//! `examples/` holds one idea a file; the head of each says which numbers it must print.

pub mod choosing;
pub mod evaluating;
pub mod flow_matching;
pub mod from_pytorch;
pub mod limits;
pub mod reproducibility;
