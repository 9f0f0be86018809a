//! The data sets: their names, their files, MNIST and CURVES.

#![allow(clippy::unwrap_used)] // clippy knows no tests but `#[test]` functions

use std::io::Write;
use std::path::{Path, PathBuf};

use adamix_autoencoder::dataset::{
    Dataset, Error, Images, PIXELS, SIDE, Spec, UnknownName, curves, idx, mnist,
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

#[test]
fn specs_are_written_as_they_are_read() {
    for (text, spec) in [
        ("mnist", Spec::Mnist),
        ("curves", Spec::Curves),
        ("idx:some/folder", Spec::Idx("some/folder".into())),
    ] {
        assert_eq!(text.parse(), Ok(spec.clone()));
        assert_eq!(spec.to_string(), text);
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
    }
    for text in ["", "idx:", "MNIST", "idx"] {
        let error: UnknownName = text.parse::<Spec>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no data set `{text}`; there are mnist, curves, idx:DIR")
        );
    }
}

#[test]
fn each_data_set_has_a_network() {
    let deep = [784, 1000, 500, 250, 30];
    assert_eq!(Spec::Mnist.default_layers(), deep);
    assert_eq!(Spec::Idx("x".into()).default_layers(), deep);
    assert_eq!(
        Spec::Curves.default_layers(),
        [784, 400, 200, 100, 50, 25, 6]
    );
}

#[test]
fn only_curves_is_made_by_computation() {
    assert!(Spec::Mnist.generate().is_none());
    assert!(Spec::Idx("x".into()).generate().is_none());
    assert_eq!(Spec::Curves.generate().unwrap().name, "curves");
}

// ---- IDX ----

/// A few images, pixel by pixel different, with labels.
fn images(count: usize) -> Images {
    Images {
        pixels: (0..count * PIXELS).map(|i| (i * 7 % 251) as u8).collect(),
        labels: (0..count).map(|i| (i % 10) as u8).collect(),
    }
}

fn small() -> Dataset {
    Dataset {
        name: "small".into(),
        train: images(5),
        test: images(2),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Puts the data set into `<temporary>/small` with these spellings.
fn folder_of(
    dataset: &Dataset,
    spelling: impl Fn(&str) -> String,
    form: impl Fn(&[u8]) -> Vec<u8>,
) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    for (name, bytes) in dataset.files() {
        std::fs::write(folder.join(spelling(name)), form(&bytes)).unwrap();
    }
    (root, folder)
}

fn read_images(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    idx::read_images(Path::new("images"), bytes)
}

fn read_labels(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    idx::read_labels(Path::new("labels"), bytes)
}

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_folder_is_read_under_every_accepted_name() {
    let plain = |bytes: &[u8]| bytes.to_vec();
    let keep = |name: &str| name.to_owned();
    let gz = |name: &str| format!("{name}.gz");
    let dot = |name: &str| name.replace("-idx", ".idx");
    let dot_gz = |name: &str| format!("{}.gz", name.replace("-idx", ".idx"));

    for (_root, folder) in [
        folder_of(&small(), keep, plain),
        folder_of(&small(), gz, gzip),
        folder_of(&small(), dot, plain),
        folder_of(&small(), dot_gz, gzip),
        // The bytes tell, not the name.
        folder_of(&small(), keep, gzip),
        folder_of(&small(), gz, plain),
    ] {
        assert_eq!(idx::read_folder(&folder).unwrap(), small());
    }
}

#[test]
fn labels_may_be_missing() {
    let mut dataset = small();
    dataset.train.labels.clear();
    dataset.test.labels.clear();
    let (_root, folder) = folder_of(&dataset, str::to_owned, <[u8]>::to_vec);
    assert_eq!(idx::read_folder(&folder).unwrap(), dataset);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    assert_ne!(dataset.sha256(), small().sha256());
}

#[test]
fn errors_of_a_folder_name_the_file_and_what_it_lacks() {
    let (_root, folder) = folder_of(&small(), str::to_owned, <[u8]>::to_vec);

    std::fs::write(folder.join(idx::FILES[1]), idx::encode_labels(&[1, 2])).unwrap();
    assert_eq!(
        message(idx::read_folder(&folder)),
        format!(
            "{}: number of labels: expected 5, one an image of train-images-idx3-ubyte, found 2",
            folder.join("train-labels-idx1-ubyte").display()
        )
    );

    std::fs::remove_file(folder.join(idx::FILES[2])).unwrap();
    std::fs::remove_file(folder.join(idx::FILES[1])).unwrap();
    assert_eq!(
        message(idx::read_folder(&folder)),
        format!(
            "{}: no file t10k-images-idx3-ubyte; also looked for t10k-images-idx3-ubyte.gz, \
             t10k-images.idx3-ubyte, t10k-images.idx3-ubyte.gz",
            folder.display()
        )
    );

    assert!(matches!(
        idx::read_folder(&folder.join("nothing")),
        Err(Error::Io { .. })
    ));
    // A folder under a file's name.
    std::fs::create_dir(folder.join(idx::FILES[2])).unwrap();
    assert!(matches!(idx::read_folder(&folder), Err(Error::Io { .. })));
}

#[test]
fn damaged_files_are_told_apart() {
    let good = idx::encode_images(&images(3).pixels);
    assert_eq!(read_images(&good).unwrap(), images(3).pixels);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        message(read_images(&file))
    };

    for (found, expected) in [
        (
            message(read_images(&[])),
            "images: magic number: expected 4 bytes, found 0 before the file's end",
        ),
        (
            message(read_images(&good[..10])),
            "images: rows: expected 4 bytes, found 2 before the file's end",
        ),
        (
            message(read_images(&good[..good.len() - 1])),
            "images: bytes after the header: expected 2352, found 2351",
        ),
        (
            message(read_images(&[&good[..], &[0]].concat())),
            "images: bytes after the header: expected 2352, found more",
        ),
        (
            message(read_labels(&good)),
            "labels: magic number: expected 0x00000801, found 0x00000803",
        ),
        (
            with(4, &[0; 4]),
            "images: number of images: expected 1 to 1000000, found 0",
        ),
        (
            with(4, &[0xff; 4]),
            "images: number of images: expected 1 to 1000000, found 4294967295",
        ),
        (
            with(4, &[0, 0x0f, 0x42, 0x40]),
            "images: bytes after the header: expected 784000000, found 2352",
        ),
        (with(11, &[27]), "images: rows: expected 28, found 27"),
        (with(15, &[29]), "images: columns: expected 28, found 29"),
        (
            message(read_labels(&idx::encode_labels(&[]))),
            "labels: number of labels: expected 1 to 1000000, found 0",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn damaged_gzip_is_an_error() {
    let good = gzip(&idx::encode_images(&images(3).pixels));
    assert_eq!(read_images(&good).unwrap(), images(3).pixels);

    let is_gzip_error = |bytes: &[u8]| matches!(read_images(bytes), Err(Error::Gzip { .. }));
    assert!(is_gzip_error(&good[..2]), "only the first two bytes");
    assert!(is_gzip_error(&good[..good.len() / 2]), "cut in the middle");
    assert!(is_gzip_error(&good[..good.len() - 1]), "cut at the end");
    assert!(is_gzip_error(&[&good[..], b"xx"].concat()), "bytes after");
    let mut wrong_sum = good.clone();
    let sum = good.len() - 8;
    wrong_sum[sum] ^= 1;
    assert!(is_gzip_error(&wrong_sum), "wrong checksum");
    assert!(message(read_images(&wrong_sum)).starts_with("images: damaged gzip data: "));
}

/// Two files that would fill the memory if they were believed.
#[test]
fn memory_is_not_taken_on_trust() {
    // 64 MiB of zeros behind a header for one image.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&idx::encode_images(&[0; PIXELS])[..16])
        .unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(
        message(read_images(&bomb)),
        "images: bytes after the header: expected 784, found more"
    );

    // A header for 784 MB, and nothing after it: the reader is asked for data
    // before memory is.
    let mut header = idx::encode_images(&[])[..16].to_vec();
    header[4..8].copy_from_slice(&1_000_000_u32.to_be_bytes());
    assert_eq!(
        message(read_images(&header)),
        "images: bytes after the header: expected 784000000, found 0"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(count in 1_usize..4, fill: u8, labels in prop::collection::vec(any::<u8>(), 1..50)) {
        let pixels: Vec<u8> = (0..count * PIXELS).map(|i| (i as u8).wrapping_mul(fill)).collect();
        let file = idx::encode_images(&pixels);
        prop_assert_eq!(read_images(&file).unwrap(), pixels.clone());
        prop_assert_eq!(read_images(&gzip(&file)).unwrap(), pixels);
        let file = idx::encode_labels(&labels);
        prop_assert_eq!(read_labels(&file).unwrap(), labels.clone());
        prop_assert_eq!(read_labels(&gzip(&file)).unwrap(), labels);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, start in 0_usize..4) {
        let starts: [&[u8]; 4] = [&[], &[0x1f, 0x8b], &[0x1f, 0x8b, 8, 0], &[0, 0, 8, 3]];
        let file = [starts[start], &bytes[..]].concat();
        let _ = read_images(&file);
        let _ = read_labels(&file);
    }

    /// Whatever is done to a file, what is still accepted has the right size.
    #[test]
    fn altered_files_never_panic(
        at: prop::sample::Index, to: u8, cut: prop::sample::Index, compressed: bool,
    ) {
        let good = idx::encode_images(&images(2).pixels);
        let mut file = if compressed { gzip(&good) } else { good };
        let at = at.index(file.len());
        file[at] = to;
        if let Ok(pixels) = read_images(&file) {
            prop_assert_eq!(pixels.len(), 2 * PIXELS);
        }
        file.truncate(cut.index(file.len()));
        prop_assert!(read_images(&file).is_err());
    }
}

// ---- MNIST ----

/// MNIST where this machine has it: in `ADAMIX_TEST_MNIST`, or in the folder
/// `shared/data/mnist` beside the checkout.
fn real_mnist() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist");
    let folder = std::env::var_os("ADAMIX_TEST_MNIST").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

#[test]
fn mnist_is_told_from_everything_else() {
    // As many images, but empty ones.
    let blank = |count| Images {
        pixels: vec![0; count * PIXELS],
        labels: vec![0; count],
    };
    let mut dataset = Dataset {
        name: "mnist".into(),
        train: blank(60_000),
        test: blank(10_000),
    };
    let error = message(mnist::verify(&dataset));
    assert!(
        error.starts_with(
            "train-images-idx3-ubyte: SHA-256 of the uncompressed file: expected \
             ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db, found "
        ),
        "{error}"
    );

    dataset.test = blank(9_999);
    assert_eq!(
        message(mnist::verify(&dataset)),
        "t10k-images-idx3-ubyte: number of images: expected 10000, found 9999"
    );

    let Some(folder) = real_mnist() else { return };
    let real = idx::read_folder(&folder).unwrap();
    assert_eq!(real.name, "mnist");
    assert_eq!((real.train.count(), real.test.count()), (60_000, 10_000));
    mnist::verify(&real).unwrap();
    assert_eq!(real.sha256(), mnist::SHA256);

    let mut one_pixel = real.clone();
    one_pixel.test.pixels[1_000_000] ^= 1;
    assert!(message(mnist::verify(&one_pixel)).starts_with("t10k-images-idx3-ubyte: SHA-256"));

    let mut one_label = real.clone();
    one_label.train.labels[0] ^= 1;
    assert!(message(mnist::verify(&one_label)).starts_with("train-labels-idx1-ubyte: SHA-256"));

    let mut no_labels = real;
    no_labels.test.labels.clear();
    assert!(message(mnist::verify(&no_labels)).ends_with("found no labels"));
}

#[test]
fn the_checksum_covers_all_files_and_not_the_name() {
    let mut renamed = small();
    renamed.name = "other".into();
    assert_eq!(renamed.sha256(), small().sha256());

    let mut swapped = small();
    std::mem::swap(&mut swapped.train, &mut swapped.test);
    assert_ne!(swapped.sha256(), small().sha256());
    // Computed by sha256sum over the four files as one.
    assert_eq!(small().sha256(), SMALL_SHA256);
}

const SMALL_SHA256: &str = "107ec85755eb0d4d941b906b3a116e9e9031a3ec03a98702bb56186ce8f710a9";

// ---- CURVES ----

#[test]
fn curves_is_the_pinned_data_set() {
    let curves = curves::generate();
    assert_eq!(curves.name, "curves");
    assert_eq!(
        (curves.train.count(), curves.test.count()),
        (20_000, 10_000)
    );
    assert!(curves.train.labels.is_empty() && curves.test.labels.is_empty());

    // Golden pixels, as an independent program (Python) draws them: one row through the first training and first test image.
    let row = |images: &Images, image: usize, row: usize| {
        let start = image * PIXELS + row * SIDE;
        images.pixels[start..start + SIDE].to_vec()
    };
    let mut train_row = [0; SIDE];
    train_row[5..9].copy_from_slice(&[191, 70, 102, 154]);
    assert_eq!(row(&curves.train, 0, 14), train_row);
    let mut test_row = [0; SIDE];
    test_row[14..17].copy_from_slice(&[10, 179, 161]);
    assert_eq!(row(&curves.test, 0, 14), test_row);
    assert_eq!(curves.sha256(), curves::SHA256);
}

/// Every image shows one thin, connected curve within the border.
#[test]
fn curves_are_curves() {
    let curves = curves::generate();
    for image in curves.test.pixels.chunks_exact(PIXELS).take(1000) {
        let ink: f64 = image.iter().map(|&p| f64::from(p) / 255.0).sum();
        assert!((1.0..120.0).contains(&ink), "{ink}");
        let inside =
            |i: usize| (1..SIDE - 1).contains(&(i % SIDE)) && (1..SIDE - 1).contains(&(i / SIDE));
        assert!((0..PIXELS).all(|i| inside(i) || image[i] == 0));

        // From one inked pixel all others can be reached.
        let start = image.iter().position(|&p| p > 0).unwrap();
        let mut reached = [false; PIXELS];
        reached[start] = true;
        let mut edge = vec![start];
        while let Some(i) = edge.pop() {
            for row in (i / SIDE).saturating_sub(1)..=(i / SIDE + 1).min(SIDE - 1) {
                for column in (i % SIDE).saturating_sub(1)..=(i % SIDE + 1).min(SIDE - 1) {
                    let next = row * SIDE + column;
                    if image[next] > 0 && !reached[next] {
                        reached[next] = true;
                        edge.push(next);
                    }
                }
            }
        }
        assert!((0..PIXELS).all(|i| (image[i] > 0) == reached[i]));
    }
}
