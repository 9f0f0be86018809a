use serde::{Deserialize, Deserializer, Serialize};

/// A text for the reader, in English and Chinese. In a file it is a table
/// `{ en = "…", zh = "…" }`, or one string, which then stands for both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl Text {
    /// The same text in both languages: a name, say.
    pub fn same(text: impl Into<String>) -> Self {
        let en = text.into();
        Self { zh: en.clone(), en }
    }

    /// A text of which both forms are given.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }

    /// Texts one after the other, with one of these between each two.
    ///
    /// ```
    /// use adamix_record::Text;
    /// let arms = [Text::same("SGD"), Text::new("control", "对照")];
    /// assert_eq!(Text::join(&arms, ", ", "、"), Text::new("SGD, control", "SGD、对照"));
    /// ```
    pub fn join(texts: &[Self], en: &str, zh: &str) -> Self {
        let each = |of: fn(&Self) -> &str| texts.iter().map(of).collect::<Vec<_>>();
        Self::new(
            each(|text| &text.en).join(en),
            each(|text| &text.zh).join(zh),
        )
    }

    /// As [`new`](Self::new), for Chinese put together from parts: a space
    /// stays between a Chinese character and a Latin one, and goes between two
    /// Chinese ones and beside full-width punctuation.
    pub fn spaced(en: String, zh: &str) -> Self {
        let is_punctuation =
            |c: char| matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}');
        let is_chinese = |c: char| is_punctuation(c) || matches!(c, '\u{4e00}'..='\u{9fff}');
        let mut tidy = String::with_capacity(zh.len());
        let mut characters = zh.chars().peekable();
        while let Some(c) = characters.next() {
            let (last, next) = (tidy.chars().last(), characters.peek().copied());
            let goes = c == ' '
                && last.zip(next).is_some_and(|(last, next)| {
                    is_chinese(last) && is_chinese(next)
                        || is_punctuation(last)
                        || is_punctuation(next)
                });
            if !goes {
                tidy.push(c);
            }
        }
        Self { en, zh: tidy }
    }

    /// What stands before the first colon.
    ///
    /// ```
    /// use adamix_record::Text;
    /// let reading = Text::new("W1: of the current gradient", "W1：取决于当前梯度");
    /// assert_eq!(reading.head(), Text::same("W1"));
    /// ```
    pub fn head(&self) -> Self {
        let before = |text: &str, colon| text.split(colon).next().unwrap_or(text).to_owned();
        Self::new(before(&self.en, ": "), before(&self.zh, "："))
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.en.is_empty() && self.zh.is_empty()
    }

    /// The text without white space at its ends.
    pub fn trimmed(&self) -> Self {
        Self::new(self.en.trim(), self.zh.trim())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::same(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::same(text)
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl std::ops::AddAssign for Text {
    fn add_assign(&mut self, more: Self) {
        self.en += &more.en;
        self.zh += &more.zh;
    }
}

impl std::ops::Add for Text {
    type Output = Self;

    fn add(mut self, more: Self) -> Self {
        self += more;
        self
    }
}

/// What can stand in a [`text!`](crate::text): a [`Text`] in its two forms, a
/// number or a name alike in both.
pub trait Bilingual {
    /// As it stands in English.
    fn en(&self) -> String;
    /// As it stands in Chinese.
    fn zh(&self) -> String;
}

impl Bilingual for Text {
    fn en(&self) -> String {
        self.en.clone()
    }

    fn zh(&self) -> String {
        self.zh.clone()
    }
}

impl<T: std::fmt::Display + ?Sized> Bilingual for T {
    fn en(&self) -> String {
        self.to_string()
    }

    fn zh(&self) -> String {
        self.to_string()
    }
}

/// A [`Text`] of an English and a Chinese format string with the same named
/// arguments. An argument that one of the two leaves out does not compile, nor
/// does a missing translation. `name` alone stands for `name = name`.
///
/// ```
/// use adamix_record::{Text, text};
/// let (n, what) = (3, Text::new("seeds", "个随机种子"));
/// let text = text!("{n} {what} ran", "跑完 {n} {what}", n, what = &what);
/// assert_eq!(text, Text::new("3 seeds ran", "跑完 3 个随机种子"));
/// ```
///
/// Chinese is spaced as [`Text::spaced`] says.
///
/// ```compile_fail
/// let n = 3;
/// adamix_record::text!("{n} seeds", "若干随机种子", n);
/// ```
#[macro_export]
macro_rules! text {
    (@value $name:ident) => { $name };
    (@value $name:ident = $value:expr) => { $value };
    ($en:expr, $zh:expr $(,)?) => { $crate::Text::new($en, $zh) };
    ($en:literal, $zh:literal, $($name:ident $(= $value:expr)?),+ $(,)?) => {
        match ($(&$crate::text!(@value $name $(= $value)?),)+) {
            ($($name,)+) => {
                #[allow(unused_imports)]
                use $crate::Bilingual as _;
                $crate::Text::spaced(
                    format!($en, $($name = $name.en()),+),
                    &format!($zh, $($name = $name.zh()),+),
                )
            }
        }
    };
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a text is a string or a table { en = \"…\", zh = \"…\" }"
        )]
        enum Form {
            Same(String),
            Both(Both),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Both {
            en: String,
            zh: String,
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Same(text) => Self::same(text),
            Form::Both(Both { en, zh }) => Self { en, zh },
        })
    }
}
