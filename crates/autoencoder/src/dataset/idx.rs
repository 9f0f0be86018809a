//! IDX, the file form of MNIST and of data sets made to replace it.
//!
//! | bytes | images | labels |
//! |---|---|---|
//! | 0 to 3 | 0x00000803 | 0x00000801 |
//! | 4 to 7 | number of images | number of labels |
//! | 8 to 15 | rows 28, columns 28 | (data) |
//! | rest | one byte a pixel | one byte a label |
//!
//! All header numbers are big-endian, 32 bits. A file may be compressed with
//! gzip: its first two bytes tell.
//!
//! A header is never believed: memory grows only with data that is really
//! there, and never past what a header of at most [`MOST_IMAGES`] allows, also
//! where a few compressed bytes unpack to very many.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{Dataset, Error, Images, PIXELS, SIDE};

/// Standard names of the four files: training images, training labels, test
/// images, test labels.
pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// More images than this in one file are refused.
pub const MOST_IMAGES: usize = 1_000_000;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const LABELS_MAGIC: u32 = 0x0000_0801;

/// Reads the data set in `folder`: its files by their standard names
/// ([`FILES`]), each as it is, or with `.gz`, or with a dot before `idx`
/// (`train-images.idx3-ubyte`), or with both; the first of these that is there.
/// The files of labels may be missing. The data set gets the folder's name.
///
/// # Errors
/// [`Error::Missing`] where there are no images, [`Error::Io`], [`Error::Gzip`],
/// and [`Error::Content`] for a file that is not as it should be or has not as
/// many labels as there are images.
pub fn read_folder(folder: &Path) -> Result<Dataset, Error> {
    let [train_images, train_labels, test_images, test_labels] = FILES;
    let name = folder
        .canonicalize()
        .map_err(|source| io(folder, source))?
        .file_name()
        .map_or_else(|| "idx".into(), |name| name.to_string_lossy().into_owned());
    Ok(Dataset {
        name,
        train: read_pair(folder, train_images, train_labels)?,
        test: read_pair(folder, test_images, test_labels)?,
    })
}

fn read_pair(
    folder: &Path,
    images_file: &'static str,
    labels_file: &'static str,
) -> Result<Images, Error> {
    let Some(images_path) = locate(folder, images_file) else {
        let [_, others @ ..] = spellings(images_file);
        return Err(Error::Missing {
            folder: folder.to_owned(),
            wanted: images_file,
            others: others.join(", "),
        });
    };
    let mut images = Images {
        pixels: read_images(&images_path, open(&images_path)?)?,
        labels: Vec::new(),
    };
    if let Some(labels_path) = locate(folder, labels_file) {
        images.labels = read_labels(&labels_path, open(&labels_path)?)?;
        if images.labels.len() != images.count() {
            return Err(content(
                &labels_path,
                "number of labels",
                format!("{}, one an image of {images_file}", images.count()),
                images.labels.len(),
            ));
        }
    }
    Ok(images)
}

fn locate(folder: &Path, file: &str) -> Option<PathBuf> {
    spellings(file)
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.exists())
}

fn spellings(file: &str) -> [String; 4] {
    let dotted = file.replace("-idx", ".idx");
    [
        file.to_owned(),
        format!("{file}.gz"),
        dotted.clone(),
        format!("{dotted}.gz"),
    ]
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| io(path, source))
}

/// Reads images, plain or gzip: count x 784 grey values. `file` is the name
/// for errors.
///
/// # Errors
/// [`Error::Content`] for a wrong magic number, no image or more than
/// [`MOST_IMAGES`], a size other than 28 x 28, or data shorter or longer than
/// the header says; [`Error::Gzip`]; [`Error::Io`].
pub fn read_images(file: &Path, source: impl Read) -> Result<Vec<u8>, Error> {
    let mut data = Data::new(file, source)?;
    data.magic(IMAGES_MAGIC)?;
    let count = data.count("number of images")?;
    for field in ["rows", "columns"] {
        let found = data.number(field)?;
        if found as usize != SIDE {
            return Err(content(file, field, SIDE, found));
        }
    }
    data.rest(count * PIXELS)
}

/// Reads labels, plain or gzip, one a byte. `file` is the name for errors.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(file: &Path, source: impl Read) -> Result<Vec<u8>, Error> {
    let mut data = Data::new(file, source)?;
    data.magic(LABELS_MAGIC)?;
    let count = data.count("number of labels")?;
    data.rest(count)
}

/// An uncompressed file of images: header and `pixels` (count x 784).
pub fn encode_images(pixels: &[u8]) -> Vec<u8> {
    let count = (pixels.len() / PIXELS) as u32;
    encode(&[IMAGES_MAGIC, count, SIDE as u32, SIDE as u32], pixels)
}

/// An uncompressed file of labels: header and `labels`.
pub fn encode_labels(labels: &[u8]) -> Vec<u8> {
    encode(&[LABELS_MAGIC, labels.len() as u32], labels)
}

fn encode(header: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(4 * header.len() + data.len());
    for number in header {
        file.extend(number.to_be_bytes());
    }
    file.extend(data);
    file
}

/// The unpacked content of a file, read from the front.
struct Data<'a, R: Read> {
    file: &'a Path,
    reader: Unpacked<BufReader<R>>,
}

enum Unpacked<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
}

impl<'a, R: Read> Data<'a, R> {
    fn new(file: &'a Path, source: R) -> Result<Self, Error> {
        let mut reader = BufReader::with_capacity(1 << 16, source);
        let start = reader.fill_buf().map_err(|source| io(file, source))?;
        let reader = if start.starts_with(&[0x1f, 0x8b]) {
            Unpacked::Gzip(Box::new(MultiGzDecoder::new(reader)))
        } else {
            Unpacked::Plain(reader)
        };
        Ok(Self { file, reader })
    }

    fn magic(&mut self, expected: u32) -> Result<(), Error> {
        let found = self.number("magic number")?;
        if found != expected {
            return Err(content(
                self.file,
                "magic number",
                format!("{expected:#010x}"),
                format!("{found:#010x}"),
            ));
        }
        Ok(())
    }

    fn count(&mut self, field: &'static str) -> Result<usize, Error> {
        let found = self.number(field)?;
        if !(1..=MOST_IMAGES).contains(&(found as usize)) {
            let expected = format!("1 to {MOST_IMAGES}");
            return Err(content(self.file, field, expected, found));
        }
        Ok(found as usize)
    }

    fn number(&mut self, field: &'static str) -> Result<u32, Error> {
        let bytes = self.up_to(4)?;
        let number = <[u8; 4]>::try_from(bytes.as_slice()).map_err(|_| {
            let found = format!("{} before the file's end", bytes.len());
            content(self.file, field, "4 bytes", found)
        })?;
        Ok(u32::from_be_bytes(number))
    }

    /// The `expected` bytes after the header, which must be the last.
    fn rest(mut self, expected: usize) -> Result<Vec<u8>, Error> {
        let bytes = self.up_to(expected + 1)?;
        if bytes.len() != expected {
            let found = if bytes.len() > expected {
                "more".to_owned()
            } else {
                bytes.len().to_string()
            };
            let field = "bytes after the header";
            return Err(content(self.file, field, expected, found));
        }
        Ok(bytes)
    }

    fn up_to(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let result = match &mut self.reader {
            Unpacked::Plain(reader) => reader.take(limit as u64).read_to_end(&mut bytes),
            Unpacked::Gzip(reader) => reader.take(limit as u64).read_to_end(&mut bytes),
        };
        match result {
            Ok(_) => Ok(bytes),
            Err(source) => Err(match (&self.reader, source.kind()) {
                (
                    Unpacked::Gzip(_),
                    ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof,
                ) => Error::Gzip {
                    file: self.file.to_owned(),
                    source,
                },
                _ => io(self.file, source),
            }),
        }
    }
}

fn io(file: &Path, source: std::io::Error) -> Error {
    Error::Io {
        file: file.to_owned(),
        source,
    }
}

fn content(
    file: &Path,
    field: &'static str,
    expected: impl ToString,
    found: impl ToString,
) -> Error {
    Error::Content {
        file: file.to_owned(),
        field,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}
