//! Every test that needs no process of its own, compiled and linked once: a test binary each would be forty links of the
//! whole crate. `allocations` counts what every thread of its process allocates, `memory` reads its process's peak: they stand alone.

mod audit;
mod cli;
mod conditional;
mod config;
mod couplings;
mod dependencies;
mod determinism;
mod end_to_end;
mod evaluate;
mod files;
mod gaussian_flow;
mod golden;
mod golden_density;
mod gradients;
mod layers;
mod likelihood;
mod manual;
mod model_file;
mod ode_accuracy;
mod ode_adaptive;
mod ode_limits;
mod ode_order;
mod ode_rows;
mod path_marginals;
mod paths;
mod plot;
mod report;
mod resume;
mod safetensors;
mod shards;
mod streaming;
mod tables;
mod times;
mod trajectory;
mod transformed;
