//! [`contour`]: lines of equal value on a grid.
//!
//! # Math
//! Marching squares: in a square of four neighbouring centres a line joins the points of two edges at which the value, linear
//! along an edge, is the level. Where all four edges have one, the mean of the corners says which of them belong together.
//!
//! # Source
//! W. E. Lorensen, H. E. Cline, 1987, in the plane.

use std::collections::HashMap;

use crate::tensor::Tensor;

/// An edge of the grid: its lower or left end (row, column), and whether it goes up.
type Edge = (usize, usize, bool);

/// The lines at a level of values at the centres of cells, [rows, columns]; points as (column, row), fractions between centres.
pub(super) fn contour(values: &Tensor<f64>, level: f64) -> Vec<Vec<(f64, f64)>> {
    let at = |i: usize, j: usize| values.row(i)[j];
    // The neighbours of each crossed edge along its line: at most one in the square on either side.
    let mut next: HashMap<Edge, Vec<Edge>> = HashMap::new();
    let mut order = Vec::new();
    for i in 0..values.rows().saturating_sub(1) {
        for j in 0..values.cols().saturating_sub(1) {
            for (a, b) in square(at, level, i, j) {
                for (a, b) in [(a, b), (b, a)] {
                    let neighbours = next.entry(a).or_insert_with(|| {
                        order.push(a);
                        Vec::new()
                    });
                    neighbours.push(b);
                }
            }
        }
    }
    let place = |(i, j, up): Edge| {
        let (a, b) = (at(i, j), if up { at(i + 1, j) } else { at(i, j + 1) });
        let s = ((level - a) / (b - a)).clamp(0.0, 1.0);
        if up { (j as f64, i as f64 + s) } else { (j as f64 + s, i as f64) }
    };
    let mut lines = Vec::new();
    // Lines with ends first, then what is left: closed ones.
    let ends: Vec<Edge> = order.iter().copied().filter(|edge| next[edge].len() == 1).collect();
    for start in ends.into_iter().chain(order) {
        let (mut line, mut edge) = (vec![place(start)], start);
        while let Some(to) = next.get_mut(&edge).and_then(Vec::pop) {
            if let Some(back) = next.get_mut(&to)
                && let Some(k) = back.iter().position(|&other| other == edge)
            {
                back.swap_remove(k);
            }
            line.push(place(to));
            edge = to;
        }
        if line.len() > 1 {
            lines.push(line);
        }
    }
    lines
}

/// The pieces of lines in the square with the lower left corner (i, j).
fn square(at: impl Fn(usize, usize) -> f64, level: f64, i: usize, j: usize) -> Vec<(Edge, Edge)> {
    let corners = [at(i, j), at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)]; // around, from the lower left
    let edges: [Edge; 4] = [(i, j, false), (i, j + 1, true), (i + 1, j, false), (i, j, true)];
    let above = corners.map(|value| value > level);
    let crossed: Vec<usize> = (0..4).filter(|&k| above[k] != above[(k + 1) % 4]).collect();
    match crossed[..] {
        [a, b] => vec![(edges[a], edges[b])],
        [..] if crossed.len() == 4 => {
            // Corners like the lower left one are joined through the middle, or cut off.
            let joined = (corners.iter().sum::<f64>() / 4.0 > level) == above[0];
            let pairs = if joined { [(0, 1), (2, 3)] } else { [(3, 0), (1, 2)] };
            pairs.map(|(a, b)| (edges[a], edges[b])).into()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_cone_are_circles() {
        const N: usize = 41;
        let r = |i: usize, j: usize| (i as f64 - 20.0).hypot(j as f64 - 20.0);
        let values = (0..N * N).map(|k| 30.0 - r(k / N, k % N)).collect();
        let values = Tensor::from_vec(values, N, N).unwrap();
        let lines = contour(&values, 20.0);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last(), "it is closed");
        // Linear interpolation of a radius of 10 cells is off by at most h²/(8 r).
        assert!(lines[0].iter().all(|(x, y)| ((x - 20.0).hypot(y - 20.0) - 10.0).abs() < 0.02));
        assert!(lines[0].len() > 60);
        assert!(contour(&values, 31.0).is_empty());
    }

    #[test]
    fn lines_end_at_the_edge_and_saddles_are_parted() {
        let slope = Tensor::from_rows(&[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]);
        assert_eq!(contour(&slope, 0.5), [[(0.5, 0.0), (0.5, 1.0)]]);
        let saddle = Tensor::from_rows(&[[1.0, 0.0], [0.0, 1.0]]);
        for level in [0.4, 0.6] {
            let lines = contour(&saddle, level);
            assert_eq!((lines.len(), lines[0].len(), lines[1].len()), (2, 2, 2), "{level}");
        }
        // Just below the mean the ones belong together: the lines cut off the corners with zeros.
        let mean = |line: &Vec<(f64, f64)>| (line[0].0 + line[1].0) / 2.0 + (line[0].1 + line[1].1) / 2.0;
        assert!(contour(&saddle, 0.4).iter().all(|line| (mean(line) - 1.0).abs() < 1e-12));
        assert!(contour(&saddle, 0.6).iter().all(|line| (mean(line) - 1.0).abs() > 0.3));
    }
}
