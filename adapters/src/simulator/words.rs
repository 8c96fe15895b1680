//! What people tell a simulator: commands by name, as a page's buttons and a client's requests carry them.
//!
//! In text a command is its name and, where it takes a number, a colon and the number: `pay`, `notify_late:60000`.

use serde::Serialize;

/// A command of `C`, and its name.
#[derive(Debug, Clone, Copy)]
pub struct Word<C> {
    /// Lower case with `_`.
    name: &'static str,
    doc: &'static str,
    means: Means<C>,
}

#[derive(Debug, Clone, Copy)]
enum Means<C> {
    Just(C),
    /// What its number is called, and what it makes of it.
    With(&'static str, fn(u64) -> C),
}

impl<C: Copy> Word<C> {
    /// A command without a number.
    #[must_use]
    pub const fn just(name: &'static str, command: C, doc: &'static str) -> Self {
        Self { name, doc, means: Means::Just(command) }
    }

    /// A command that takes a number, which is called `number`.
    #[must_use]
    pub const fn with(name: &'static str, number: &'static str, make: fn(u64) -> C, doc: &'static str) -> Self {
        Self { name, doc, means: Means::With(number, make) }
    }
}

/// A command, for people and programs that are to choose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Lower case with `_`.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// What its number is called; `None`: it takes none.
    pub number: Option<&'static str>,
}

/// What there is to choose from.
#[must_use]
pub fn commands<C>(words: &[Word<C>]) -> Vec<Command> {
    let number = |word: &Word<C>| match word.means {
        Means::Just(_) => None,
        Means::With(number, _) => Some(number),
    };
    words.iter().map(|word| Command { name: word.name, doc: word.doc, number: number(word) }).collect()
}

/// A text is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a command is one of {0}")]
pub struct WordError(String);

/// Reads a command.
///
/// # Errors
/// The text is none of these words; the error names them all.
pub fn read<C: Copy>(words: &[Word<C>], text: &str) -> Result<C, WordError> {
    let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
    let word = words.iter().find(|word| word.name == name);
    let command = match (word.map(|word| word.means), number) {
        (Some(Means::Just(command)), None) => Some(command),
        (Some(Means::With(_, make)), Some(number)) => number.parse().ok().map(make),
        (Some(Means::Just(_)), Some(_)) | (Some(Means::With(..)), None) | (None, _) => None,
    };
    command.ok_or_else(|| {
        let all = commands(words).into_iter().map(|command| match command.number {
            None => command.name.to_owned(),
            Some(number) => format!("{}:<{number}>", command.name),
        });
        WordError(all.collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Told {
        Pay,
        Late(u64),
    }

    const WORDS: [Word<Told>; 2] =
        [Word::just("pay", Told::Pay, "pays"), Word::with("notify_late", "after_ms", Told::Late, "pays, told late")];

    #[test]
    fn commands_are_read_as_they_are_named() {
        // A name alone, a name with its number, and nothing else; the error names what there is.
        for (text, told) in [("pay", Told::Pay), ("notify_late:60000", Told::Late(60_000))] {
            assert_eq!(read(&WORDS, text), Ok(told));
        }
        for text in ["", "Pay", "pay:1", "notify_late", "notify_late:", "notify_late:x", "notify_late:-1", "steal"] {
            let error = read(&WORDS, text).expect_err(text);
            assert_eq!(error.to_string(), "a command is one of pay, notify_late:<after_ms>");
        }
        assert_eq!(commands(&WORDS)[1].number, Some("after_ms"));
    }
}
