//! Claims about the solution of the flow's equation: E1, E23, E24.

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
