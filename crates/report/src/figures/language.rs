//! Text of a figure in English and Chinese. plotters draws one string at a
//! place; both stand in it, and come apart in the finished SVG.

use adamix_record::Text;

/// Stands between the two. No font has this character and no name holds it.
const BETWEEN: char = '\u{e000}';

/// A text as one string for plotters.
pub(super) fn coded(text: &Text) -> String {
    if text.en == text.zh {
        return text.en.clone();
    }
    format!("{}{BETWEEN}{}", text.en, text.zh)
}

/// The drawing with two elements for each text that differs, of which the page
/// shows one.
pub(super) fn in_both(svg: &str) -> String {
    taken_apart(svg, |attributes, en, zh| {
        format!(
            "<text lang=\"en\" {attributes}>{en}</text>\n<text lang=\"zh-Hans\" {attributes}>{zh}</text>"
        )
    })
}

/// The drawing in English alone.
pub(super) fn in_english(svg: &str) -> String {
    taken_apart(svg, |attributes, en, _| {
        format!("<text {attributes}>{en}</text>")
    })
}

fn taken_apart(svg: &str, write: impl Fn(&str, &str, &str) -> String) -> String {
    let (open, close) = ("<text ", "</text>");
    let mut result = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some((before, from)) = rest.split_once(open) {
        let Some((element, after)) = from.split_once(close) else {
            break;
        };
        result += before;
        let parts = element.split_once('>');
        let both = parts.and_then(|(attributes, text)| {
            let (en, zh) = text.trim().split_once(BETWEEN)?;
            Some(write(attributes, en, zh))
        });
        result += &both.unwrap_or_else(|| format!("{open}{element}{close}"));
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_comes_apart() {
        let coded = coded(&Text::new("epoch", "轮"));
        let svg =
            format!("<svg><text x=\"1\">\n{coded}\n</text>\n<text y=\"2\">\n0.1\n</text></svg>");
        let same = "<text y=\"2\">\n0.1\n</text></svg>";
        assert_eq!(
            in_both(&svg),
            format!(
                "<svg><text lang=\"en\" x=\"1\">epoch</text>\n\
                 <text lang=\"zh-Hans\" x=\"1\">轮</text>\n{same}"
            )
        );
        assert_eq!(
            in_english(&svg),
            format!("<svg><text x=\"1\">epoch</text>\n{same}")
        );
    }
}
