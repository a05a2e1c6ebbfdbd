//! Claims about affine paths, predictions and scores: E13 to E17, E26, E30, E31.

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
