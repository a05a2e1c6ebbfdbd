//! Claims about pairs of source and target rows: E25.

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
