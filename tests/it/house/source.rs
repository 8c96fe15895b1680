//! The tree as text: files, and views of Rust code in which comments, strings or tests are blanked.

use std::ops::Range;
use std::path::Path;

/// A text file of the tree.
pub struct Source {
    /// Where, from the root, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// Whether another file takes it in for tests only: `#[cfg(test)] mod name;`.
    is_for_tests: bool,
}

/// A place where a rule is broken: file, line, what is there.
pub type Finding = String;

impl Source {
    /// A file that is not there, for showing that a rule can fail.
    pub fn imagined(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), is_for_tests: false }
    }

    pub fn is_rust(&self) -> bool {
        self.has_end("rs")
    }

    pub fn has_end(&self, end: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == end)
    }

    pub fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether the whole file is test code: by who takes it in, or a folder `tests`, a file `tests.rs`, `…_tests.rs`.
    pub fn is_test(&self) -> bool {
        self.is_for_tests
            || self.path.split('/').any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
    }

    /// The code: comments, strings and unit tests are blank, so that offsets and lines stay.
    pub fn code(&self) -> String {
        without_tests(&blanked(&self.text, true))
    }

    /// The code with its strings: comments and unit tests are blank.
    pub fn code_and_strings(&self) -> String {
        let tests = test_spans(&blanked(&self.text, true));
        blank_spans(&blanked(&self.text, false), &tests)
    }

    /// The code, all white space left out, so that a line break hides nothing.
    pub fn code_without_spaces(&self) -> String {
        self.code().split_whitespace().collect()
    }

    /// The same with unit tests.
    pub fn all_code_without_spaces(&self) -> String {
        blanked(&self.text, true).split_whitespace().collect()
    }

    /// What is wrong at an offset, as a person wants to read it.
    pub fn at(&self, offset: usize, what: &str) -> Finding {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

/// All text files of the tree that are kept under version control.
pub fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace");
    let mut sources = Vec::new();
    walk(root, "", &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let for_tests: Vec<String> = sources.iter().flat_map(modules_for_tests).collect();
    for source in &mut sources {
        let own = source.path.trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
        source.is_for_tests = for_tests.iter().any(|module| own == *module || own.starts_with(&format!("{module}/")));
    }
    assert!(sources.iter().any(|source| source.path == "engine/src/lib.rs"), "the tree is read from its root");
    sources
}

/// The modules, as paths without an end, that a file takes in for its tests only.
fn modules_for_tests(source: &Source) -> Vec<String> {
    let end = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_root = ["/mod.rs", "/lib.rs", "/main.rs"].iter().any(|root| source.path.ends_with(root));
    let folder = if is_root { end } else { source.path.trim_end_matches(".rs") };
    let code = blanked(&source.text, true);
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|rest| {
        let (declaration, _) = rest.split_once([';', '{'])?;
        let name = declaration.trim().rsplit_once("mod ")?.1;
        Some(format!("{folder}/{name}"))
    });
    declared.filter(|_| source.is_rust()).collect()
}

fn walk(folder: &Path, name: &str, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the tree is readable") {
        let entry = entry.expect("the tree is readable");
        let file_name = entry.file_name().into_string().expect("our names are text");
        let hidden = file_name.starts_with('.') && file_name != ".ci";
        if hidden || ["target", "maxpay-data", "node_modules", "proptest-regressions"].contains(&file_name.as_str()) {
            continue;
        }
        let path = if name.is_empty() { file_name } else { format!("{name}/{file_name}") };
        if entry.file_type().expect("the tree is readable").is_dir() {
            walk(&entry.path(), &path, sources);
        } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
            sources.push(Source { path, text, is_for_tests: false });
        }
    }
}

/// The offsets of a word in code: not as a part of a longer one.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).and_then(|before| code.as_bytes().get(before));
        !is_part(before) && !is_part(code.as_bytes().get(at + word.len()))
    })
}

/// Where the bracket that opens at `open` closes, in code without strings.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

fn without_tests(code: &str) -> String {
    blank_spans(code, &test_spans(code))
}

/// What stands behind `#[cfg(test)]`, to the end of its block.
fn test_spans(code: &str) -> Vec<Range<usize>> {
    let spans = code.match_indices("#[cfg(test)]").map(|(start, _)| {
        let ends_at = code[start..].find(['{', ';']).map_or(code.len(), |end| start + end);
        let is_block = code.as_bytes().get(ends_at) == Some(&b'{');
        start..if is_block { closing(code, ends_at) + 1 } else { ends_at }
    });
    spans.collect()
}

fn blank_spans(code: &str, spans: &[Range<usize>]) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for span in spans {
        blank(&mut bytes, span.clone());
    }
    String::from_utf8(bytes).expect("whole characters become spaces")
}

fn blank(bytes: &mut [u8], span: Range<usize>) {
    let end = span.end.min(bytes.len());
    for byte in &mut bytes[span.start..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Rust text with comments, and if asked the insides of strings, blanked.
fn blanked(text: &str, strings_too: bool) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < text.len() {
        let token = Token::at(text, at);
        let (len, is_blank) = match token {
            Token::Code => (1, false),
            Token::Comment(len) => (len, true),
            Token::Text(len) => (len, strings_too),
        };
        if is_blank {
            blank(&mut bytes, at..at + len);
        }
        at += len;
    }
    String::from_utf8(bytes).expect("whole characters become spaces")
}

/// What begins at a place of a Rust file, and its length in bytes.
enum Token {
    /// One byte of anything else.
    Code,
    Comment(usize),
    /// A string or a character.
    Text(usize),
}

impl Token {
    fn at(text: &str, at: usize) -> Self {
        let rest = &text.as_bytes()[at..];
        match rest {
            [b'/', b'/', ..] => Self::Comment(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => Self::Comment(comment_len(rest)),
            [b'"', ..] => Self::Text(string_len(rest)),
            [b'r', b'"' | b'#', ..] if !is_in_word(text, at) => raw_string_len(rest).map_or(Self::Code, Self::Text),
            [b'\'', b'\\', _, tail @ ..] => {
                Self::Text(tail.iter().position(|byte| *byte == b'\'').map_or(rest.len(), |quote| quote + 4))
            }
            // A character if a quote follows it, else a lifetime.
            [b'\'', ..] => {
                let len = text[at + 1..].chars().next().map_or(0, char::len_utf8);
                if text[at + 1 + len..].starts_with('\'') { Self::Text(len + 2) } else { Self::Code }
            }
            _ => Self::Code,
        }
    }
}

fn is_in_word(text: &str, at: usize) -> bool {
    // `br"…"` is a raw string too.
    let before = text[..at].strip_suffix('b').unwrap_or(&text[..at]);
    before.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_')
}

fn comment_len(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = &rest[2 + hashes..];
    let found = inside.windows(end.len()).position(|window| window == end.as_bytes());
    Some(found.map_or(rest.len(), |at| 2 + hashes + at + end.len()))
}

#[test]
fn views_of_code_blank_what_they_say() {
    // Comments, strings of every kind and test blocks vanish; lifetimes, code and line numbers stay.
    let text = r##"a // b
/* c /* d */ e */ f "g \" h" r#"i " j"# 'k' '\'' b"l" '\u{1F600}' 'é'
fn m<'n>(o: &'n str) {}
#[cfg(test)]
mod p { fn q() { "}" } }
r // s"##;
    let source = Source::imagined("x.rs", text);
    let code = source.code();
    let kept: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(kept, "a f b fn m<'n>(o: &'n str) {} r");
    assert_eq!((code.len(), code.lines().count()), (text.len(), text.lines().count()));
    assert!(source.code_and_strings().contains("g \\\" h") && !source.code_and_strings().contains("fn q"));
}
