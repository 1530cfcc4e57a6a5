//! The size of a picture from its first bytes.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// How much of a picture is looked at, in characters of base64: a JPEG may hold much before its
/// size. It is a multiple of four.
const LOOKED_AT: [usize; 2] = [4 << 10, 4 << 20];

/// Width and height of the picture that a `data:` URL holds, in pixels.
///
/// `None` for other addresses, for kinds of pictures other than PNG, JPEG, GIF and WebP, and for
/// what is broken. The picture itself is not decoded.
pub(super) fn size_of_url(url: &str) -> Option<(u32, u32)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    if !kind.ends_with(";base64") {
        return None;
    }
    LOOKED_AT.iter().find_map(|most| {
        let bytes = decode(data.as_bytes(), *most)?;
        size(&bytes).filter(|(width, height)| *width > 0 && *height > 0)
    })
}

fn decode(data: &[u8], most: usize) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&STANDARD, config);
    engine.decode(&data[..data.len().min(most)]).ok()
}

fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((big(bytes, 16, 4)?, big(bytes, 20, 4)?)),
        [b'G', b'I', b'F', ..] => Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?)),
        [0xff, 0xd8, ..] => jpeg(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        _ => None,
    }
}

/// Goes from segment to segment to the one that has the size.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xff {
            at += 1;
        }
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let kind = *bytes.get(at)?;
        at += 1;
        match kind {
            // Those that have the size; three numbers among them are something else.
            0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => {
                return Some((big(bytes, at + 5, 2)?, big(bytes, at + 3, 2)?));
            }
            // Those that stand alone.
            0x01 | 0xd0..=0xd8 => {}
            // The picture begins or ends before its size was told.
            0xd9 | 0xda => return None,
            _ => at += big(bytes, at, 2)?.max(2) as usize,
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3fff, little(bytes, 28, 2)? & 0x3fff)),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        _ => None,
    }
}

fn big(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + count)?;
    Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

fn little(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + count)?;
    Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use base64::engine::general_purpose;
    use proptest::prelude::*;

    fn url(bytes: &[u8]) -> String {
        format!("data:image/any;base64,{}", general_purpose::STANDARD.encode(bytes))
    }

    /// The address of a PNG of this size, without its picture.
    pub(in crate::usage::request) fn png(width: u32, height: u32) -> String {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0]);
        url(&bytes)
    }

    #[test]
    fn the_size_is_read_from_the_first_bytes_of_each_kind() {
        assert_eq!(size_of_url(&png(640, 70_000)), Some((640, 70_000)));
        assert_eq!(size_of_url(&url(b"GIF89a\x80\x02\xe0\x01\0\0\0")), Some((640, 480)));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01";
        assert_eq!(size_of_url(&url(lossy)), Some((640, 480)));
        // 640 - 1 and 480 - 1 in 14 bits each.
        let bits = (639u32 | 479 << 14).to_le_bytes();
        let lossless = [&b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f"[..], &bits].concat();
        assert_eq!(size_of_url(&url(&lossless)), Some((640, 480)));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0";
        assert_eq!(size_of_url(&url(extended)), Some((640, 480)));
    }

    #[test]
    fn a_jpeg_tells_its_size_after_much_else() {
        let mut bytes = vec![0xff, 0xd8];
        for _ in 0..20 {
            bytes.extend([0xff, 0xe1, 0xff, 0xff]);
            bytes.resize(bytes.len() + 0xfffd, 0x41);
        }
        bytes.extend([0xff, 0xff, 0xc4, 0, 4, 1, 2, 0xff, 0xc2, 0, 17, 8, 1, 0xe0, 2, 0x80, 3]);
        assert_eq!(size_of_url(&url(&bytes)), Some((640, 480)));
        assert_eq!(size_of_url(&url(&bytes[..bytes.len() - 4])), None);
    }

    #[test]
    fn what_has_no_size_is_told_apart() {
        for url in [
            "https://example.com/a.png",
            "data:image/png;base64,",
            "data:image/png,iVBORw0KGgo",
            "data:image/png;base64,not base64!",
            "data:",
            "",
            &png(0, 5),
        ] {
            assert_eq!(size_of_url(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn broken_pictures_are_survived(kind in 0usize..4, mut tail in prop::collection::vec(any::<u8>(), 0..80)) {
            let starts: [&[u8]; 4] = [b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBPVP8L", b"GIF"];
            let mut bytes = starts[kind].to_vec();
            bytes.append(&mut tail);
            size_of_url(&url(&bytes));
        }
    }
}
