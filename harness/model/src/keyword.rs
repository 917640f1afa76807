//! Keywords: enums whose values the matrix file, the record and pages all name by the same word, and types that the
//! record has as a text.

/// A value that the matrix file names by a word.
pub(crate) trait Keyword: Copy + 'static {
    /// Every value, in the order in which hints list them.
    const KEYWORDS: &'static [Self];

    /// The word.
    fn keyword(self) -> &'static str;
}

/// Declares an enum, a value a line: its name, its word, and what it is. So file, record and pages cannot drift apart.
macro_rules! keywords {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$mark:meta])* $variant:ident = $word:literal, $doc:literal;)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$mark])* #[doc = $doc] #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it, in the matrix file, the record and on pages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::keyword::Keyword for $name {
            const KEYWORDS: &'static [Self] = Self::ALL;

            fn keyword(self) -> &'static str {
                self.name()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|one| one.name() == word);
                found.ok_or_else(|| format!("unknown word `{word}`"))
            }
        }
    };
}
pub(crate) use keywords;

/// Makes the record have a type as the text that its `Display` writes and its `FromStr` reads; the type says
/// `#[serde(into = "String", try_from = "String")]`.
macro_rules! recorded_as_text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}
pub(crate) use recorded_as_text;
