//! Claims about what the flow makes of a density: E2, E3, E21, E22.

use super::claim::Claim;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![]
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;

    pub(crate) fn faults() -> Vec<Fault> {
        vec![]
    }
}
