//! Draws SVG for plotters: short, and with groups that bear data, which the
//! page's script reads.

use std::convert::Infallible;
use std::fmt::{Display, Write};

use minijinja::HtmlEscape;
use plotters::element::{Drawable, PointCollection};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

type Written = std::result::Result<(), DrawingErrorKind<Infallible>>;

/// The inside of an `<svg>`. All its text looks alike, as the element says.
pub(super) struct Svg<'a> {
    text: &'a mut String,
    size: (u32, u32),
}

impl<'a> Svg<'a> {
    pub(super) fn new(text: &'a mut String, size: (u32, u32)) -> Self {
        Self { text, size }
    }

    /// An element without content, of this colour.
    fn element(&mut self, start: &dyn Display, color: BackendColor, stroke: Option<u32>) {
        let (r, g, b) = color.rgb;
        let paint = format!("#{r:02x}{g:02x}{b:02x}");
        // Writing to a string cannot fail.
        let _ = match stroke {
            Some(width) => write!(
                self.text,
                "<{start} fill=\"none\" stroke=\"{paint}\" stroke-width=\"{width}\""
            ),
            None => write!(self.text, "<{start} fill=\"{paint}\""),
        };
        if color.alpha < 1.0 {
            let _ = write!(self.text, " opacity=\"{}\"", color.alpha);
        }
        self.text.push_str("/>\n");
    }
}

fn points(points: impl IntoIterator<Item = BackendCoord>) -> String {
    let points = points.into_iter().map(|(x, y)| format!("{x},{y}"));
    points.collect::<Vec<_>>().join(" ")
}

impl DrawingBackend for Svg<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Written {
        Ok(())
    }

    fn present(&mut self) -> Written {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Written {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Written {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Written {
        let (width, height) = (right - left, bottom - top);
        let stroke = (!fill).then(|| style.stroke_width());
        self.element(
            &format_args!("rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\""),
            style.color(),
            stroke,
        );
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Written {
        let stroke = Some(style.stroke_width());
        let start = format!("polyline points=\"{}\"", points(path));
        self.element(&start, style.color(), stroke);
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Written {
        let stroke = (!fill).then(|| style.stroke_width());
        self.element(
            &format_args!("circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\""),
            style.color(),
            stroke,
        );
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Written {
        let start = format!("polygon points=\"{}\"", points(corners));
        self.element(&start, style.color(), None);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Written {
        let (r, g, b) = style.color().rgb;
        let anchor = match style.anchor().h_pos {
            HPos::Left => "",
            HPos::Center => " text-anchor=\"middle\"",
            HPos::Right => " text-anchor=\"end\"",
        };
        let down = match style.anchor().v_pos {
            VPos::Top => "0.76em",
            VPos::Center => "0.5ex",
            VPos::Bottom => "-0.5ex",
        };
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90 {x} {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180 {x} {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(270 {x} {y})\""),
        };
        let _ = writeln!(
            self.text,
            "<text x=\"{x}\" y=\"{y}\" dy=\"{down}\"{anchor} fill=\"#{r:02x}{g:02x}{b:02x}\"{turn}>\
             {}</text>",
            HtmlEscape(text)
        );
        Ok(())
    }
}

/// An opening or closing tag, drawn as it stands.
pub(super) struct Tag(pub(super) String);

impl<'a> PointCollection<'a, BackendCoord> for &'a Tag {
    type Point = BackendCoord;
    type IntoIter = std::iter::Empty<BackendCoord>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::empty()
    }
}

impl Drawable<Svg<'_>> for Tag {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        _: I,
        svg: &mut Svg<'_>,
        _: (u32, u32),
    ) -> Written {
        svg.text.push_str(&self.0);
        svg.text.push('\n');
        Ok(())
    }
}

/// A line in dashes, or whole where `dash` is.
pub(super) struct Dashed<S> {
    pub(super) points: Vec<BackendCoord>,
    /// Length of a dash and of the gap after it; `None` for a whole line.
    pub(super) dash: Option<(i32, i32)>,
    pub(super) style: S,
}

/// Discs of one radius, in one element.
pub(super) struct Dots<S> {
    pub(super) points: Vec<BackendCoord>,
    pub(super) style: S,
}

impl<'a, S> PointCollection<'a, BackendCoord> for &'a Dashed<S> {
    type Point = &'a BackendCoord;
    type IntoIter = std::slice::Iter<'a, BackendCoord>;

    fn point_iter(self) -> Self::IntoIter {
        self.points.iter()
    }
}

impl<'a, S> PointCollection<'a, BackendCoord> for &'a Dots<S> {
    type Point = &'a BackendCoord;
    type IntoIter = std::slice::Iter<'a, BackendCoord>;

    fn point_iter(self) -> Self::IntoIter {
        self.points.iter()
    }
}

impl<S: BackendStyle> Drawable<Svg<'_>> for Dashed<S> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        place: I,
        svg: &mut Svg<'_>,
        _: (u32, u32),
    ) -> Written {
        let mut start = format!("polyline points=\"{}\"", points(place));
        if let Some((dash, gap)) = self.dash {
            let _ = write!(start, " stroke-dasharray=\"{dash} {gap}\"");
        }
        svg.element(&start, self.style.color(), Some(self.style.stroke_width()));
        Ok(())
    }
}

impl<S: BackendStyle> Drawable<Svg<'_>> for Dots<S> {
    /// A line of no length with round ends is a disc.
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        place: I,
        svg: &mut Svg<'_>,
        _: (u32, u32),
    ) -> Written {
        let dots: String = place.map(|(x, y)| format!("M{x} {y}h0")).collect();
        let start = format!("path d=\"{dots}\" stroke-linecap=\"round\"");
        svg.element(&start, self.style.color(), Some(self.style.stroke_width()));
        Ok(())
    }
}
