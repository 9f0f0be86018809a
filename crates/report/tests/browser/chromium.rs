//! A small client of Chromium's debugging protocol, over a pipe: JSON messages
//! that end in a zero byte. The browser has no network.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Chromium with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    /// What the page did since it was opened.
    events: Vec<Value>,
    /// Its own folder and that of the page, which live as long.
    _folders: [TempDir; 2],
}

/// The browser to test with; `None` where the environment asks to do without.
///
/// # Panics
/// Where there is none, with the remedy.
pub(crate) fn program() -> Option<String> {
    if std::env::var_os("ADAMIX_NO_BROWSER").is_some_and(|value| value == "1") {
        eprintln!("skipped: ADAMIX_NO_BROWSER=1");
        return None;
    }
    let answers = |program: &String| {
        let run = Command::new(program)
            .arg("--version")
            .stderr(Stdio::null())
            .output();
        run.is_ok_and(|output| output.status.success())
    };
    let named = std::env::var("CHROMIUM").into_iter();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(String::from);
    let found = named.chain(usual).find(answers);
    assert!(
        found.is_some(),
        "no Chromium found: `apt-get install chromium`, or set CHROMIUM to the program, or set \
         ADAMIX_NO_BROWSER=1 to leave the page untested"
    );
    found
}

impl Browser {
    pub(crate) fn start(program: &str, page: TempDir) -> Self {
        let profile = tempfile::tempdir().expect("Chromium answers");
        // The protocol's pipes are file descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
                "--disable-background-networking",
                "--disable-component-update",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                "--proxy-server=127.0.0.1:9",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium answers");
        let to = child.stdin.take().expect("Chromium answers");
        let from = BufReader::new(child.stdout.take().expect("Chromium answers"));
        let (send, receive) = channel();
        std::thread::spawn(move || {
            for message in from.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("Chromium answers");
                if send.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from: receive,
            session: None,
            sent: 0,
            events: Vec::new(),
            _folders: [profile, page],
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to
            .write_all(message.to_string().as_bytes())
            .expect("Chromium answers");
        self.to.write_all(&[0]).expect("Chromium answers");
        loop {
            let mut answer = self.next(method);
            if answer["id"] == self.sent {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn next(&self, waiting_for: &str) -> Value {
        let message = self.from.recv_timeout(PATIENCE);
        message.unwrap_or_else(|why| panic!("Chromium does not answer {waiting_for}: {why}"))
    }

    /// Opens a file and waits until it is loaded. The network is off.
    pub(crate) fn open(&mut self, file: &Path, query: &str) {
        self.call(
            "Network.emulateNetworkConditions",
            json!({"offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}),
        );
        self.events.clear();
        let url = format!("file://{}{query}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let event = self.next("Page.navigate");
            self.events.push(event);
        }
    }

    /// What the page asked for, apart from the file itself and what stands in it.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter();
        let sent = sent.filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|event| event["params"]["request"]["url"].as_str());
        let page = |url: &&str| !url.starts_with("data:") && !url.contains("/index.html");
        urls.filter(page).map(str::to_owned).collect()
    }

    /// What went wrong in the page's script.
    pub(crate) fn faults(&self) -> Vec<String> {
        let thrown = self.events.iter();
        thrown
            .filter(|event| event["method"] == "Runtime.exceptionThrown")
            .map(|event| event["params"]["exceptionDetails"].to_string())
            .collect()
    }

    /// The value of an expression in the page; a promise is awaited.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let mut found = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert_eq!(found["exceptionDetails"], Value::Null, "{expression}");
        found["result"]["value"].take()
    }

    pub(crate) fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{expression}: {value}"))
    }

    pub(crate) fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(expression);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{expression}: {value}"))
    }

    /// Width and height of the window.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1,
                "mobile": width < 600}),
        );
    }

    /// A preference of the reader's system, such as a dark screen.
    pub(crate) fn prefer(&mut self, feature: &str, value: &str) {
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": feature, "value": value}]}),
        );
    }

    /// Moves the mouse there.
    pub(crate) fn hover(&mut self, x: f64, y: f64) {
        self.call(
            "Input.dispatchMouseEvent",
            json!({"type": "mouseMoved", "x": x, "y": y}),
        );
    }

    pub(crate) fn click(&mut self, x: f64, y: f64) {
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}),
            );
        }
    }

    /// Presses and releases a key.
    pub(crate) fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            other => panic!("{other}: no code known"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": code});
            if key == "Enter" && kind == "keyDown" {
                event["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// A picture of a part of the page as PNG: left, top, width, height.
    pub(crate) fn picture(&mut self, [x, y, width, height]: [f64; 4]) -> Vec<u8> {
        let clip = json!({"x": x, "y": y, "width": width, "height": height, "scale": 1});
        let options = json!({"format": "png", "clip": clip, "captureBeyondViewport": true});
        let taken = self.call("Page.captureScreenshot", options);
        STANDARD
            .decode(taken["data"].as_str().expect("Chromium answers"))
            .expect("Chromium answers")
    }

    /// The page printed on A4.
    pub(crate) fn pdf(&mut self) -> Vec<u8> {
        let printed = self.call("Page.printToPDF", json!({"preferCSSPageSize": true}));
        STANDARD
            .decode(printed["data"].as_str().expect("Chromium answers"))
            .expect("Chromium answers")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
