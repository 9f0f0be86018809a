use adamix_record::{Text, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::load::{Run, Study};
use crate::number::{fixed, in_a_row};
use crate::{Error, Result};

/// Test images and what each arm makes of them.
#[derive(Serialize)]
pub(crate) struct Gallery {
    pub(crate) caption: Text,
    pub(crate) rows: Vec<GalleryRow>,
}

/// The images of one arm, or the test images themselves.
#[derive(Serialize)]
pub(crate) struct GalleryRow {
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
pub(crate) fn gallery(study: &Study) -> Result<Option<Gallery>> {
    let Some(seed) = study.protocol.seeds.first() else {
        return Ok(None);
    };
    let mut rows = Vec::new();
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
        rows.push(GalleryRow {
            label: label.clone(),
            pictures: pictures?,
        });
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let mut caption = text!(
        "Test images and what each arm's network makes of them after the last epoch, seed {seed}; \
         below each its squared error, summed over pixels.",
        "测试图像，以及最后一轮之后各方法的网络对它们的重构，随机种子 {seed}；每幅下方为其平方误差，按像素求和。",
        seed,
    );
    if !without.is_empty() {
        caption += text!(
            " No pictures of this seed: {without}.",
            "该种子下没有图像的方法：{without}。",
            without = in_a_row(&without),
        );
    }
    Ok(Some(Gallery { caption, rows }))
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
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(columns)?, side(rows)?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels))
        .map_err(|e| fault(e.to_string()))?;
    Ok(format!("data:image/png;base64,{}", BASE64.encode(bytes)))
}
