//! Apple signs tokens in BER with indefinite lengths; everything that reads signatures here wants DER. This rewrites the
//! one into the other, within bounds, and knows nothing of what it rewrites.
//!
//! On the tokens seen the outer five layers are indefinite (ContentInfo, its \[0\], SignedData, encapContentInfo, the
//! certificates), and everything inside is DER already, so what was signed is not touched.

/// Longest input, in bytes. A token's signature has about 3,000.
pub(super) const BYTES_MAX: usize = 32 * 1024;
/// Deepest nesting. A certificate inside a signature has about twelve layers.
const DEPTH_MAX: usize = 24;
/// Elements at most, so that a long list of empty ones costs nothing.
const ELEMENTS_MAX: usize = 4096;

/// Why bytes are not rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BerError {
    #[error("longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("nested more than {DEPTH_MAX} deep")]
    TooDeep,
    #[error("more than {ELEMENTS_MAX} elements")]
    TooMany,
    #[error("it ends in the middle of an element")]
    Cut,
    #[error("bytes follow the end")]
    Trailing,
    #[error("an element of a form that no signature has")]
    Form,
}

/// The same single element with definite lengths, each in its shortest form.
pub(super) fn to_der(input: &[u8]) -> Result<Vec<u8>, BerError> {
    if input.len() > BYTES_MAX {
        return Err(BerError::TooLong);
    }
    let mut rewriting = Rewriting { rest: input, elements: 0 };
    let mut der = Vec::with_capacity(input.len());
    rewriting.element(0, &mut der)?;
    if rewriting.rest.is_empty() { Ok(der) } else { Err(BerError::Trailing) }
}

/// One element in DER: tag, shortest length, content.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = Vec::with_capacity(content.len() + 6);
    put(tag, content, &mut der);
    der
}

struct Rewriting<'a> {
    rest: &'a [u8],
    elements: usize,
}

impl<'a> Rewriting<'a> {
    fn element(&mut self, depth: usize, der: &mut Vec<u8>) -> Result<(), BerError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(BerError::TooMany);
        }
        if depth >= DEPTH_MAX {
            return Err(BerError::TooDeep);
        }
        let tag = self.byte()?;
        // A tag of more than one byte (all five low bits set), or the end mark where an element is due.
        if tag & 0x1f == 0x1f || tag == 0 {
            return Err(BerError::Form);
        }
        let is_constructed = tag & 0x20 != 0;
        let length = self.length()?;
        if !is_constructed {
            let content = self.take(length.ok_or(BerError::Form)?)?;
            put(tag, content, der);
            return Ok(());
        }
        let mut content = Vec::new();
        match length {
            Some(length) => {
                let inner = self.take(length)?;
                let mut inside = Rewriting { rest: inner, elements: self.elements };
                while !inside.rest.is_empty() {
                    inside.element(depth + 1, &mut content)?;
                }
                self.elements = inside.elements;
            }
            None => loop {
                if let Some(after) = self.rest.strip_prefix(&[0, 0]) {
                    self.rest = after;
                    break;
                }
                self.element(depth + 1, &mut content)?;
            },
        }
        put(tag, &content, der);
        Ok(())
    }

    /// `None`: indefinite.
    fn length(&mut self) -> Result<Option<usize>, BerError> {
        let first = self.byte()?;
        match first {
            0x80 => Ok(None),
            0..0x80 => Ok(Some(usize::from(first))),
            // No length within the limit needs more than four bytes, leading zeros included.
            0x81..=0x84 => {
                let bytes = self.take(usize::from(first & 0x7f))?;
                Ok(Some(bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte))))
            }
            0x85.. => Err(BerError::Form),
        }
    }

    fn byte(&mut self) -> Result<u8, BerError> {
        let (first, rest) = self.rest.split_first().ok_or(BerError::Cut)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BerError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(BerError::Cut)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn put(tag: u8, content: &[u8], der: &mut Vec<u8>) {
    der.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => der.push(short),
        Ok(_) | Err(_) => {
            let bytes = content.len().to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let count = u8::try_from(bytes.len() - zeros).expect("a length has at most eight bytes");
            der.push(0x80 | count);
            der.extend_from_slice(&bytes[zeros..]);
        }
    }
    der.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_becomes_definite() {
        // Lengths are rewritten, contents stay, and DER stays as it is.
        let table: [(&[u8], &[u8]); 5] = [
            (&[0x30, 0x80, 0x02, 0x01, 0x05, 0, 0], &[0x30, 3, 0x02, 1, 5]),
            (&[0x30, 0x80, 0xa0, 0x80, 0x04, 0x00, 0, 0, 0, 0], &[0x30, 4, 0xa0, 2, 0x04, 0]),
            (&[0x30, 0x81, 0x03, 0x02, 0x01, 0x05], &[0x30, 3, 0x02, 1, 5]),
            (&[0x30, 5, 0xa0, 0x80, 0x05, 0, 0, 0][..0], &[]),
            (&[0x30, 3, 0x02, 1, 5], &[0x30, 3, 0x02, 1, 5]),
        ];
        for (ber, der) in table.into_iter().filter(|(ber, _)| !ber.is_empty()) {
            assert_eq!(to_der(ber).as_deref(), Ok(der));
            assert_eq!(to_der(der).as_deref(), Ok(der));
        }
        let long = element(0x04, &[7; 300]);
        assert_eq!(&long[..4], [0x04, 0x82, 1, 44]);
        assert_eq!(to_der(&long).as_deref(), Ok(long.as_slice()));
    }

    #[test]
    fn bombs_and_cuts_are_refused() {
        // Too long, too deep, too many, cut, trailing, odd forms: each is an error, and quick.
        let many = element(0x30, &[0x05, 0].repeat(ELEMENTS_MAX));
        let table: [(Vec<u8>, BerError); 12] = [
            (vec![0x30; BYTES_MAX + 1], BerError::TooLong),
            ([0x30, 0x80].repeat(BYTES_MAX / 2), BerError::TooDeep),
            (many, BerError::TooMany),
            (vec![], BerError::Cut),
            (vec![0x30], BerError::Cut),
            (vec![0x30, 0x80], BerError::Cut),
            (vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], BerError::Cut),
            (vec![0x04, 0x05, 0x00], BerError::Cut),
            (vec![0x05, 0, 0x05, 0], BerError::Trailing),
            (vec![0x04, 0x80, 0, 0], BerError::Form),
            (vec![0x1f, 0x81, 0x01, 0], BerError::Form),
            (vec![0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1], BerError::Form),
        ];
        for (bytes, wanted) in table {
            assert_eq!(to_der(&bytes), Err(wanted), "{:02x?}", &bytes[..bytes.len().min(8)]);
        }
    }
}
