//! [`Picture`]: pixels, and the PNG file that holds them.

use std::io::Write;

use crate::error::{Error, Result};

/// An image: three bytes (red, green, blue in sRGB) for each pixel, row after row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The bytes, of length width x height x 3.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Writes the picture as PNG, 8 bits per channel, without loss.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `rgb` has another length than width x height x 3; [`Error::Picture`] if a
    /// side is 0 or the writer refuses (the text says why).
    ///
    /// # Example
    /// ```
    /// use pushforward::plot::Picture;
    ///
    /// let mut file = Vec::new();
    /// Picture { width: 1, height: 1, rgb: vec![255, 0, 0] }.write_png(&mut file)?;
    /// assert_eq!(&file[1..4], b"PNG");
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn write_png(&self, to: impl Write) -> Result<()> {
        self.check()?;
        let refused = |e: png::EncodingError| Error::Picture { what: "the PNG file", found: e.to_string() };
        let mut encoder = png::Encoder::new(to, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(refused)?;
        writer.write_image_data(&self.rgb).map_err(refused)?;
        writer.finish().map_err(refused)
    }

    /// Looks whether its bytes are as many as its sides say.
    pub(super) fn check(&self) -> Result<()> {
        let sides = (self.width as usize).saturating_mul(self.height as usize);
        let (expected, found) = (sides.saturating_mul(3), self.rgb.len());
        if found == expected {
            return Ok(());
        }
        let remedy = "give width x height x 3 of them";
        Err(Error::Dimension { what: "bytes of a picture", expected, found, remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_holds_the_same_pixels() {
        let (width, height) = (37_u32, 23_u32);
        let rgb = (0..width * height * 3).map(|k| u8::try_from(k * k % 251).unwrap()).collect();
        let picture = Picture { width, height, rgb };
        let mut file = Vec::new();
        picture.write_png(&mut file).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (width, height, png::ColorType::Rgb));
        assert_eq!(pixels, picture.rgb);
    }

    #[test]
    fn bad_pictures_and_writers_are_errors() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("no space left"))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let good = Picture { width: 2, height: 2, rgb: vec![0; 12] };
        assert!(good.write_png(Full).unwrap_err().to_string().contains("no space left"));
        assert!(matches!(
            Picture { width: 2, height: 2, rgb: vec![0; 11] }.write_png(Vec::new()),
            Err(Error::Dimension { expected: 12, found: 11, .. })
        ));
        assert!(Picture { width: 0, height: 2, rgb: vec![] }.write_png(Vec::new()).is_err());
    }
}
