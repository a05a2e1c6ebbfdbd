//! Claims about paths, marginal velocities, losses and closed forms: E4 to E12, E18 to E20, E28.

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
