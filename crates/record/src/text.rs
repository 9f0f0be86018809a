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

    /// The text without white space at its ends.
    pub fn trimmed(&self) -> Self {
        Self::new(self.en.trim(), self.zh.trim())
    }
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
