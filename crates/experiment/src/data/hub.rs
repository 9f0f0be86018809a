//! MNIST from the Hugging Face hub, through candle-datasets.

use std::fs::File;
use std::io::Cursor;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use adamix_autoencoder::dataset::{self, Dataset, Images, SIDE, mnist};
use candle_datasets::hub::{FileReader, from_hub};
use hf_hub::HFClient;
use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;

/// The hub, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Its address: that of the Hugging Face hub, or of a mirror.
    pub endpoint: String,
    /// How long one attempt to connect may take: two are made. This is what
    /// a machine without a network waits.
    pub connect: Duration,
    /// How long everything together may take.
    pub deadline: Duration,
}

/// What can go wrong with the download.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No connection, no such file, a transfer that broke off, or a file
    /// that is no parquet.
    #[error("{endpoint}: {what}")]
    Hub {
        /// The hub's address.
        endpoint: String,
        /// What was said.
        what: String,
    },
    /// It took too long.
    #[error("{endpoint}: not done after {} s", deadline.as_secs_f64())]
    Deadline {
        /// The hub's address.
        endpoint: String,
        /// [`Hub::deadline`].
        deadline: Duration,
    },
    /// A library panicked over what it was sent.
    #[error("{endpoint}: what was sent made the decoder fail: {what}")]
    Panicked {
        /// The hub's address.
        endpoint: String,
        /// The panic's message.
        what: String,
    },
    /// The files came, but do not hold what they should.
    #[error("{endpoint}: {field}: expected {expected}, found {found}")]
    Content {
        /// The hub's address.
        endpoint: String,
        /// Which part.
        field: String,
        /// What it has to be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The images came, but are not those of MNIST.
    #[error(
        "{endpoint} sent something else than MNIST as published: {source}; \
         nothing was kept, try again or another HF_ENDPOINT"
    )]
    NotMnist {
        /// The hub's address.
        endpoint: String,
        /// Which file differs, and how.
        source: Box<dataset::Error>,
    },
}

/// The repository of MNIST on the hub.
const REPOSITORY: &str = "ylecun/mnist";

impl Hub {
    /// [`connect`](Self::connect) unless said otherwise.
    pub const CONNECT: Duration = Duration::from_secs(5);

    /// [`deadline`](Self::deadline) unless said otherwise: MNIST is 18 MB.
    pub const DEADLINE: Duration = Duration::from_secs(300);

    /// The hub that `HF_ENDPOINT` names, else the Hugging Face hub.
    pub fn from_environment() -> Self {
        let endpoint = std::env::var("HF_ENDPOINT").unwrap_or_default();
        Self {
            endpoint: if endpoint.is_empty() {
                "https://huggingface.co".to_owned()
            } else {
                endpoint
            },
            connect: Self::CONNECT,
            deadline: Self::DEADLINE,
        }
    }

    /// Downloads MNIST and checks it against the published checksums. The
    /// hub's files go to a temporary folder that is removed again, so that a
    /// bad download is not found the next time. After the deadline a thread
    /// may be left that waits for the network; it does nothing more.
    ///
    /// # Errors
    /// See [`DownloadError`].
    pub fn download_mnist(&self) -> Result<Dataset, DownloadError> {
        let folder = tempfile::tempdir().map_err(|error| self.failed(&error))?;
        let path = folder.path().to_owned();
        let hub = self.clone();
        let dataset = self.in_time(move || hub.fetch(&path))?;
        mnist::verify(&dataset).map_err(|error| DownloadError::NotMnist {
            endpoint: self.endpoint.clone(),
            source: Box::new(error),
        })?;
        Ok(dataset)
    }

    /// Runs `task` in a thread, for the deadline at most.
    fn in_time<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, DownloadError> + Send + 'static,
    ) -> Result<T, DownloadError> {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("mnist-download".to_owned())
            // Nobody listens any more after the deadline.
            .spawn(move || drop(sender.send(task())))
            .map_err(|error| self.failed(&error))?;
        match receiver.recv_timeout(self.deadline) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(DownloadError::Deadline {
                endpoint: self.endpoint.clone(),
                deadline: self.deadline,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(DownloadError::Panicked {
                endpoint: self.endpoint.clone(),
                what: thread.join().map_or_else(panic_message, |()| String::new()),
            }),
        }
    }

    fn fetch(&self, folder: &Path) -> Result<Dataset, DownloadError> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("adamix/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect)
            .build()
            .map_err(|error| self.failed(&error))?;
        let client = HFClient::builder()
            .endpoint(&self.endpoint)
            .client(http)
            .cache_dir(folder)
            .retry_max_attempts(1)
            .build_sync()
            .map_err(|error| self.failed(&error))?;
        let files =
            from_hub(&client, REPOSITORY.to_owned()).map_err(|error| self.failed(&error))?;

        let mut train = Images::default();
        let mut test = Images::default();
        for file in files {
            // The order is the hub's; the numbers of images tell them apart.
            let rows = file.metadata().file_metadata().num_rows();
            let part = match usize::try_from(rows) {
                Ok(mnist::TRAIN_IMAGES) => &mut train,
                Ok(mnist::TEST_IMAGES) => &mut test,
                _ => {
                    let expected = format!("{} or {}", mnist::TRAIN_IMAGES, mnist::TEST_IMAGES);
                    return Err(self.content("rows of a parquet file", expected, rows));
                }
            };
            *part = self.decode(file)?;
        }
        Ok(Dataset {
            name: "mnist".to_owned(),
            train,
            test,
        })
    }

    /// The images of a parquet file with a group `image`, which has the bytes
    /// of a PNG file, and a whole number `label`.
    fn decode(&self, file: SerializedFileReader<File>) -> Result<Images, DownloadError> {
        let mut images = Images::default();
        for (number, row) in file.into_iter().enumerate() {
            let row = row.map_err(|error| self.failed(&error))?;
            for (_, field) in row.get_column_iter() {
                match field {
                    Field::Group(image) => {
                        for (_, part) in image.get_column_iter() {
                            if let Field::Bytes(png) = part {
                                let pixels = self.decode_png(number, png.data())?;
                                images.pixels.extend(pixels);
                            }
                        }
                    }
                    Field::Long(label) => {
                        let label = u8::try_from(*label).map_err(|_| {
                            self.content(format!("label of image {number}"), "0 to 9", label)
                        })?;
                        images.labels.push(label);
                    }
                    _ => {}
                }
            }
        }
        Ok(images)
    }

    /// The 784 grey values of image `number`.
    fn decode_png(&self, number: usize, png: &[u8]) -> Result<Vec<u8>, DownloadError> {
        let side = SIDE as u32;
        let mut limits = image::Limits::no_limits();
        limits.max_image_width = Some(side);
        limits.max_image_height = Some(side);
        limits.max_alloc = Some(1 << 20);
        let mut reader = image::ImageReader::with_format(Cursor::new(png), image::ImageFormat::Png);
        reader.limits(limits);
        let describe = |found: String| {
            let expected = format!("a PNG file of {side} x {side} grey values");
            self.content(format!("image {number}"), expected, found)
        };
        let decoded = reader
            .decode()
            .map_err(|error| describe(error.to_string()))?
            .into_luma8();
        if decoded.dimensions() != (side, side) {
            return Err(describe(format!("{:?}", decoded.dimensions())));
        }
        Ok(decoded.into_raw())
    }

    /// The error by its innermost cause and the one around it: those outside
    /// repeat addresses and each other.
    fn failed(&self, error: &dyn std::error::Error) -> DownloadError {
        let (mut around, mut what) = (String::new(), error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            around = std::mem::replace(&mut what, error.to_string());
            cause = error.source();
        }
        if !around.is_empty() && !around.ends_with(&what) {
            what = format!("{around}: {what}");
        }
        DownloadError::Hub {
            endpoint: self.endpoint.clone(),
            what,
        }
    }

    fn content(
        &self,
        field: impl ToString,
        expected: impl ToString,
        found: impl ToString,
    ) -> DownloadError {
        DownloadError::Content {
            endpoint: self.endpoint.clone(),
            field: field.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

fn panic_message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic
            .downcast::<&str>()
            .map_or_else(|_| "no message".to_owned(), |text| text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(deadline: Duration) -> Hub {
        Hub {
            endpoint: "here".to_owned(),
            connect: Hub::CONNECT,
            deadline,
        }
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let hub = hub(Duration::from_secs(60));
        let constant = hub.in_time::<()>(|| panic!("a constant"));
        let formatted = hub.in_time::<()>(|| panic!("{} digits", 3));
        assert_eq!(
            [constant, formatted].map(|result| result.unwrap_err().to_string()),
            ["a constant", "3 digits"]
                .map(|what| format!("here: what was sent made the decoder fail: {what}"))
        );
    }

    #[test]
    fn nothing_is_waited_for_beyond_the_deadline() {
        let started = std::time::Instant::now();
        let result = hub(Duration::from_millis(50)).in_time(|| {
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        });
        assert_eq!(
            result.unwrap_err().to_string(),
            "here: not done after 0.05 s"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn images_that_are_none_become_errors() {
        let hub = hub(Hub::DEADLINE);
        let mut large = Vec::new();
        image::GrayImage::new(29, 28)
            .write_to(&mut Cursor::new(&mut large), image::ImageFormat::Png)
            .unwrap();
        for png in [&b"no PNG"[..], &[], &large, &large[..40]] {
            let error = hub.decode_png(7, png).unwrap_err().to_string();
            let start = "here: image 7: expected a PNG file of 28 x 28 grey values, found ";
            assert!(error.starts_with(start), "{error}");
        }
    }
}
