//! The fast matrix product against its naive twin, at every SIMD level of this CPU. With small whole numbers every sum is exact: the
//! results must be equal, whatever the order of the terms.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pushforward::kernel::{Layout, Panels, Rows, RowsMut, Start, naive, product};
use pushforward::{Simd, SimdLevel};

fuzz_target!(|bytes: &[u8]| {
    let Some((&[rows, depth, cols, padding, kind], numbers)) = bytes.split_first_chunk::<5>() else { return };
    let (rows, depth, cols) = (usize::from(rows % 40), usize::from(depth % 70), usize::from(cols % 70));
    let padding = usize::from(padding % 20);
    let mut next = numbers.iter().chain(std::iter::repeat(&3)).map(|&byte| f32::from(byte.cast_signed()));
    let mut take = |n: usize| next.by_ref().take(n).collect::<Vec<f32>>();
    let (x_stride, y_stride) = ((depth + padding).max(1), (cols + padding / 2).max(1));
    let (x, w, bias, y) = (take(rows * x_stride), take(depth * cols), take(cols), take(rows * y_stride));
    let start = match kind % 3 {
        0 => Start::Zero,
        1 => Start::Bias(&bias),
        _ => Start::Accumulate,
    };
    let (layout, twin): (_, fn(_, &[f32], _, _)) = match kind / 3 % 2 {
        0 => (Layout::Straight, naive::product),
        _ => (Layout::Transposed, naive::product_transposed),
    };
    let mut expected = y.clone();
    twin(Rows::new(&x, depth, x_stride), &w, start, RowsMut::new(&mut expected, cols, y_stride));
    for level in [SimdLevel::Portable, SimdLevel::Avx2, SimdLevel::Avx512] {
        let Ok(simd) = Simd::of(level) else { continue };
        let mut panels = Panels::new(depth, cols, simd);
        panels.pack(&w, layout);
        let mut found = y.clone();
        let rows_mut = RowsMut::new(&mut found, cols, y_stride);
        product(simd, Rows::new(&x, depth, x_stride), &panels, start, rows_mut);
        for i in 0..rows {
            let row = i * y_stride..i * y_stride + cols;
            assert!(found[row.clone()] == expected[row], "{rows} x {depth} x {cols} at {level:?}, row {i}");
        }
    }
});
