//! What this is not for, and where it ends. Each file says under "Limits" where its own part does.
//!
//! # What there is not
//! - No GPU, no images, no attention: an MLP of x and t on a CPU. Tables of some to some hundreds of columns are what it is made for.
//! - No discrete flows and no manifolds: texts are unit vectors on the way and have no density.
//! - No implicit solvers: a stiff velocity takes many steps, and ends in an [`Error::Steps`](crate::Error::Steps) that names time and row.
//! - No gradient through a solver.
//!
//! # Data
//! | | at most |
//! |---|---|
//! | columns of a table | 65,536 |
//! | categories of a text column; of a condition | 256; 4096 |
//! | whole numbers | ±2^53 |
//! | a row of CSV | 16 MiB |
//! | rows | for training what memory holds: it is refused before it starts if that is too little; for samples and scores any number |
//!
//! A text among numbers, NaN and infinity are errors that name the cell. A column that does not vary is kept as that constant, and is no part of the density. Few rows
//! are learnt by heart sooner than they are learnt: look at rows held out ([`evaluating`](super::evaluating)). A model is no protection for
//! the rows it was trained with.
//!
//! # Numbers
//! - Networks compute in f32: there and back again is the same but for 1e-6 of a standard deviation where the way is gentle, and more where it is steep near an
//!   end, as networks of target or noise make it, and paths such as `ve`: 0.1 at a tolerance of 1e-5 has been seen, and less for a smaller one.
//!   `encode --check` tells. Log-densities are sums in f64
//!   of answers in f32.
//! - A density is as good as the ODE was solved: with fixed steps nobody looks at the error. It is that of the model, not of the data: where
//!   the data have none it is small, but not to be trusted to be small enough ([`Flow::log_density`](crate::Flow::log_density)).
//! - The exact divergence costs d tangents a row, fine for tens of columns. Probes give a standard error, which falls as 1/sqrt(K).
//! - `vp` keeps a trace of the target at t = 0, 0.0066 of it, and `ve` all of it: their source is not quite N(0, I) ([`Scheduler`](crate::Scheduler)).
//! - Guidance with a weight other than 1 samples no conditional law of the data, and its density is that of the guided flow.
//! - Optimal transport between minibatches is that between the laws only for large batches, and pairs under a condition are joined across similar conditions.
//!
//! # Files
//! A network has at most 2^28 parameters, 1 GiB. No length in a model file is trusted; damage is found by SHA-256, who wrote it is not
//! ([`checkpoint`](crate::checkpoint)). A file appears only when it is complete; what went to a pipe cannot be taken back.
//!
//! # Panics
//! What a caller or a file gives is answered with an [`Error`](crate::Error). The layers below take numbers by the slice: in [`kernel`](crate::kernel), in
//! [`autodiff`](crate::autodiff), for the rows of a [`Tensor`](crate::Tensor), in [`nn::Adam`](crate::nn::Adam) and in the sums of an
//! [`Objective`](crate::objective::Objective), an index or a length that cannot be is a slip of the program that calls them, and panics as that of a slice does; so
//! does a size that no memory holds where nothing else can be answered ([`Tensor::zeros`](crate::Tensor::zeros)). Each such function says so under "Panics".
//!
//! # Threads
//! A training step uses at most 8 threads, with a batch of 1024 and more ([`performance`](crate::performance)); samples as many as there are blocks of 128 rows.
