//! Test images beside what each arm makes of them, the error under each.

use adamix_record::{RunId, Samples, Text, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use plotters::style::text_anchor::HPos;
use png::{ColorType, Encoder, EncodingError};

use super::chart::{INK, LINE, PX, Width, beside, label_in, room, svg};
use super::svg::Tag;
use super::{Figure, Series, Words, column};
use crate::load::{Run, Study};
use crate::number::{fixed, in_a_row};
use crate::statistics::mean;
use crate::{Error, Result};

/// Test images and what each arm makes of them. The page shows the pictures as
/// a table, whose cells a screen reader reads one by one; the drawing is for
/// the file.
#[derive(Serialize)]
pub(crate) struct Reconstructions {
    pub(crate) figure: Figure,
    pub(crate) rows: Vec<GalleryRow>,
}

/// The images of one arm, or the test images themselves.
#[derive(Serialize)]
pub(crate) struct GalleryRow {
    /// Name of the arm in the plan; none of the test images.
    pub(crate) arm: Option<String>,
    pub(crate) label: Text,
    pub(crate) pictures: Vec<Picture>,
}

/// One image.
#[derive(Serialize)]
pub(crate) struct Picture {
    /// A `data:` address that holds the whole PNG.
    pub(crate) source: String,
    /// What it shows, for those who do not see it.
    pub(crate) alternative: Text,
    /// What stands below it.
    pub(crate) below: Text,
}

/// The pictures of the first seed; `None` where no run of it has any.
pub(super) fn figure(name: &str, study: &Study) -> Result<Option<Reconstructions>> {
    let Some(seed) = study.protocol.seeds.first() else {
        return Ok(None);
    };
    let mut rows: Vec<GalleryRow> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    let mut means: Vec<Text> = Vec::new();
    let mut without = Vec::new();
    for arm in &study.arms {
        let label = arm.label();
        let run = arm.runs.iter().find(|run| run.seed == *seed);
        let found = run.and_then(|run| Some((run, run.record.as_ref()?.samples.as_ref()?)));
        let Some((run, samples)) = found else {
            without.push(label.clone());
            continue;
        };
        let draw = |pixels: &[u8]| source(run, pixels, samples.image_shape);
        let name = |i: usize| match samples.labels.get(i) {
            Some(label) => text!(
                "image {number}, a {label}",
                "图像 {number}，数字 {label}",
                number = i + 1,
                label,
            ),
            None => text!("image {number}", "图像 {number}", number = i + 1),
        };
        if rows.is_empty() {
            let pictures: Result<Vec<Picture>> = samples
                .images
                .iter()
                .enumerate()
                .map(|(i, pixels)| {
                    Ok(Picture {
                        source: draw(pixels)?,
                        alternative: text!("Test {name}", "测试{name}", name = name(i)),
                        below: samples
                            .labels
                            .get(i)
                            .map(u8::to_string)
                            .unwrap_or_default()
                            .into(),
                    })
                })
                .collect();
            rows.push(GalleryRow {
                arm: None,
                label: text!("test image", "测试图像"),
                pictures: pictures?,
            });
        }
        let pictures: Result<Vec<Picture>> = samples
            .reconstructions
            .iter()
            .enumerate()
            .map(|(i, pixels)| {
                let error = samples.errors.get(i).copied().flatten();
                let below = match error {
                    Some(error) => fixed(error, 1).into(),
                    None => text!("not finite", "非有限值"),
                };
                Ok(Picture {
                    source: draw(pixels)?,
                    alternative: text!(
                        "{label}: {name} rebuilt, error {below}",
                        "{label}：{name} 的重构，误差 {below}",
                        label,
                        name = name(i),
                        below = &below,
                    ),
                    below,
                })
            })
            .collect();
        let errors: Option<Vec<f64>> = samples.errors.iter().copied().collect();
        if let Some(errors) = errors.filter(|errors| !errors.is_empty()) {
            let mean = fixed(mean(&errors), 1);
            means.push(text!("{label} {mean}", "{label} {mean}", label, mean));
        }
        series.push(of_arm(
            arm.arm.name.clone(),
            label.clone(),
            &run.id,
            samples,
        ));
        rows.push(GalleryRow {
            arm: Some(arm.arm.name.clone()),
            label: label.clone(),
            pictures: pictures?,
        });
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let mut caption = text!(
        "Test images and what each arm's network makes of them after the last epoch, seed {seed}; \
         below each its squared error, summed over pixels. Single images of one seed: no interval.",
        "测试图像，以及最后一轮之后各方法的网络对它们的重构，随机种子 {seed}；每幅下方为其平方误差，按像素求和。\
         单个随机种子的单幅图像，没有置信区间。",
        seed,
    );
    if !without.is_empty() {
        caption += text!(
            " No pictures of this seed: {without}.",
            "该种子下没有图像的方法：{without}。",
            without = in_a_row(&without),
        );
    }
    let words = Words {
        title: text!(
            "What does each arm make of the same images?",
            "各方法如何重构同一批图像？"
        ),
        caption,
        description: match means.as_slice() {
            [] => text!("No error is known.", "误差均未知。"),
            means => text!(
                "Mean error of these images: {means}.",
                "这些图像的平均误差：{means}。",
                means = in_a_row(means),
            ),
        },
    };
    let draw = |width| draw(name, &rows, width);
    Ok(Some(Reconstructions {
        figure: Figure::new(name, words, series, draw)?,
        rows,
    }))
}

fn of_arm(arm: String, label: Text, run: &RunId, samples: &Samples) -> Series {
    Series {
        label,
        arm: Some(arm),
        columns: vec![
            column("label", samples.labels.iter().copied()),
            column("squared error", samples.errors.iter().copied()),
        ],
        runs: vec![run.clone()],
    }
}

fn draw(name: &str, rows: &[GalleryRow], width: Width) -> Result<String> {
    let names = rows.iter().map(|row| &row.label);
    let left = room(names, width) + 8 * PX;
    let most = rows.iter().map(|row| row.pictures.len()).max().unwrap_or(0);
    let cell = (width.units() - left) / i32::try_from(most).unwrap_or(i32::MAX).max(1);
    let side = cell - 6 * PX;
    let height = side + LINE + 6 * PX;
    svg(name, width, height * rows.len() as i32, |area| {
        for (i, row) in rows.iter().enumerate() {
            let top = height * i as i32;
            let name = (left - 8 * PX, top + LINE.max(side / 2));
            beside(area, &row.label, INK, name, HPos::Right)?;
            for (j, picture) in row.pictures.iter().enumerate() {
                let x = left + cell * j as i32;
                area.draw(&Tag(format!(
                    "<image x=\"{x}\" y=\"{top}\" width=\"{side}\" height=\"{side}\" \
                     style=\"image-rendering:pixelated\" href=\"{}\"/>",
                    picture.source
                )))?;
                let below = (x + side / 2, top + side + LINE / 2);
                label_in(area, &picture.below, INK, below, HPos::Center)?;
            }
        }
        Ok(())
    })
}

/// The image as a PNG in a `data:` address.
fn source(run: &Run, pixels: &[u8], [rows, columns]: [usize; 2]) -> Result<String> {
    let fault = |why: String| Error::Picture {
        path: run.path.clone(),
        why,
    };
    // The encoder would say this too, but not which numbers disagree.
    if rows == 0 || columns == 0 || rows.checked_mul(columns) != Some(pixels.len()) {
        let count = pixels.len();
        return Err(fault(format!(
            "{count} pixels for {rows} rows of {columns}"
        )));
    }
    let side = |n: usize| u32::try_from(n).map_err(|e| fault(e.to_string()));
    let bytes = png(pixels, side(columns)?, side(rows)?).map_err(|e| fault(e.to_string()))?;
    Ok(format!("data:image/png;base64,{}", BASE64.encode(bytes)))
}

fn png(pixels: &[u8], columns: u32, rows: u32) -> std::result::Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, columns, rows);
    encoder.set_color(ColorType::Grayscale);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other bytes than these would be those of another compressor.
    #[test]
    fn a_picture_has_the_same_bytes_in_every_build() {
        let pixels: Vec<u8> = (0..28 * 28_u32).map(|i| (i * i % 251) as u8).collect();
        let bytes = png(&pixels, 28, 28).expect("a picture");
        let expected = "5642f6037b7eb2fe6193bcab87e09ed7344a81db873b74912201a3656ed0bf5f";
        assert_eq!(adamix_record::sha256_hex(&bytes), expected);
    }
}
