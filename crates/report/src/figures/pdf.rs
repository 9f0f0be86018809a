//! A figure's file as PDF: the SVG's drawing with the letters that it needs of
//! one font inside, so that the bytes do not depend on what a machine has
//! installed. Figures as files are in English, so that font is a Latin one.

use std::sync::{Arc, LazyLock};

use krilla::Document;
use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt as _, SvgSettings};
use usvg::fontdb::{Database, Source};
use usvg::{FontResolver, Options, Tree};

use crate::{Error, Result};

/// DejaVu Sans in two weights, and nothing else.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    for font in [dejavu::sans::regular(), dejavu::sans::bold()] {
        fonts.load_font_source(Source::Binary(Arc::new(font)));
    }
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// # Errors
/// Where the drawing cannot be read, or a letter is not in the font.
pub(super) fn of(svg: &str, title: &str) -> Result<Vec<u8>> {
    let fault = |why: String| Error::Figure(format!("{title}: as PDF: {why}"));
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        font_family: "DejaVu Sans".into(),
        font_resolver: FontResolver::default(),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|e| fault(e.to_string()))?;
    // A pixel of a drawing is three quarters of a point.
    let [width, height] = [tree.size().width(), tree.size().height()].map(|side| 0.75 * side);
    let size = Size::from_wh(width, height).ok_or_else(|| fault("it has no size".into()))?;
    let mut document = Document::new();
    document.set_metadata(Metadata::new().title(title.to_owned()));
    let settings = PageSettings::new(size);
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    let drawn = surface.draw_svg(&tree, size, SvgSettings::default());
    surface.finish();
    page.finish();
    drawn.ok_or_else(|| fault("it cannot be drawn".into()))?;
    document.finish().map_err(|e| fault(format!("{e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other bytes than these would be those of another compressor or font.
    #[test]
    fn a_drawing_has_the_same_bytes_in_every_build() {
        let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30">
            <path d="M0 0 L90 30 L45 15 L60 10 L90 30" stroke="black"/>
            <text x="10" y="20" font-size="12">seven letters</text></svg>"#;
        let bytes = of(svg, "A title").expect("a drawing");
        let expected = "199ef9cc794004592604dda566e2449706dcc1f2ecf3f087b891a6cede23e28d";
        assert_eq!(adamix_record::sha256_hex(&bytes), expected);
    }
}
