//! The page in Chromium, offline: what it shows, asks for and does.
//!
//! Without a browser these fail and say what to do; `ADAMIX_NO_BROWSER=1`
//! leaves them out.

mod chromium;
mod look;
#[path = "../report/study.rs"]
#[allow(dead_code, reason = "the other tests need more of it")]
mod study;

use std::path::{Path, PathBuf};
use std::process::Command;

use adamix_report::render;

use chromium::{Browser, program};
use study::{MadeUp, MadeUpProtocol};

/// `None` where there shall be no browser. With `ADAMIX_KEEP_PAGES`, the page
/// is kept in that folder, to be looked at.
fn open(study: &MadeUp, name: &str, query: &str) -> Option<(Browser, PathBuf)> {
    let program = program()?;
    let folder = study.write();
    let report = render(folder.path()).expect("a report");
    report.write(folder.path()).expect("written");
    let file = folder.path().join("index.html");
    if let Some(keep) = std::env::var_os("ADAMIX_KEEP_PAGES") {
        std::fs::copy(&file, Path::new(&keep).join(format!("{name}.html"))).expect("copied");
    }
    let mut browser = Browser::start(&program, folder);
    browser.size(1280, 800);
    browser.open(&file, query);
    Some((browser, file))
}

fn several() -> MadeUp {
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.5);
    MadeUp::of(vec![common, tuned])
}

/// The button with this text in the bar of controls.
fn button(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('.controls button')]\
         .find(b => b.innerText.trim() === {text:?})"
    )
}

/// The value that a figure shows now, or nothing.
fn shown(figure: &str) -> String {
    format!("document.querySelector('#{figure} .value:not([hidden])')?.innerText ?? ''")
}

#[test]
fn nothing_is_asked_for_and_nothing_fails() {
    for (name, study) in [("several", several()), ("readings", MadeUp::readings(5))] {
        let Some((mut browser, _)) = open(&study, name, "") else {
            return;
        };
        browser.value(
            "(async () => { for (const b of document.querySelectorAll('.controls button')) \
             b.click(); scrollTo(0, 1e6); await new Promise(r => setTimeout(r, 300)); })()",
        );
        assert_eq!(browser.requests(), Vec::<String>::new());
        assert_eq!(browser.faults(), Vec::<String>::new());
        // The network is off indeed.
        let fetched = "fetch('http://127.0.0.1:9/').then(() => 'there', () => 'none')";
        assert_eq!(browser.text(fetched), "none");
    }
}

#[test]
fn a_point_shows_its_value_under_the_mouse_and_by_keys() {
    let Some((mut browser, _)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    // The mouse on the last point of an arm.
    let place = |axis: &str, end: usize| {
        format!(
            "(() => {{ const svg = document.querySelector('#error-curves .wide svg'), \
             box = svg.getBoundingClientRect(), unit = box.width / svg.viewBox.baseVal.width; \
             const at = [...svg.querySelectorAll('g[data-arm=adagrad] polyline')][0].points; \
             return box.{axis} + at[at.length - 1].{end} * unit; }})()",
            end = ["x", "y"][end]
        )
    };
    let (x, y) = (
        browser.number(&place("left", 0)),
        browser.number(&place("top", 1)),
    );
    browser.hover(x, y);
    let value = browser.text(&shown("error-curves"));
    assert!(value.starts_with("AdaGrad\nepoch 6: 4.5"), "{value}");
    assert!(value.contains(" to "), "an interval: {value}");
    browser.hover(2.0, 2.0);
    assert_eq!(browser.text(&shown("error-curves")), "");

    // The keyboard: from point to point, to another arm, away.
    let focus = |figure: &str| {
        format!("document.querySelector('#{figure} .wide').focus({{focusVisible: true}})")
    };
    browser.value(&focus("error-curves"));
    browser.press("End");
    let last = browser.text(&shown("error-curves"));
    assert!(last.starts_with("AdaMix (W1 + B1)\nepoch 6: 4.3"), "{last}");
    browser.press("ArrowLeft");
    let before = browser.text(&shown("error-curves"));
    assert!(before.contains("epoch 5: "), "{before}");
    browser.press("ArrowDown");
    let other = browser.text(&shown("error-curves"));
    assert!(other.starts_with("AdaGrad\nepoch 5: "), "{other}");
    let announced = "document.querySelector('#error-curves .value').getAttribute('role')";
    assert_eq!(browser.text(announced), "status");
    browser.press("Escape");
    assert_eq!(browser.text(&shown("error-curves")), "");

    browser.value(&focus("final-errors"));
    browser.press("ArrowRight");
    let seed = browser.text(&shown("final-errors"));
    assert!(
        seed.starts_with("AdaMix (W1 + B1)\nseed: 1, test error: 4."),
        "{seed}"
    );
}

#[test]
fn an_arm_is_switched_off_in_all_figures_and_the_address_says_so() {
    let Some((mut browser, file)) = open(&several(), "several", "") else {
        return;
    };
    let drawn = "[...document.querySelectorAll('[data-arm=adagrad]')]\
                 .filter(g => g.getClientRects().length).length";
    let figures = "new Set([...document.querySelectorAll('[data-arm=adagrad]')]\
                   .filter(g => g.getClientRects().length)\
                   .map(g => g.closest('figure').id)).size";
    // Curves, target, final errors, differences, pictures and codes of two
    // protocols, rates and price of tuning of one, the roofline of both.
    assert_eq!(browser.number(figures), 15.0);
    browser.value(&format!("{}.click()", button("AdaGrad")));
    assert_eq!(browser.number(drawn), 0.0);
    let pressed = format!("{}.getAttribute('aria-pressed')", button("AdaGrad"));
    assert_eq!(browser.text(&pressed), "false");
    for press in ["Linear axis", "Each seed", "Dark"] {
        browser.value(&format!("{}.click()", button(press)));
    }
    let address = browser.text("location.search");
    assert_eq!(address, "?theme=dark&axis=linear&curves=seeds&hide=adagrad");

    // The link alone makes the same page.
    let state = "JSON.stringify([...document.querySelectorAll('.controls [aria-pressed]')]\
                 .map(b => b.getAttribute('aria-pressed')))";
    let before = browser.text(state);
    browser.open(&file, &address);
    assert_eq!(browser.text(state), before);
    assert_eq!(browser.number(drawn), 0.0);
}

#[test]
fn curves_change_their_axis_and_show_each_seed() {
    let Some((mut browser, _)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    let lines = "document.querySelectorAll('#error-curves .live polyline').length";
    assert_eq!(browser.number(lines), 0.0);
    browser.value(&format!("{}.click()", button("Linear axis")));
    assert_eq!(browser.number(lines), 4.0);
    // On a linear axis, ticks that differ by as much are as far apart.
    let uneven = "(() => { const t = [...document.querySelectorAll(\
                  '#error-curves .live text[text-anchor=end]')].map(t => [+t.textContent, \
                  +t.getAttribute('y')]); const slope = (a, b) => (b[1] - a[1]) / (b[0] - a[0]); \
                  return Math.abs(slope(t[0], t[1]) / slope(t[1], t[2]) - 1); })()";
    assert!(browser.number(uneven) < 1e-6);
    browser.value(&format!("{}.click()", button("Each seed")));
    assert_eq!(browser.number(lines), 40.0);
    browser.value(&format!("{}.click()", button("Linear axis")));
    assert!(browser.number(uneven) > 0.01);
    browser.value("document.querySelector('#error-curves .live').focus({focusVisible: true})");
    browser.press("ArrowRight");
    let value = browser.text(&shown("error-curves"));
    assert!(
        value.starts_with("AdaMix (W1 + B1), seed 0\nepoch 1: "),
        "{value}"
    );
    browser.value(&format!("{}.click()", button("Each seed")));
    assert_eq!(browser.number(lines), 0.0);
    // What is not in the records is not offered: single layers have no seeds.
    assert_eq!(
        browser.number("document.querySelectorAll('#gradients .live svg').length"),
        0.0
    );
}

#[test]
fn the_language_is_switched_in_the_page_and_by_the_address() {
    let Some((mut browser, file)) = open(&MadeUp::new(10, 4.3), "one", "?lang=zh") else {
        return;
    };
    assert_eq!(browser.text("document.documentElement.lang"), "zh-Hans");
    let [title, heading] = ["document.title", "document.querySelector('h1').innerText"];
    let chinese = browser.text(title);
    assert_eq!(chinese, browser.text(heading));
    let controls = "document.querySelector('.controls').innerText";
    let chinese = browser.text(controls);
    assert!(
        chinese.contains("线性坐标") && !chinese.contains("Linear"),
        "{chinese}"
    );
    browser.value(&format!("{}.click()", button("English")));
    assert_eq!(browser.text("document.documentElement.lang"), "en");
    let english = browser.text(title);
    assert_eq!(english, browser.text(heading));
    assert_ne!(english, chinese);
    assert_eq!(browser.text("location.search"), "");
    let english = browser.text(controls);
    assert!(
        english.contains("Linear axis") && !english.contains("线"),
        "{english}"
    );
    browser.value(&format!("{}.click()", button("中文")));
    assert_eq!(browser.text("location.search"), "?lang=zh");
    // Words that stand in both languages are shown in one.
    browser.open(&file, "");
    let both = "[...document.querySelectorAll('body [lang=zh-Hans]')].filter(n => \
                n.getClientRects().length).length";
    assert_eq!(browser.number(both), 0.0);
}

#[test]
fn a_cell_of_the_map_is_named_by_its_readings_in_the_page_s_language() {
    for (query, name) in [
        ("", "W1, mean gradients, K = 1\ndifference: "),
        ("?lang=zh", "W1、平均梯度、K = 1\n相对差："),
    ] {
        let Some((mut browser, _)) = open(&MadeUp::readings(5), "readings", query) else {
            return;
        };
        browser.value("document.querySelector('#readings-map .wide').focus({focusVisible: true})");
        browser.press("Home");
        let value = browser.text(&shown("readings-map"));
        assert!(value.starts_with(name), "{value}");
    }
}

#[test]
fn every_section_figure_and_table_has_a_link() {
    let Some((mut browser, _)) = open(&MadeUp::readings(5), "readings", "") else {
        return;
    };
    let missing = "JSON.stringify([...document.querySelectorAll('section[id], figure[id], \
                   figcaption[id]')].map(n => n.id).filter(id => \
                   !document.querySelector(`a.here[href=\"#${id}\"]`)))";
    assert_eq!(browser.text(missing), "[]");
    // One that stands in a closed part opens it.
    browser.value("location.hash = '#table-runs'");
    let open = "(async () => { await new Promise(r => setTimeout(r, 200)); return \
                document.getElementById('table-runs').getClientRects().length; })()";
    assert!(browser.number(open) > 0.0);
}

#[test]
fn the_runs_behind_a_cell_open_by_key_and_close() {
    let Some((mut browser, file)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    let cells = browser.number("document.querySelectorAll('[data-runs]').length");
    if cells == 0.0 {
        // Made by hand where the page has none.
        let page = std::fs::read_to_string(&file).expect("a page");
        let run = r#"{"data":{"name":"mnist","sha256":"c0ffee"},"protocols":[{"label":"p"}],
            "arms":["a"],"states":["completed"],"settings":[{"k":1}],
            "environments":[{"commit":"0123abc","processor":"CPU"}],
            "runs":[{"id":"aa","record":"runs/aa.jsonl","protocol":0,"arm":0,"seed":3,"state":0,
            "settings":[0,0,0],"environment":0}]}"#;
        let block = format!("<script type=\"application/json\" id=\"runs\">{run}</script>");
        let page = page.replacen("<td class=\"number\">", "<td data-runs=\"0-0\">", 1);
        let page = page.replacen("</main>", &format!("</main>{block}"), 1);
        std::fs::write(&file, page).expect("a page");
        browser.open(&file, "");
    }
    browser.value("document.querySelector('[data-runs] button').focus()");
    browser.press("Enter");
    assert_eq!(browser.value("document.querySelector('dialog').open"), true);
    let text = browser.text("document.querySelector('dialog').innerText");
    assert!(text.contains("Runs behind these numbers: "), "{text}");
    // What they share is seen at once.
    for part in ["0123abc", "CPU", "c0ffee", "settings in common"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    browser.value("document.querySelector('dialog details').open = true");
    let text = browser.text(
        "(async () => { await new Promise(r => setTimeout(r, 200)); \
         return document.querySelector('dialog').innerText; })()",
    );
    for part in ["runs/", "0123abc", "c0ffee", "CPU", "settings"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    browser.press("Escape");
    assert_eq!(
        browser.value("document.querySelector('dialog').open"),
        false
    );
    assert_eq!(browser.faults(), Vec::<String>::new());
}

#[test]
fn what_is_behind_a_number_but_no_run_opens_by_key() {
    let Some((mut browser, _)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    let dead = "[...document.querySelectorAll('td[data-source]')]\
                .filter(cell => !cell.querySelector('button')).length";
    assert_eq!(browser.number(dead), 0.0);
    let focus = |selector: &str| {
        format!("document.querySelector('{selector}').focus({{focusVisible: true}})")
    };
    let timed = [
        "cost.json",
        "0123abc (2026-11-24)",
        "Made-up CPU",
        "20",
        "c0ffee",
    ];
    let science = "Hinton and Salakhutdinov 2006";
    for (place, key, parts) in [
        (".claims [data-source] button", None, &timed[..]),
        ("#cost td[data-source] button", None, &timed[..]),
        ("#roofline .wide", Some("ArrowRight"), &timed[..]),
        (
            "#reference td[data-source^=Hinton] button",
            None,
            &[science],
        ),
        (
            ".gallery [data-runs] button",
            None,
            &["Runs behind these numbers: 1"],
        ),
    ] {
        browser.value(&focus(place));
        if let Some(key) = key {
            browser.press(key);
        }
        browser.press("Enter");
        let text = browser.text("document.querySelector('dialog[open]').innerText");
        for part in parts {
            assert!(text.contains(part), "{place}, {part}: {text}");
        }
        browser.press("Escape");
    }
    assert_eq!(browser.faults(), Vec::<String>::new());
}

/// `cargo xtask report --watch` gives a page that loads itself anew.
#[test]
fn a_page_that_is_followed_keeps_open_what_was_opened() {
    let Some((mut browser, file)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    let page = std::fs::read_to_string(&file).expect("a page");
    let reload = "<head>\n<meta http-equiv=\"refresh\" content=\"600\">";
    std::fs::write(&file, page.replacen("<head>", reload, 1)).expect("a page");
    browser.open(&file, "");
    let part = "document.querySelector('#records details').open";
    let dialog = "document.querySelector('dialog').innerText";
    browser.value(&format!("{part} = true"));
    browser.value("document.querySelector('#cost td[data-source] button').click()");
    let shown = browser.text(dialog);
    assert!(shown.contains("cost.json"), "{shown}");
    browser.open(&file, "");
    assert_eq!(browser.value(part), true);
    assert_eq!(browser.text(dialog), shown);
    browser.value(&format!("{part} = false"));
    browser.press("Escape");
    // That the dialog was closed is told to the page a moment later.
    browser.value("new Promise((done) => setTimeout(done, 50))");
    browser.open(&file, "");
    assert_eq!(browser.value(part), false);
    assert_eq!(
        browser.value("document.querySelector('dialog').open"),
        false
    );
    assert_eq!(browser.faults(), Vec::<String>::new());
}

#[test]
fn a_point_names_its_runs_and_opens_them() {
    let Some((mut browser, _)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    let opened = "document.querySelector('dialog').open";
    let dialog = "document.querySelector('dialog').innerText";
    for (figure, press, runs) in [
        ("error-curves", "End", 10),
        ("final-errors", "ArrowRight", 1),
        ("time-to-target", "End", 10),
        ("codes", "ArrowRight", 1),
    ] {
        browser.value(&format!(
            "document.querySelector('#{figure} .wide').focus({{focusVisible: true}})"
        ));
        browser.press(press);
        let value = browser.text(&shown(figure));
        let named = value.lines().last().unwrap_or_default();
        assert!(
            named.starts_with(if runs == 1 { "run " } else { "runs " }),
            "{value}"
        );
        assert_eq!(named.contains("and 8 more"), runs == 10, "{value}");
        browser.press("Enter");
        assert_eq!(browser.value(opened), true, "{figure}");
        let text = browser.text(dialog);
        let heading = format!("Runs behind these numbers: {runs}");
        assert!(text.contains(&heading), "{figure}: {text}");
        browser.press("Escape");
        assert_eq!(browser.value(opened), false);
    }
    // And by the mouse.
    browser.value(
        "document.querySelector('#final-errors .wide svg').scrollIntoView({block: 'center'})",
    );
    let place = |side: &str, size: &str| {
        format!(
            "(() => {{ const b = document.querySelector('#final-errors .wide [data-point]')\
             .getBoundingClientRect(); return b.{side} + b.{size} / 2; }})()"
        )
    };
    let x = browser.number(&place("left", "width"));
    let y = browser.number(&place("top", "height"));
    browser.click(x, y);
    assert_eq!(browser.value(opened), true);
    assert_eq!(browser.faults(), Vec::<String>::new());
}

/// A page that was sent alone still gives every file of its tables.
#[test]
fn the_files_of_tables_come_out_of_the_page() {
    for (name, study) in [("several", several()), ("readings", MadeUp::readings(5))] {
        let Some((mut browser, _)) = open(&study, name, "") else {
            return;
        };
        browser.value("URL.createObjectURL = (blob) => { window.kept = blob; return '#'; }");
        let report = adamix_report::render(study.write().path()).expect("a report");
        let mut compared = 0;
        for (file, text) in &report.tables {
            let got = format!(
                "(async () => {{ window.kept = null; \
                 document.querySelector('a[href$=\"tables/{file}\"]').click(); \
                 for (let i = 0; i < 200 && !window.kept; i++) \
                   await new Promise((done) => setTimeout(done, 5)); \
                 return window.kept ? window.kept.text() : 'nothing'; }})()"
            );
            // Those behind a combination of readings are linked as CSV alone.
            let linked = format!("!!document.querySelector('a[href$=\"tables/{file}\"]')");
            if browser.value(&linked) == true {
                assert_eq!(browser.text(&got), *text, "{file}");
                compared += 1;
            }
        }
        assert!(compared > 40, "{name}: {compared}");
        assert_eq!(browser.faults(), Vec::<String>::new());
    }
}

#[test]
fn no_width_makes_the_page_scroll_sideways() {
    for (name, study) in [("several", several()), ("readings", MadeUp::readings(5))] {
        let Some((mut browser, _)) = open(&study, name, "") else {
            return;
        };
        for (width, height) in [(360, 800), (768, 1024), (1280, 800), (3840, 2160)] {
            browser.size(width, height);
            browser.value("document.querySelectorAll('details').forEach(d => d.open = true)");
            let wide = browser.number("document.documentElement.scrollWidth");
            assert!(wide <= f64::from(width), "{name}: {wide} at {width}");
        }
    }
}

#[test]
fn on_a_phone_the_verdicts_stand_before_what_was_tested() {
    let Some((mut browser, _)) = open(&several(), "several", "") else {
        return;
    };
    let first = "[...document.querySelectorAll('.lead, .claims')]\
                 .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)\
                 [0].className";
    assert_eq!(browser.text(first), "lead");
    browser.size(360, 800);
    assert_eq!(browser.text(first), "claims");
}

#[test]
fn the_first_screen_tells_what_came_out() {
    for (name, study) in [("one", MadeUp::new(10, 4.3)), ("several", several())] {
        let Some((mut browser, _)) = open(&study, name, "") else {
            return;
        };
        let mut end = |selector: &str| {
            browser.number(&format!(
                "Math.max(...[...document.querySelectorAll({selector:?})]\
                 .filter(n => n.getClientRects().length)\
                 .map(n => n.getBoundingClientRect().bottom))"
            ))
        };
        assert!(end(".claims") < 480.0, "{name}: the verdicts");
        let figure = end(".first figure svg");
        assert!(figure < 800.0, "{name}: the curves end at {figure}");
        let sure = end(".sure p");
        assert!(sure < 800.0, "{name}: how sure ends at {sure}");
        // A verdict and its effect stand in one line.
        let broken = "[...document.querySelectorAll('.claims tbody td')]\
                      .filter(cell => cell.getBoundingClientRect().height > 30)\
                      .map(cell => cell.innerText).join('; ')";
        assert_eq!(browser.text(broken), "", "{name}");
    }
}

#[test]
fn without_a_script_the_page_is_whole_and_nothing_dead_stands_there() {
    let Some((mut browser, file)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    browser.call(
        "Emulation.setScriptExecutionDisabled",
        serde_json::json!({"value": true}),
    );
    browser.open(&file, "");
    browser.call(
        "Emulation.setScriptExecutionDisabled",
        serde_json::json!({"value": false}),
    );
    assert_eq!(
        browser.number("document.querySelectorAll('button').length"),
        0.0
    );
    let drawn = "[...document.querySelectorAll('figure svg')]\
                 .filter(s => s.getClientRects().length).length";
    assert_eq!(browser.number(drawn), 7.0);
}

#[test]
fn it_prints_on_a4_with_all_open_and_no_controls() {
    let Some((mut browser, _)) = open(&several(), "several", "?theme=dark") else {
        return;
    };
    let pdf = browser.pdf();
    if let Some(keep) = std::env::var_os("ADAMIX_KEEP_PAGES") {
        std::fs::write(Path::new(&keep).join("several.pdf"), &pdf).expect("a page");
    }
    assert!(pdf.starts_with(b"%PDF-"));
    let text = String::from_utf8_lossy(&pdf);
    let pages = text.matches("/Type /Page\n").count();
    assert!((3..60).contains(&pages), "{pages} pages");
    assert!(text.contains("/MediaBox [0 0 595") || text.contains("/MediaBox [0 0 594"));
    browser.call(
        "Emulation.setEmulatedMedia",
        serde_json::json!({"media": "print"}),
    );
    let seen = |selector: &str| {
        format!(
            "[...document.querySelectorAll('{selector}')]\
             .filter(n => n.getClientRects().length).length"
        )
    };
    assert_eq!(
        browser.number(&seen(".controls, a.here, .value, .files, dialog")),
        0.0
    );
    // What is wider than the paper would be printed smaller, and all with it.
    browser.size(688, 1000);
    let wide = browser.number("document.documentElement.scrollWidth");
    assert!(wide <= 688.0, "{wide}");
    assert_eq!(browser.number(&seen("#table-runs")), 1.0);
    let ground = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.text(ground), "rgb(255, 255, 255)");
}

#[test]
fn dark_follows_the_system_and_the_switch() {
    let Some((mut browser, _)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    let ground = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.text(ground), "rgb(255, 255, 255)");
    browser.prefer("prefers-color-scheme", "dark");
    assert_eq!(browser.text(ground), "rgb(22, 24, 27)");
    browser.value(&format!("{}.click()", button("Dark")));
    assert_eq!(browser.text(ground), "rgb(255, 255, 255)");
    assert_eq!(browser.text("location.search"), "?theme=light");
}

/// Figures look as they did, roughly: letters differ from machine to machine.
#[test]
fn figures_look_as_they_did() {
    let Some((mut browser, file)) = open(&MadeUp::new(10, 4.3), "one", "") else {
        return;
    };
    for (name, width, query, figure) in [
        ("wide", 1280, "", "#error-curves .wide svg"),
        ("narrow", 360, "", "#error-curves .narrow svg"),
        ("dark", 1280, "?theme=dark", "#error-curves .wide svg"),
        ("linear", 1280, "?axis=linear", "#error-curves .live svg"),
        (
            "seeds",
            1280,
            "?curves=seeds&hide=adagrad",
            "#error-curves .live svg",
        ),
        ("final", 1280, "", "#final-errors .wide svg"),
    ] {
        browser.size(width, 800);
        browser.open(&file, query);
        let mut edge = |of: &str| {
            browser.number(&format!(
                "(() => {{ const b = document.querySelector('{figure}').getBoundingClientRect(); \
                 return {of}; }})()"
            ))
        };
        let place = ["b.left + scrollX", "b.top + scrollY", "b.width", "b.height"].map(&mut edge);
        look::compare(name, &browser.picture(place));
    }
}

#[test]
fn the_page_of_all_reports_is_whole_offline_and_fits_a_phone() {
    let Some(program) = program() else {
        return;
    };
    let reports = tempfile::tempdir().expect("a folder");
    for name in ["mine", "ours"] {
        let folder = reports.path().join(name);
        std::fs::rename(several().write().keep(), folder).expect("moved");
    }
    let page = adamix_report::index(reports.path()).expect("an index");
    let file = reports.path().join("index.html");
    std::fs::write(&file, &page).expect("written");
    if let Some(keep) = std::env::var_os("ADAMIX_KEEP_PAGES") {
        std::fs::write(Path::new(&keep).join("index.html"), page).expect("written");
    }
    let mut browser = Browser::start(&program, reports);
    browser.size(360, 800);
    browser.open(&file, "?lang=zh");
    assert!(browser.number("document.documentElement.scrollWidth") <= 360.0);
    assert_eq!(browser.requests(), Vec::<String>::new());
    assert_eq!(browser.faults(), Vec::<String>::new());
    let english = "[...document.querySelectorAll('[lang=en]')]\
                   .filter(n => n.getClientRects().length).length";
    assert_eq!(browser.number(english), 0.0);
    if let Some(axe) = axe() {
        browser.value(&axe);
        assert_eq!(browser.text(SERIOUS), "[]");
    }
}

const SERIOUS: &str = "axe.run({resultTypes: ['violations']}).then(r => JSON.stringify(\
    r.violations.filter(v => ['serious', 'critical'].includes(v.impact))\
    .map(v => [v.id, v.help, v.nodes.length, v.nodes[0].html.slice(0, 300), \
    v.nodes[0].failureSummary]), null, 1))";

/// axe-core's rules. It is fetched from the npm registry, so that its 600 kB
/// and its licence (MPL) stay out of the repository.
#[test]
fn axe_finds_nothing_serious() {
    if program().is_none() {
        return;
    }
    let Some(axe) = axe() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "axe-core cannot be fetched"
        );
        eprintln!("skipped: axe-core cannot be fetched by `npm pack`");
        return;
    };
    for (name, study) in [("several", several()), ("readings", MadeUp::readings(5))] {
        let Some((mut browser, file)) = open(&study, name, "") else {
            return;
        };
        for (width, query) in [
            (1280, ""),
            (360, "?theme=dark"),
            (1280, "?lang=zh&axis=linear&curves=seeds&theme=dark"),
        ] {
            browser.size(width, 800);
            browser.open(&file, query);
            browser.value("document.querySelectorAll('details').forEach(d => d.open = true)");
            browser.value(&axe);
            let found = browser.text(SERIOUS);
            assert_eq!(found, "[]", "{name} at {width}, {query}");
        }
    }
}

const AXE: &str = "axe-core@4.14.1";

fn axe() -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(AXE);
    let script = folder.join("package/axe.min.js");
    if !script.exists() {
        std::fs::create_dir_all(&folder).ok()?;
        let run = |program: &str, arguments: &[&str]| {
            let run = Command::new(program)
                .args(arguments)
                .current_dir(&folder)
                .output();
            run.ok().filter(|output| output.status.success())
        };
        let packed = run("npm", &["pack", "--silent", AXE])?;
        let name = String::from_utf8(packed.stdout).ok()?;
        run("tar", &["xzf", name.trim()])?;
    }
    std::fs::read_to_string(script).ok()
}
