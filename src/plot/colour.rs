//! The colours of all pictures, and the colour map of densities.

/// Red, green and blue in 0 ..= 255, sRGB.
pub(super) type Colour = [f32; 3];

/// The ground of a picture and the colours on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on nearly black.
    Dark,
}

/// What a colour is for. Blue and orange are told apart by nearly everybody, on both grounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ink {
    /// The page.
    Ground,
    /// Titles and legends.
    Text,
    /// Numbers at the axes and remarks.
    Quiet,
    /// Frames and ticks.
    Line,
    /// Lines behind the points.
    Guide,
    /// What comes from or goes to the target: blue.
    Target,
    /// What comes from the source, or the data that samples are held against: orange.
    Source,
    /// Bars of the data behind the line of samples.
    Bar,
    /// Paths between source and target.
    Path,
    /// On top of a colour map.
    OnMap,
}

impl Ink {
    /// The colour on this ground.
    pub(super) fn colour(self, theme: Theme) -> Colour {
        let (light, dark) = match self {
            Self::Ground => (0xffffff, 0x14181d),
            Self::Text => (0x212529, 0xe9ecef),
            Self::Quiet => (0x626a72, 0xa3abb3),
            Self::Line => (0xadb5bd, 0x5b646d),
            Self::Guide => (0xeef0f2, 0x232a31),
            Self::Target => (0x19549a, 0x6cb4ee),
            Self::Source => (0xe67e22, 0xf2a154),
            Self::Bar => (0xf6d3ae, 0x6b4a28),
            Self::Path => (0x6c7a89, 0x93a1ad),
            Self::OnMap => (0xffffff, 0xffffff),
        };
        channels(if theme == Theme::Light { light } else { dark })
    }
}

/// Every fifth of the 256 colours of viridis, of matplotlib (`_cm_listed.py`, in the public domain under
/// CC0: N. Smith, S. van der Walt, E. Firing), as 0xRRGGBB. Between them, straight lines stay within
/// one step of 255 of the full table.
const VIRIDIS: [u32; 52] = [
    0x440154, 0x46085c, 0x471063, 0x481769, 0x481d6f, 0x482475, 0x472a7a, 0x46307e, 0x453781, 0x433d84,
    0x414287, 0x3f4889, 0x3d4e8a, 0x3a538b, 0x38598c, 0x355e8d, 0x33638d, 0x31688e, 0x2e6d8e, 0x2c718e,
    0x2a768e, 0x297b8e, 0x27808e, 0x25848e, 0x23898e, 0x218e8d, 0x20928c, 0x1f978b, 0x1e9c89, 0x1fa188,
    0x21a585, 0x24aa83, 0x28ae80, 0x2eb37c, 0x35b779, 0x3dbc74, 0x46c06f, 0x50c46a, 0x5ac864, 0x65cb5e,
    0x70cf57, 0x7cd250, 0x89d548, 0x95d840, 0xa2da37, 0xb0dd2f, 0xbddf26, 0xcae11f, 0xd8e219, 0xe5e419,
    0xf1e51d, 0xfde725,
];

/// The colour of a share in 0 ..= 1: dark blue, green, yellow, of even steps in lightness.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index in 0 ..= 50")]
pub(super) fn viridis(share: f64) -> Colour {
    let position = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let k = (position as usize).min(VIRIDIS.len() - 2);
    let [low, high] = [channels(VIRIDIS[k]), channels(VIRIDIS[k + 1])];
    mix(low, high, (position - k as f64) as f32)
}

/// The colour on the way from `a` (share 0) to `b` (share 1).
pub(super) fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|c| a[c] + share * (b[c] - a[c]))
}

/// The three bytes of a colour.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast to u8 saturates")]
pub(super) fn bytes(colour: Colour) -> [u8; 3] {
    colour.map(|c| (c + 0.5) as u8)
}

fn channels(rgb: u32) -> Colour {
    let [_, r, g, b] = rgb.to_be_bytes();
    [r, g, b].map(f32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_viridis_and_gets_lighter() {
        assert_eq!(bytes(viridis(0.0)), [68, 1, 84]);
        assert_eq!(bytes(viridis(1.0)), [253, 231, 37]);
        // Entry 128 of the full table is (0.127568, 0.566949, 0.550556).
        for (c, full) in bytes(viridis(128.0 / 255.0)).into_iter().zip([33_u8, 145, 140]) {
            assert!(c.abs_diff(full) <= 1);
        }
        // Luma of Rec. 709 rises all the way.
        let luma = |k: i32| {
            let [r, g, b] = viridis(f64::from(k) / 100.0);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        assert!((0..100).all(|k| luma(k + 1) > luma(k)));
    }
}
