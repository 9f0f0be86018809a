//! Finding the data set: who decides, what is checked, and the download of
//! MNIST from a hub that this test plays itself, on the loopback interface.

#![allow(clippy::unwrap_used)] // clippy knows no tests but `#[test]` functions

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS, SIDE, Spec, curves, idx, mnist};
use adamix_experiment::data::{Error, Found, Hub, find, find_with};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

// ---- without a network ----

/// MNIST where this machine has it: in `ADAMIX_TEST_MNIST`, or in the folder
/// `shared/data/mnist` beside the checkout.
fn real_mnist() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist");
    let folder = std::env::var_os("ADAMIX_TEST_MNIST").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// A data set of 28 x 28 images that is not MNIST, in the folder `tiles`.
fn tiles(parent: &Path) -> (Dataset, PathBuf) {
    let images = |count: usize| Images {
        pixels: (0..count * PIXELS).map(|i| (i % 253) as u8).collect(),
        labels: vec![1; count],
    };
    let dataset = Dataset {
        name: "tiles".into(),
        train: images(7),
        test: images(3),
    };
    let folder = parent.join("tiles");
    put(&dataset, &folder);
    (dataset, folder)
}

fn put(dataset: &Dataset, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in dataset.files() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn offline(
    wanted: &Spec,
    option: Option<&str>,
    variable: Option<&str>,
    cache: &Path,
) -> Result<Found, Error> {
    find(wanted, option, variable, true, cache)
}

fn assert_mnist(found: &Found) {
    assert_eq!(found.identity.name, "mnist");
    assert!(found.identity.canonical);
    assert_eq!(found.identity.sha256, mnist::SHA256);
    assert_eq!(found.dataset.name, "mnist");
    assert_eq!(found.fallback, None);
    mnist::verify(&found.dataset).unwrap();
}

#[test]
fn the_option_decides_before_the_variable_and_that_before_the_file() {
    let root = tempfile::tempdir().unwrap();
    let (dataset, folder) = tiles(root.path());
    let tiles = format!("idx:{}", folder.display());
    let name = |wanted: &Spec, option: Option<&str>, variable: Option<&str>| {
        offline(wanted, option, variable, root.path())
            .unwrap()
            .identity
            .name
    };
    let file = Spec::Idx(folder.clone());
    // The checksum's first digits tell folders of one name apart.
    let named = format!("tiles-{}", &dataset.sha256()[..8]);
    assert_eq!(name(&Spec::Curves, None, None), "curves");
    assert_eq!(name(&file, None, None), named);
    assert_eq!(name(&file, None, Some("curves")), "curves");
    assert_eq!(name(&file, None, Some("")), named);
    assert_eq!(name(&Spec::Mnist, Some(&tiles), Some("curves")), named);
    assert_eq!(name(&Spec::Mnist, None, Some(&tiles)), named);

    let found = offline(&file, None, None, root.path()).unwrap();
    assert_eq!(found.identity.sha256, dataset.sha256());
    assert!(!found.identity.canonical);
    assert_eq!(found.dataset, dataset);
    assert_eq!(
        found.origin,
        format!("tiles, read from {}", folder.display())
    );
}

#[test]
fn curves_is_found_everywhere() {
    let cache = tempfile::tempdir().unwrap();
    let found = offline(&Spec::Mnist, Some("curves"), None, cache.path()).unwrap();
    assert_eq!(found.identity.name, "curves");
    assert!(found.identity.canonical);
    assert_eq!(found.identity.sha256, curves::SHA256);
    assert_eq!(found.origin, "CURVES, generated");
    assert_eq!(found.fallback, None);
}

#[test]
fn what_is_neither_name_nor_folder_is_an_error_that_says_who_said_it() {
    let cache = tempfile::tempdir().unwrap();
    let error = |option, variable| {
        offline(&Spec::Curves, option, variable, cache.path())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(Some("minst"), Some("curves")),
        "--data minst: no such folder, and no data set `minst`; there are mnist, curves, idx:DIR"
    );
    assert!(error(None, Some("/no/such")).starts_with("ADAMIX_DATA /no/such: no such folder"));
    assert!(error(Some(""), None).starts_with("--data : no such folder"));
    assert!(error(None, Some("idx:/no/such")).starts_with("ADAMIX_DATA idx:/no/such: /no/such: "));
}

#[test]
fn a_folder_has_to_hold_mnist_itself() {
    let root = tempfile::tempdir().unwrap();
    let (_, folder) = tiles(root.path());
    let folder = folder.to_str().unwrap();
    assert_eq!(
        offline(&Spec::Curves, Some(folder), None, root.path())
            .unwrap_err()
            .to_string(),
        format!(
            "--data {folder}: not MNIST as published: train-images-idx3-ubyte: number of \
             images: expected 60000, found 7; if it is another data set of 28 x 28 images, \
             say idx:{folder}"
        )
    );

    let Some(real) = real_mnist() else { return };
    let real_text = real.to_str().unwrap();
    let found = offline(&Spec::Curves, None, Some(real_text), root.path()).unwrap();
    assert_mnist(&found);
    assert_eq!(found.origin, format!("MNIST, read from {real_text}"));
    // Known again under another way of asking.
    let spec = format!("idx:{real_text}");
    assert_mnist(&offline(&Spec::Curves, Some(&spec), None, root.path()).unwrap());

    let mut altered = found.dataset;
    altered.test.pixels[500] ^= 1;
    let folder = root.path().join("altered");
    put(&altered, &folder);
    let error = offline(&Spec::Curves, folder.to_str(), None, root.path())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "t10k-images-idx3-ubyte: SHA-256 of the uncompressed file: expected \
             0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7, found "
        ),
        "{error}"
    );
}

#[test]
fn without_a_network_mnist_is_an_error_for_who_asked_and_curves_for_who_did_not() {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("cache");
    let why = format!(
        "MNIST is not in {}, and downloading is switched off",
        cache.join("mnist").display()
    );

    let found = offline(&Spec::Mnist, None, None, &cache).unwrap();
    assert_eq!(found.identity.name, "curves");
    assert_eq!(
        found.fallback,
        Some(format!("CURVES is used in place of MNIST: {why}"))
    );

    let error = offline(&Spec::Curves, Some("mnist"), None, &cache)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "--data mnist: {why}\nThere are three ways on: `--data DIR` or ADAMIX_DATA=DIR with \
             a folder that holds the four IDX files of MNIST, plain or gzip; a network, or \
             HF_ENDPOINT=URL of a mirror of the Hugging Face hub; or `--data curves`, which \
             needs no download"
        )
    );
    let error = offline(&Spec::Curves, None, Some("mnist"), &cache).unwrap_err();
    assert!(error.to_string().starts_with("ADAMIX_DATA mnist: "));
    assert!(!cache.exists());
}

// ---- the hub ----

/// What the hub does when it is asked for the training images.
#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Good,
    CutInTheMiddle,
    NotFound,
    NeverAnswers,
    NoParquet,
}

/// The two files of a data set, as the hub keeps them.
struct Files {
    train: Vec<u8>,
    test: Vec<u8>,
}

impl Files {
    fn of(dataset: &Dataset) -> Arc<Self> {
        Arc::new(Self {
            train: parquet_of(&dataset.train),
            test: parquet_of(&dataset.test),
        })
    }

    /// As many images as MNIST, all black.
    fn black() -> Arc<Self> {
        static BLACK: OnceLock<Arc<Files>> = OnceLock::new();
        let images = |count| Images {
            pixels: vec![0; count * PIXELS],
            labels: vec![0; count],
        };
        Arc::clone(BLACK.get_or_init(|| {
            Self::of(&Dataset {
                name: "black".into(),
                train: images(mnist::TRAIN_IMAGES),
                test: images(mnist::TEST_IMAGES),
            })
        }))
    }
}

fn parquet_of(images: &Images) -> Vec<u8> {
    let schema = parse_message_type(
        "message schema {
           optional group image { optional binary bytes; optional binary path (UTF8); }
           optional int64 label;
         }",
    )
    .unwrap();
    let count = images.count();
    let pngs: Vec<ByteArray> = images.pixels.chunks(PIXELS).map(png_of).collect();
    let labels: Vec<i64> = images.labels.iter().map(|&label| label.into()).collect();

    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    // `bytes` is there (level 2), `path` is missing in a group that is there (1).
    for (values, level) in [(&pngs[..], 2), (&[], 1)] {
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(values, Some(&vec![level; count]), None)
            .unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int64Type>()
        .write_batch(&labels, Some(&vec![1; count]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.into_inner().unwrap()
}

fn png_of(pixels: &[u8]) -> ByteArray {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let mut png = Cursor::new(Vec::new());
    let side = SIDE as u32;
    image::ImageEncoder::write_image(
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::NoFilter),
        pixels,
        side,
        side,
        image::ExtendedColorType::L8,
    )
    .unwrap();
    png.into_inner().into()
}

/// A hub that lives as long as the test, and the settings to reach it.
fn serve(files: Arc<Files>, behaviour: Behaviour) -> Hub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = hub_at(listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let files = Arc::clone(&files);
            // A client that hangs up is no concern of the hub.
            std::thread::spawn(move || answer(stream.unwrap(), &files, behaviour).ok());
        }
    });
    hub
}

fn hub_at(port: u16) -> Hub {
    Hub {
        endpoint: format!("http://127.0.0.1:{port}"),
        connect: Duration::from_secs(5),
        deadline: Duration::from_secs(60),
    }
}

/// One request and its answer, as the hub gives it.
fn answer(mut stream: TcpStream, files: &Files, behaviour: Behaviour) -> std::io::Result<()> {
    const REPOSITORY: &str = "ylecun/mnist";
    const REVISION: &str = "refs%2Fconvert%2Fparquet";
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (method, path) = {
        let mut words = request.split(' ');
        (words.next().unwrap(), words.next().unwrap())
    };

    let listing = format!(
        r#"{{"id": "{REPOSITORY}", "siblings": [{{"rfilename": "README.md"}},
            {{"rfilename": "mnist/test/0000.parquet"}}, {{"rfilename": "mnist/train/0000.parquet"}}]}}"#
    );
    let file =
        |part: &str| format!("/datasets/{REPOSITORY}/resolve/{REVISION}/mnist/{part}/0000.parquet");
    let (status, body): (&str, &[u8]) =
        if path == format!("/api/datasets/{REPOSITORY}/revision/{REVISION}") {
            ("200 OK", listing.as_bytes())
        } else if path == file("test") {
            ("200 OK", &files.test)
        } else if path == file("train") {
            match behaviour {
                Behaviour::NeverAnswers => {
                    std::thread::sleep(Duration::from_secs(120));
                    return Ok(());
                }
                Behaviour::NotFound => ("404 Not Found", b"Entry not found"),
                Behaviour::NoParquet => ("200 OK", b"<html>Please log in</html>"),
                Behaviour::Good | Behaviour::CutInTheMiddle => ("200 OK", &files.train),
            }
        } else {
            ("404 Not Found", b"Repository not found")
        };

    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"{:016x}\"\r\n\
         X-Repo-Commit: 0123456789012345678901234567890123456789\r\nConnection: close\r\n\r\n",
        body.len(),
        path.len(),
    )?;
    if method == "GET" {
        let cut = behaviour == Behaviour::CutInTheMiddle && path == file("train");
        let end = if cut { body.len() / 2 } else { body.len() };
        stream.write_all(&body[..end])?;
    }
    stream.flush()
}

/// What asking for MNIST by name comes to, with this hub and an empty cache,
/// and that nothing is left behind by a failure.
fn ask(hub: &Hub) -> Result<Found, String> {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("cache");
    let result = find_with(&Spec::Curves, Some("mnist"), None, Some(hub), &cache);
    if result.is_err() {
        assert!(!cache.exists());
        // The experiment file alone gets CURVES, with the same reason.
        let found = find_with(&Spec::Mnist, None, None, Some(hub), &cache).unwrap();
        assert_eq!(found.identity.name, "curves");
        let reason = found.fallback.unwrap();
        assert!(reason.contains(&hub.endpoint), "{reason}");
    }
    result.map_err(|error| error.to_string())
}

#[track_caller]
fn assert_fails(hub: &Hub, expected: &[&str]) {
    let error = ask(hub).map(|found| found.origin).unwrap_err();
    for part in expected.iter().copied().chain([hub.endpoint.as_str()]) {
        assert!(error.contains(part), "`{part}` is not in `{error}`");
    }
}

#[test]
fn mnist_is_downloaded_once_kept_and_healed() {
    let Some(real) = real_mnist() else { return };
    let real = idx::read_folder(&real).unwrap();
    let hub = serve(Files::of(&real), Behaviour::Good);
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("new").join("cache");
    let folder = cache.join("mnist");
    let by_name = |hub| find_with(&Spec::Mnist, None, None, hub, &cache).unwrap();

    let found = by_name(Some(&hub));
    assert_mnist(&found);
    let (endpoint, folder_name) = (&hub.endpoint, folder.display());
    assert_eq!(
        found.origin,
        format!(
            "MNIST, downloaded from {endpoint} and kept in {folder_name} \
             (MNIST is not in {folder_name})"
        )
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);

    // From now on without the hub.
    let found = by_name(None);
    assert_mnist(&found);
    assert_eq!(found.origin, format!("MNIST, read from {folder_name}"));

    // One byte of the cache changes, or a file goes missing.
    let damage: [fn(&Path); 2] = [
        |file| {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[12_345] ^= 0x10;
            std::fs::write(file, bytes).unwrap();
        },
        |file| std::fs::remove_file(file).unwrap(),
    ];
    for damage in damage {
        damage(&folder.join("t10k-images-idx3-ubyte"));
        let reason = by_name(None).fallback.unwrap();
        let damaged = format!("MNIST in {folder_name} is damaged: ");
        assert!(reason.contains(&damaged), "{reason}");
        let found = by_name(Some(&hub));
        assert_mnist(&found);
        assert!(found.origin.contains(&damaged), "{}", found.origin);
        assert_mnist(&by_name(None));
    }

    // A cache that cannot be written is no reason to do without MNIST.
    let blocked = root.path().join("blocked");
    std::fs::write(&blocked, "a file").unwrap();
    let found = find_with(&Spec::Mnist, None, None, Some(&hub), &blocked).unwrap();
    assert_mnist(&found);
    assert!(found.origin.contains("not kept: "), "{}", found.origin);

    // One grey value, one step.
    let mut altered = real;
    altered.train.pixels[10_000_000] ^= 1;
    assert_fails(
        &serve(Files::of(&altered), Behaviour::Good),
        &[
            "train-images-idx3-ubyte: SHA-256 of the uncompressed file: expected ba891046",
            "nothing was kept",
        ],
    );
}

#[test]
fn other_images_than_mnist_are_refused() {
    assert_fails(
        &serve(Files::black(), Behaviour::Good),
        &[
            "train-images-idx3-ubyte: SHA-256 of the uncompressed file: expected ba891046",
            "nothing was kept",
        ],
    );
    let few = Dataset {
        name: "few".into(),
        train: Images {
            pixels: vec![0; 3 * PIXELS],
            labels: vec![0; 3],
        },
        test: Images::default(),
    };
    assert_fails(
        &serve(Files::of(&few), Behaviour::Good),
        &["rows of a parquet file: expected 60000 or 10000, found 0"],
    );
}

#[test]
fn a_transfer_that_breaks_off_is_an_error() {
    assert_fails(
        &serve(Files::black(), Behaviour::CutInTheMiddle),
        &["the download failed"],
    );
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    assert_fails(
        &serve(Files::black(), Behaviour::NotFound),
        &["mnist/train/0000.parquet"],
    );
}

#[test]
fn a_page_in_place_of_a_file_is_an_error() {
    assert_fails(&serve(Files::black(), Behaviour::NoParquet), &["Parquet"]);
}

#[test]
fn a_hub_that_never_answers_is_left_at_the_deadline() {
    let hub = Hub {
        deadline: Duration::from_millis(1500),
        ..serve(Files::black(), Behaviour::NeverAnswers)
    };
    let started = Instant::now();
    assert_fails(&hub, &["not done after 1.5 s"]);
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn where_nothing_listens_nothing_is_waited_for() {
    let started = Instant::now();
    assert_fails(&hub_at(unused_port()), &["the download failed"]);
    assert!(started.elapsed() < Duration::from_secs(10));
}

fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// `HF_ENDPOINT` belongs to the whole process, so the test starts itself
/// again in a process that has it.
#[test]
fn the_variable_hf_endpoint_names_the_hub() {
    const CHILD: &str = "ADAMIX_TEST_ENDPOINT";
    if let Ok(endpoint) = std::env::var(CHILD) {
        assert_eq!(Hub::from_environment().endpoint, endpoint);
        let cache = tempfile::tempdir().unwrap();
        let found = find(&Spec::Mnist, None, None, false, cache.path()).unwrap();
        let reason = found.fallback.unwrap();
        assert!(reason.contains(&endpoint), "{reason}");
        return;
    }
    let endpoint = format!("http://127.0.0.1:{}", unused_port());
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_variable_hf_endpoint_names_the_hub"])
        .env("HF_ENDPOINT", &endpoint)
        .env(CHILD, &endpoint)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(Hub::CONNECT, Duration::from_secs(5));
    assert_eq!(Hub::DEADLINE, Duration::from_secs(300));
}
