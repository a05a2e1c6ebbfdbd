//! [`animation`]: pictures one after the other, as GIF.
//!
//! # Limits
//! A GIF has at most 256 colours. Colours of all pictures are counted in cubes of 8 levels a channel; the 256 cubes with the most
//! pixels get their mean colour, all others the one nearest to them. Pictures of few inks on one ground lose nothing that is seen.

use std::collections::HashMap;
use std::io::Write;

use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::picture::Picture;
use crate::error::{Error, Result};

/// Colours of a GIF.
const COLOURS: usize = 256;

/// Writes pictures of one size as an endless animation, each for `hundredths` of a second; the first and the last for a second.
///
/// # Errors
/// [`Error::Dimension`] if there is no picture, one of another size, or one with more or fewer bytes than its sides say; [`Error::Picture`] for a side above 65535 or if the writer
/// refuses (the text says why).
///
/// # Example
/// ```
/// use pushforward::plot::{Picture, animation};
///
/// let frame = |byte| Picture { width: 1, height: 1, rgb: vec![byte; 3] };
/// let mut file = Vec::new();
/// animation(&[frame(0), frame(255)], 5, &mut file)?;
/// assert_eq!(&file[..6], b"GIF89a");
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn animation(pictures: &[Picture], hundredths: u16, to: impl Write) -> Result<()> {
    let Some(first) = pictures.first() else {
        let remedy = "give at least one";
        return Err(Error::Dimension { what: "pictures of an animation", expected: 1, found: 0, remedy });
    };
    for picture in pictures {
        picture.check()?;
        if (picture.width, picture.height) != (first.width, first.height) {
            return Err(Error::Dimension {
                what: "bytes of a picture of an animation",
                expected: first.rgb.len(),
                found: picture.rgb.len(),
                remedy: "give pictures of one size",
            });
        }
    }
    let refused = |found: String| Error::Picture { what: "the GIF file", found };
    let side = |n: u32| u16::try_from(n).map_err(|_| refused(format!("a side of {n} pixels: at most 65535")));
    let (width, height) = (side(first.width)?, side(first.height)?);
    let palette = Palette::of(pictures);
    let mut encoder =
        Encoder::new(to, width, height, &palette.colours).map_err(|e| refused(e.to_string()))?;
    encoder.set_repeat(Repeat::Infinite).map_err(|e| refused(e.to_string()))?;
    for (k, picture) in pictures.iter().enumerate() {
        let mut frame = Frame::from_indexed_pixels(width, height, palette.indices(picture), None);
        frame.delay = if k == 0 || k + 1 == pictures.len() { 100 } else { hundredths };
        frame.dispose = DisposalMethod::Keep;
        encoder.write_frame(&frame).map_err(|e| refused(e.to_string()))?;
    }
    Ok(())
}

/// The colours of an animation, and which of them a cube has.
struct Palette {
    /// Three bytes each.
    colours: Vec<u8>,
    index: HashMap<[u8; 3], u8>,
}

/// The cube of a colour.
fn cube(rgb: &[u8]) -> [u8; 3] {
    [rgb[0] >> 3, rgb[1] >> 3, rgb[2] >> 3]
}

impl Palette {
    #[allow(clippy::cast_possible_truncation, reason = "means of bytes, and indices below 256")]
    fn of(pictures: &[Picture]) -> Self {
        let mut cubes: HashMap<[u8; 3], [u64; 4]> = HashMap::new();
        for rgb in pictures.iter().flat_map(|picture| picture.rgb.chunks_exact(3)) {
            let sums = cubes.entry(cube(rgb)).or_default();
            sums[0] += 1;
            for (sum, &byte) in sums[1..].iter_mut().zip(rgb) {
                *sum += u64::from(byte);
            }
        }
        let mut order: Vec<_> = cubes.into_iter().collect();
        // The cube itself decides between equal numbers: the order does not depend on the map.
        order.sort_unstable_by_key(|&(cube, sums)| (std::cmp::Reverse(sums[0]), cube));
        let mean = |sums: &[u64; 4]| [1, 2, 3].map(|c| ((sums[c] + sums[0] / 2) / sums[0]) as u8);
        let kept: Vec<[u8; 3]> = order.iter().take(COLOURS).map(|(_, sums)| mean(sums)).collect();
        let nearest = |colour: [u8; 3]| {
            let distance = |other: &[u8; 3]| -> u32 {
                (0..3).map(|c| u32::from(colour[c].abs_diff(other[c])).pow(2)).sum()
            };
            (0..kept.len()).min_by_key(|&k| distance(&kept[k])).unwrap_or(0) as u8
        };
        let index = order.iter().map(|(cube, sums)| (*cube, nearest(mean(sums)))).collect();
        Self { colours: kept.concat(), index }
    }

    fn indices(&self, picture: &Picture) -> Vec<u8> {
        picture.rgb.chunks_exact(3).map(|rgb| self.index.get(&cube(rgb)).copied().unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, byte: impl Fn(u32) -> u8) -> Picture {
        Picture { width, height: 2, rgb: (0..width * 2 * 3).map(byte).collect() }
    }

    #[test]
    fn frames_come_back() {
        let frames: Vec<Picture> = [0, 100, 200].map(|k| picture(5, move |_| k)).into();
        let mut file = Vec::new();
        animation(&frames, 7, &mut file).unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(file.as_slice()).unwrap();
        for (k, expected) in [(100, 0), (7, 100), (100, 200)] {
            let frame = decoder.read_next_frame().unwrap().unwrap();
            assert_eq!((frame.width, frame.height, frame.delay), (5, 2, k));
            assert!(frame.buffer.chunks(4).all(|rgba| rgba == [expected, expected, expected, 255]));
        }
        assert!(decoder.read_next_frame().unwrap().is_none());
        let mut again = Vec::new();
        animation(&frames, 7, &mut again).unwrap();
        assert_eq!(file, again);
    }

    #[test]
    fn many_colours_go_to_their_neighbours() {
        #[allow(clippy::cast_possible_truncation, reason = "any bytes")]
        let many = picture(4000, |k| (k.wrapping_mul(2_654_435_761) >> 24) as u8);
        animation(&[many], 5, Vec::new()).unwrap();
    }

    #[test]
    fn pictures_must_fit_together() {
        assert!(matches!(animation(&[], 5, Vec::new()), Err(Error::Dimension { .. })));
        let two = [picture(5, |_| 0), picture(6, |_| 0)];
        assert!(matches!(animation(&two, 5, Vec::new()), Err(Error::Dimension { .. })));
        let wide = Picture { width: 70_000, height: 1, rgb: vec![0; 210_000] };
        assert!(animation(&[wide], 5, Vec::new()).unwrap_err().to_string().contains("65535"));
    }
}
