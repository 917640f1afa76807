//! Keywords: enums whose values the matrix file, the record and pages all name by the same word.

/// A value that the matrix file names by a word.
pub(crate) trait Keyword: Copy + 'static {
    /// Every value, in the order in which hints list them.
    const KEYWORDS: &'static [Self];

    /// The word.
    fn keyword(self) -> &'static str;
}

/// Declares an enum with the word of each value, so that file, record and pages cannot drift apart.
macro_rules! keywords {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$attribute])*
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value.
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
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use keywords;
