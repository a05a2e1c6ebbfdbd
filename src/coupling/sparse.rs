//! Shortest augmenting paths over a few candidate columns for each row: the search of an assignment between points.
//!
//! # Math
//! The stages are those of [`super::assignment`], on lists of arcs instead of rows of a matrix: rows take their cheapest column or
//! outbid each other, and each row that is then still free gets a shortest path (Dijkstra, reduced costs c - v - u). The
//! answer is the best over the arcs that there are; a row without any path says that its lists were too short.
//!
//! # Shapes
//! n rows, n columns; row i has arcs `first[i] .. first[i + 1]`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// No row or column.
pub(super) const NONE: u32 = u32::MAX;

/// Passes of row reduction over the free rows, and steps of it for each row and pass: more only lengthen its price wars.
const PASSES: usize = 3;
const STEPS_PER_ROW: usize = 8;

/// Rows without a path after which the others wait for longer lists too: each such search visits all that it can reach.
const MOST_FAILURES: usize = 16;

/// A column that a row may take, and what it costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub(super) cost: f64,
    pub(super) column: u32,
}

/// The arcs of all rows, row after row.
#[derive(Debug, Clone)]
pub(super) struct Arcs {
    /// Length n + 1.
    pub(super) first: Vec<usize>,
    pub(super) arcs: Vec<Arc>,
}

impl Arcs {
    pub(super) fn of(&self, row: u32) -> &[Arc] {
        let row = row as usize;
        &self.arcs[self.first[row]..self.first[row + 1]]
    }
}

/// What a search knows of a column, on half a line of the cache.
#[derive(Debug, Clone, Copy)]
struct Column {
    v: f64,
    /// From the start of the search number `seen`.
    distance: f64,
    from: u32,
    /// The row that has it, or `NONE`.
    row: u32,
    seen: u32,
    /// The last search that has closed it.
    closed: u32,
}

/// Columns by their distance, nearest first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reached {
    distance: f64,
    column: u32,
}

impl Eq for Reached {}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then(other.column.cmp(&self.column))
    }
}

/// A matching that is under way.
#[derive(Debug)]
pub(super) struct Matching {
    columns: Vec<Column>,
    /// Column of each row or `NONE`, and what it costs.
    column_of: Vec<u32>,
    own_cost: Vec<f64>,
    /// Rows without a column, in the order in which they are treated.
    free: Vec<u32>,
    /// Rows whose dual may have risen since this was last cleared.
    pub(super) changed: Vec<bool>,
    searches: u32,
    heap: BinaryHeap<Reached>,
    closed: Vec<Reached>,
}

impl Matching {
    /// Nothing is matched yet; `v` has one dual for each of n columns, n below 2^32.
    #[allow(clippy::cast_possible_truncation, reason = "the number of rows was checked")]
    pub(super) fn new(v: &[f64]) -> Self {
        let n = v.len();
        let column = |&v| Column { v, distance: 0.0, from: NONE, row: NONE, seen: 0, closed: 0 };
        Self {
            columns: v.iter().map(column).collect(),
            column_of: vec![NONE; n],
            own_cost: vec![0.0; n],
            free: (0..n as u32).collect(),
            changed: vec![true; n],
            searches: 0,
            heap: BinaryHeap::new(),
            closed: Vec::new(),
        }
    }

    /// The column duals, length n.
    pub(super) fn v(&self) -> impl Iterator<Item = f64> + '_ {
        self.columns.iter().map(|column| column.v)
    }

    pub(super) fn column_of(&self) -> &[u32] {
        &self.column_of
    }

    pub(super) fn free(&self) -> &[u32] {
        &self.free
    }

    /// The dual u of a row that has a column: what it pays there above v.
    pub(super) fn u(&self, row: usize) -> f64 {
        self.own_cost[row] - self.columns[self.column_of[row] as usize].v
    }

    fn pair(&mut self, row: u32, arc: Arc) {
        self.columns[arc.column as usize].row = row;
        self.column_of[row as usize] = arc.column;
        self.own_cost[row as usize] = arc.cost;
    }

    /// Takes the column of a row away from it.
    pub(super) fn release(&mut self, row: u32) {
        let column = std::mem::replace(&mut self.column_of[row as usize], NONE);
        if column != NONE {
            self.columns[column as usize].row = NONE;
            self.free.push(row);
        }
    }

    /// Free rows take their cheapest column, or outbid the row that has it.
    pub(super) fn reduce_rows(&mut self, arcs: &Arcs) {
        for _ in 0..PASSES {
            let mut budget = STEPS_PER_ROW * self.column_of.len();
            let mut waiting = std::mem::take(&mut self.free);
            waiting.reverse();
            while let Some(i) = waiting.pop() {
                if budget == 0 {
                    self.free.push(i);
                    continue;
                }
                budget -= 1;
                let none = (f64::INFINITY, Arc { cost: 0.0, column: NONE });
                let (mut first, mut second) = (none, none);
                for &arc in arcs.of(i) {
                    let reduced = arc.cost - self.columns[arc.column as usize].v;
                    if reduced < first.0 {
                        (second, first) = (first, (reduced, arc));
                    } else if reduced < second.0 {
                        second = (reduced, arc);
                    }
                }
                let mut taken = first.1;
                let column = &mut self.columns[taken.column as usize];
                let lowered = column.v - (second.0 - first.0);
                let outbids = second.0.is_finite() && lowered < column.v;
                if outbids {
                    column.v = lowered;
                } else if column.row != NONE && second.0.is_finite() {
                    taken = second.1; // a tie: the second will do as well
                }
                let before = self.columns[taken.column as usize].row;
                self.pair(i, taken);
                if before != NONE {
                    self.column_of[before as usize] = NONE;
                    if outbids { waiting.push(before) } else { self.free.push(before) }
                }
            }
        }
    }

    /// Gives every free row a column along a shortest path. Rows without a path stay free; `short` is set for all rows
    /// that were visited in vain.
    pub(super) fn augment(&mut self, arcs: &Arcs, short: &mut [bool]) {
        let mut failures = 0;
        for start in std::mem::take(&mut self.free) {
            if failures == MOST_FAILURES {
                self.free.push(start);
                continue;
            }
            let sink = self.search(arcs, start);
            if sink.column == NONE {
                failures += 1;
                self.free.push(start);
                short[start as usize] = true;
                for reached in &self.closed {
                    short[self.columns[reached.column as usize].row as usize] = true;
                }
                continue;
            }
            self.changed[start as usize] = true;
            for &Reached { distance, column } in &self.closed {
                let column = &mut self.columns[column as usize];
                column.v += distance - sink.distance;
                self.changed[column.row as usize] = true;
            }
            let mut j = sink.column;
            loop {
                let i = self.columns[j as usize].from;
                let next = self.column_of[i as usize];
                let cost = arcs.of(i).iter().find(|arc| arc.column == j).map_or(0.0, |arc| arc.cost);
                self.pair(i, Arc { cost, column: j });
                if i == start {
                    break;
                }
                j = next;
            }
        }
    }

    /// Dijkstra from a free row to the nearest free column; `closed` holds the columns that are nearer.
    fn search(&mut self, arcs: &Arcs, start: u32) -> Reached {
        self.searches += 1;
        let search = self.searches;
        self.heap.clear();
        self.closed.clear();
        let mut sink = Reached { distance: f64::INFINITY, column: NONE };
        let reduced = |arc: &Arc| arc.cost - self.columns[arc.column as usize].v;
        let mut i = start;
        let mut offset = arcs.of(start).iter().map(reduced).fold(f64::INFINITY, f64::min);
        loop {
            for arc in arcs.of(i) {
                let column = &mut self.columns[arc.column as usize];
                let distance = arc.cost - column.v - offset;
                let nearer = column.seen != search || distance < column.distance;
                if distance < sink.distance && nearer && column.closed != search {
                    (column.seen, column.distance, column.from) = (search, distance, i);
                    let reached = Reached { distance, column: arc.column };
                    if column.row == NONE {
                        sink = reached;
                    } else {
                        self.heap.push(reached);
                    }
                }
            }
            // The nearest that is still open; an older, longer way to it stays in the heap and is passed over.
            let nearest = loop {
                let Some(reached) = self.heap.pop() else { return sink };
                if self.columns[reached.column as usize].closed != search {
                    break reached;
                }
            };
            if nearest.distance >= sink.distance {
                return sink;
            }
            let column = &mut self.columns[nearest.column as usize];
            column.closed = search;
            self.closed.push(nearest);
            // Through this column to the row that has it: dist(k) = dist(j) + r(i, k) - r(i, j).
            i = column.row;
            offset = self.own_cost[i as usize] - column.v - nearest.distance;
        }
    }
}
