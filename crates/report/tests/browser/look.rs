//! Loose comparison of pictures: the mean darkness of coarse tiles, which
//! other fonts change little, and another drawing changes much.

use std::path::Path;

const COLUMNS: usize = 24;
const ROWS: usize = 16;
/// Of 255. Letters of another font differ by about 2, another axis by 10.
const TOLERANCE: f64 = 4.0;

/// Compares with `looks/NAME.txt`. `ADAMIX_KEEP_LOOKS=1` writes it anew.
pub(crate) fn compare(name: &str, png: &[u8]) {
    let tiles = tiles(png);
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/browser/looks")
        .join(format!("{name}.txt"));
    if std::env::var_os("ADAMIX_KEEP_LOOKS").is_some() {
        let rows = tiles.chunks(COLUMNS).map(|row| {
            let row: Vec<String> = row.iter().map(|tile| format!("{tile:3.0}")).collect();
            row.join(" ") + "\n"
        });
        std::fs::write(&file, rows.collect::<String>()).expect("a picture");
        return;
    }
    let kept = std::fs::read_to_string(&file).expect("a picture");
    let kept: Vec<f64> = kept
        .split_whitespace()
        .map(|n| n.parse().expect("a picture"))
        .collect();
    assert_eq!(kept.len(), tiles.len());
    let off: f64 = kept.iter().zip(&tiles).map(|(a, b)| (a - b).abs()).sum();
    let off = off / tiles.len() as f64;
    assert!(
        off < TOLERANCE,
        "{name} looks otherwise, by {off:.1} of 255; look at it, and where it is as it should be, \
         run this test with ADAMIX_KEEP_LOOKS=1"
    );
}

/// Mean brightness of every tile.
fn tiles(png: &[u8]) -> Vec<f64> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a picture");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a picture")];
    let info = reader.next_frame(&mut pixels).expect("a picture");
    let samples = info.color_type.samples();
    let (width, height) = (info.width as usize, info.height as usize);
    let (mut sums, mut counts) = (vec![0.0; COLUMNS * ROWS], vec![0.0; COLUMNS * ROWS]);
    for y in 0..height {
        for x in 0..width {
            let at = y * info.line_size + x * samples;
            let rgb = pixels[at..at + 3].iter().map(|c| f64::from(*c));
            let tile = y * ROWS / height * COLUMNS + x * COLUMNS / width;
            sums[tile] += rgb.sum::<f64>() / 3.0;
            counts[tile] += 1.0;
        }
    }
    sums.iter()
        .zip(counts)
        .map(|(sum, n)| sum / f64::max(n, 1.0))
        .collect()
}
