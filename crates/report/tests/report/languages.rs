//! The page in English and Chinese: neither without the other, and the same
//! numbers in both.

use std::cell::RefCell;
use std::collections::BTreeSet;

use adamix_record::Outcome;
use adamix_report::render;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer,
};

use crate::study::{MadeUp, MadeUpArm, MadeUpProtocol};

/// The page as its reader sees it who reads this language, `en` or `zh-Hans`:
/// elements in the other one are gone, and spans of this one are plain text.
pub(crate) fn only(language: &str, html: &str) -> String {
    let mut page = html.to_owned();
    for (of, stays) in [("en", language == "en"), ("zh-Hans", language != "en")] {
        for element in ["span", "text", "div"] {
            let open = format!("<{element} lang=\"{of}\"");
            let close = format!("</{element}>");
            let mut rest = page.as_str();
            let mut kept = String::new();
            while let Some((before, from)) = rest.split_once(&open) {
                let (attributes, from) = from.split_once('>').expect("an end of the tag");
                let (inside, after) = from.split_once(&close).expect("an end of the element");
                kept += before;
                match (stays, element) {
                    (true, "span") => kept += inside,
                    (true, _) => kept += &format!("<{element}{attributes}>{inside}{close}"),
                    (false, _) => {}
                }
                rest = after;
            }
            page = kept + rest;
        }
    }
    page
}

/// Studies that between them show every part of the page.
fn pages() -> Vec<(&'static str, String)> {
    let page = |study: &MadeUp| render(study.write().path()).expect("a report").html;
    let mut common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let halves = MadeUpArm::halves(&common.arms[0], &common.arms[1]);
    common.arms.extend(halves);
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.52);
    let mut in_tuning = tuned.clone();
    in_tuning.chosen = false;
    let mut contradicted = MadeUp::new(10, 4.8);
    contradicted.arms()[0].nanoseconds = 0.9;
    let mut bare = MadeUp::new(3, 4.3);
    (bare.data, bare.anchors, bare.cost) = ("curves", false, false);
    let mut same = MadeUp::new(10, 4.5);
    same.arms()[2].error = 4.502;
    let mut undecided = MadeUp::new(10, 4.42);
    undecided.arms()[0].noise = 0.3;
    let mut no_claims = MadeUp::new(10, 4.3);
    no_claims.claims.clear();
    let mut no_role = MadeUp::new(10, 4.3);
    no_role.arms().remove(2);
    let few = MadeUp::new(3, 4.3);
    let ended = |outcome| {
        let folder = few.write_with("adagrad", 1, 2, outcome);
        render(folder.path()).expect("a report").html
    };
    let failed = Outcome::Failed {
        why: "no memory".into(),
    };
    let lost = bare.write_with("adadec", 0, 2, Outcome::Diverged { epoch: 2 });
    vec![
        ("one", page(&MadeUp::new(10, 4.3))),
        ("two", page(&MadeUp::of(vec![common, tuned]))),
        ("in tuning", page(&MadeUp::of(vec![in_tuning]))),
        ("readings", page(&MadeUp::readings(10))),
        ("readings of few seeds", page(&MadeUp::readings(3))),
        ("contradicted", page(&contradicted)),
        ("no difference", page(&same)),
        ("undecided", page(&undecided)),
        ("no claims", page(&no_claims)),
        ("no role", page(&no_role)),
        ("one seed", page(&MadeUp::new(1, 4.3))),
        ("bare", page(&bare)),
        ("failed", ended(failed)),
        ("diverged", ended(Outcome::Diverged { epoch: 2 })),
        (
            "diverged without a mean image",
            render(lost.path()).expect("a report").html,
        ),
    ]
}

#[derive(Default)]
struct Tokens(RefCell<Vec<Token>>);

impl TokenSink for Tokens {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        self.0.borrow_mut().push(token);
        TokenSinkResult::Continue
    }
}

fn tokens(html: &str) -> Vec<Token> {
    let tokenizer = Tokenizer::new(Tokens::default(), Default::default());
    let input = BufferQueue::default();
    // The tokenizer alone does not know that scripts and styles hold no tags.
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.take()
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attrs.iter().find(|a| &*a.name.local == name);
    found.map(|a| &*a.value)
}

/// Every pair of an English text and its Chinese, and what stands for both.
/// Fails where an English element is not followed by its Chinese one.
fn texts(of: &str, html: &str) -> (Vec<[String; 2]>, Vec<String>) {
    let (mut pairs, mut shared) = (Vec::new(), Vec::new());
    let mut open: Vec<(String, Option<String>)> = Vec::new();
    let mut english: Option<(String, String)> = None;
    let mut text = String::new();
    let mut run = String::new();
    for token in tokens(html) {
        match token {
            Token::CharacterTokens(characters) => {
                let inside = |name: &str| open.iter().any(|(tag, _)| tag == name);
                if open.iter().any(|(_, language)| language.is_some()) {
                    text.push_str(&characters);
                } else if !["style", "script", "code", "pre", "title"]
                    .into_iter()
                    .any(inside)
                {
                    run.push_str(&characters);
                }
            }
            Token::TagToken(tag) => {
                let name = tag.name.to_string();
                if !run.trim().is_empty() {
                    assert!(english.is_none(), "{of}: no Chinese for {english:?}");
                    shared.push(std::mem::take(&mut run));
                }
                run.clear();
                if tag.kind == TagKind::EndTag {
                    let (_, language) = open.pop().expect("an open element");
                    match language.as_deref() {
                        Some("en") => english = Some((name, std::mem::take(&mut text))),
                        Some("zh-Hans") => {
                            let (element, en) = english.take().expect("the English stands first");
                            assert_eq!(element, name, "{of}: {en}");
                            pairs.push([en, std::mem::take(&mut text)]);
                        }
                        _ => {}
                    }
                    continue;
                }
                let language = attribute(&tag, "lang").filter(|_| name != "html");
                if open.iter().all(|(_, language)| language.is_none()) {
                    let due = english.is_some();
                    let comes = language == Some("zh-Hans");
                    assert_eq!(comes, due, "{of}: {english:?} before <{name}>");
                }
                for attribute_name in ["alt", "data-protocol"] {
                    if let Some(en) = attribute(&tag, attribute_name) {
                        let zh = format!("data-{}-zh", attribute_name.trim_start_matches("data-"));
                        let zh = attribute(&tag, &zh).expect("the Chinese beside the English");
                        pairs.push([en.to_owned(), zh.to_owned()]);
                    }
                }
                for nowhere in ["title", "aria-label", "placeholder"] {
                    assert_eq!(attribute(&tag, nowhere), None, "{of}: in one language only");
                }
                let void = ["meta", "img", "br", "link"].contains(&name.as_str());
                if !void && !tag.self_closing {
                    open.push((name, language.map(str::to_owned)));
                }
            }
            _ => {}
        }
    }
    assert!(english.is_none(), "{of}: no Chinese for {english:?}");
    (pairs, shared)
}

/// The numbers in a text, in order of size of their text.
fn numbers(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let parts = text.split(|c| !is_part(c));
    let parts = parts.map(|part| part.trim_matches(['.', ',']).to_owned());
    let mut numbers: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    numbers.sort();
    numbers
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{303f}' | '\u{4e00}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
}

/// Whether two plain lower-case English words follow one another.
fn is_english(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let plain = |word: &str| word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase());
    words
        .windows(2)
        .any(|pair| plain(pair[0]) && plain(pair[1]))
}

/// Words of the paper's English abstract and of programs, quoted in Chinese.
const QUOTED: [&str; 2] = ["the current epoch gradient", "no memory"];

#[test]
fn no_text_stands_in_one_language_only() {
    for (of, html) in pages() {
        let (pairs, shared) = texts(of, &html);
        assert!(pairs.len() > 100, "{of}: {}", pairs.len());
        for [en, zh] in pairs {
            if en == zh {
                // An attribute that is a name.
                assert!(!is_english(&en), "{of}: {en}");
                continue;
            }
            assert!(zh.chars().any(is_chinese), "{of}: {en} | {zh}");
            assert!(!en.chars().any(is_chinese), "{of}: {en}");
            assert_eq!(numbers(&en), numbers(&zh), "{of}: {en} | {zh}");
            let own = QUOTED
                .iter()
                .fold(zh.clone(), |zh, quoted| zh.replace(quoted, ""));
            assert!(!is_english(&own), "{of}: {zh}");
        }
        for text in shared {
            assert!(!is_english(&text), "{of}: {text}");
            assert!(!text.chars().any(is_chinese), "{of}: {text}");
        }
    }
}

#[test]
fn each_language_makes_a_whole_page() {
    let page = render(MadeUp::new(10, 4.3).write().path()).unwrap().html;
    let (en, zh) = (only("en", &page), only("zh-Hans", &page));
    assert!(!en.contains("zh-Hans\">") && !zh.contains("<span lang"));
    let tags = |html: &str| -> Vec<String> {
        let tags = tokens(html).into_iter().filter_map(|token| match token {
            Token::TagToken(tag) => Some(tag.name.to_string()),
            _ => None,
        });
        tags.collect()
    };
    assert_eq!(tags(&en), tags(&zh));
    assert!(zh.contains("<h2 id=\"findings-heading\">结果</h2>"));
}

#[test]
fn figures_hold_both_and_their_files_are_english() {
    let report = render(MadeUp::new(10, 4.3).write().path()).unwrap();
    let languages = ["<text lang=\"en\"", "<text lang=\"zh-Hans\""];
    let [en, zh] = languages.map(|text| report.html.matches(text).count());
    assert!(en > 20 && en == zh, "{en} and {zh}");
    let svgs = report
        .figures
        .iter()
        .filter(|(name, _)| name.ends_with(".svg"));
    for (_, svg) in svgs {
        let svg = std::str::from_utf8(svg).unwrap();
        assert!(!svg.chars().any(is_chinese), "{svg}");
        assert!(!svg.contains('\u{e000}'));
        assert!(svg.contains("<title ") && svg.contains("<desc "));
    }
    let drawn: BTreeSet<usize> = report.html.match_indices('\u{e000}').map(|m| m.0).collect();
    assert!(drawn.is_empty());
}
