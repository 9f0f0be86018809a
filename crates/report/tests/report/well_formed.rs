//! The page as a browser and a screen reader meet it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use adamix_report::render;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer,
};

use crate::study::{MadeUp, MadeUpProtocol};

/// Collects tags; any fault that the tokenizer sees fails the test.
#[derive(Default)]
struct Tags(RefCell<Vec<Tag>>);

impl TokenSink for Tags {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => {
                let raw = match (&*tag.name, tag.kind) {
                    ("script", TagKind::StartTag) => Some(RawKind::ScriptData),
                    ("style", TagKind::StartTag) => Some(RawKind::Rawtext),
                    _ => None,
                };
                self.0.borrow_mut().push(tag);
                if let Some(raw) = raw {
                    return TokenSinkResult::RawData(raw);
                }
            }
            Token::ParseError(fault) => panic!("line {line}: {fault}"),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn tags(html: &str) -> Vec<Tag> {
    let tokenizer = Tokenizer::new(Tags::default(), Default::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.take()
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    let found = tag.attrs.iter().find(|a| &*a.name.local == name);
    found.map(|a| a.value.to_string())
}

fn page() -> String {
    let study = MadeUp::new(10, 4.3).write();
    render(study.path()).expect("a report").html
}

/// One protocol; two, of which one is tuned; many readings.
fn pages() -> [String; 3] {
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.5);
    let several = MadeUp::of(vec![common, tuned]);
    let render = |study: &MadeUp| render(study.write().path()).expect("a report").html;
    [page(), render(&several), render(&MadeUp::readings(5))]
}

/// Elements that have no end.
const VOID: [&str; 4] = ["meta", "img", "br", "link"];

#[test]
fn every_element_is_closed_in_order() {
    let mut open: Vec<String> = Vec::new();
    for tag in pages().iter().flat_map(|page| tags(page)) {
        let name = tag.name.to_string();
        match tag.kind {
            _ if tag.self_closing || VOID.contains(&name.as_str()) => {}
            TagKind::StartTag => open.push(name),
            TagKind::EndTag => assert_eq!(open.pop(), Some(name)),
        }
    }
    assert_eq!(open, Vec::<String>::new());
}

/// HTML allows a caption nowhere else.
#[test]
fn a_caption_stands_first_or_last_in_its_figure() {
    for page in pages() {
        assert_eq!(misplaced(&page), Vec::<Vec<String>>::new());
    }
    for amid in [
        "<p></p><figcaption></figcaption><p></p>",
        "<p></p><figcaption></figcaption><div><img></div>",
        "<p></p>",
    ] {
        assert_eq!(misplaced(&format!("<figure>{amid}</figure>")).len(), 1);
    }
}

/// The children of each figure whose one caption is neither first nor last.
fn misplaced(page: &str) -> Vec<Vec<String>> {
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut found = Vec::new();
    for tag in tags(page) {
        let name = tag.name.to_string();
        if tag.kind == TagKind::EndTag {
            let children = open.pop().expect("an open element");
            let captions = children.iter().filter(|child| *child == "figcaption");
            let ends = [children.first(), children.last()];
            let placed = ends.into_iter().flatten().any(|end| end == "figcaption");
            if name == "figure" && !(placed && captions.count() == 1) {
                found.push(children);
            }
            continue;
        }
        open.last_mut().expect("a root").push(name.clone());
        if !tag.self_closing && !VOID.contains(&name.as_str()) {
            open.push(Vec::new());
        }
    }
    found
}

#[test]
fn ids_are_unique_and_references_meet_them() {
    pages().iter().for_each(|page| check_ids(page));
}

fn check_ids(page: &str) {
    let tags = tags(page);
    let mut ids = BTreeSet::new();
    for id in tags.iter().filter_map(|tag| attribute(tag, "id")) {
        assert!(ids.insert(id.clone()), "id {id} twice");
    }
    for link in tags.iter().filter_map(|tag| attribute(tag, "href")) {
        if let Some(id) = link.strip_prefix('#') {
            assert!(ids.contains(id), "a link to {id}, which no element has");
        }
    }
    for labels in tags.iter().filter_map(|t| attribute(t, "aria-labelledby")) {
        for id in labels.split(' ') {
            assert!(ids.contains(id), "no element has the id {id}");
        }
    }
}

#[test]
fn pictures_and_figures_have_a_text_alternative() {
    let page = page();
    let tags = tags(&page);
    let images: Vec<&Tag> = tags.iter().filter(|t| &*t.name == "img").collect();
    assert_eq!(images.len(), 10 * 5);
    for image in images {
        assert!(attribute(image, "alt").is_some_and(|alt| !alt.is_empty()));
        let source = attribute(image, "src").unwrap();
        assert!(
            source.starts_with("data:image/png;base64,iVBOR"),
            "{source}"
        );
    }
    let drawings: Vec<&Tag> = tags
        .iter()
        .filter(|t| &*t.name == "svg" && t.kind == TagKind::StartTag)
        .collect();
    // Curves, target, final errors, differences, gradients, codes and
    // roofline, twice each.
    assert_eq!(drawings.len(), 2 * 7);
    for drawing in drawings {
        assert_eq!(attribute(drawing, "role").as_deref(), Some("img"));
        // The title and the finding, in the language that the page shows.
        let label = attribute(drawing, "aria-labelledby").unwrap();
        let (title, finding) = label.split_once(' ').unwrap();
        assert!(title.ends_with("-title") && finding.ends_with("-desc"));
    }
    assert!(page.contains("Mean test error after epoch 6, lowest first: AdaMix (W1 + B1)"));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = page();
    for tag in tags(&page) {
        assert!(!matches!(&*tag.name, "link" | "iframe" | "use"));
        if let Some(source) = attribute(&tag, "src") {
            assert!(source.starts_with("data:"), "{source}");
        }
        if let Some(link) = attribute(&tag, "href") {
            assert_eq!(&*tag.name, "a", "{link}");
        }
    }
    for loads in ["url(", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!page.contains(loads), "{loads}");
    }
}

#[test]
fn rows_have_as_many_cells_as_their_table_has_columns() {
    let tags: Vec<Tag> = pages().iter().flat_map(|page| tags(page)).collect();
    let mut columns = 0;
    let mut cells = 0;
    let mut in_head = false;
    // How many rows below a cell of the first column reaches.
    let mut below = 0;
    for tag in &tags {
        let spans = |name| attribute(tag, name).map_or(1, |span| span.parse().unwrap());
        match (&*tag.name, tag.kind) {
            ("thead", TagKind::StartTag) => (in_head, columns) = (true, 0),
            ("thead", TagKind::EndTag) => in_head = false,
            ("table", TagKind::StartTag) => columns = 0,
            ("th", TagKind::StartTag) if in_head => columns += 1,
            ("th" | "td", TagKind::StartTag) => {
                cells += spans("colspan");
                below += spans("rowspan") - 1;
            }
            ("tr", TagKind::StartTag) => {
                cells = below.min(1);
                below -= cells;
            }
            ("tr", TagKind::EndTag) if !in_head && columns > 0 => assert_eq!(cells, columns),
            _ => {}
        }
    }
}

/// Sections, headings, figures, tables and what can be opened, in their order.
#[test]
fn the_page_has_this_structure() {
    let shown = [
        "section", "nav", "dialog", "h1", "h2", "h3", "figure", "table", "details",
    ];
    let (mut outline, mut depth) = (String::new(), 0);
    for tag in tags(&page()) {
        if !shown.contains(&&*tag.name) {
            continue;
        }
        if tag.kind == TagKind::EndTag {
            depth -= 1;
            continue;
        }
        let id = attribute(&tag, "id").map_or_else(String::new, |id| format!("#{id}"));
        outline += &format!("{}{}{id}\n", "  ".repeat(depth), tag.name);
        depth += 1;
    }
    insta::assert_snapshot!(outline);
}
