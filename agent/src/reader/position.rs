//! From byte offsets, which the parser speaks, to lines and columns, which people do.

/// A place in a text; line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Finds positions in one text in bounded time each, also when the text is a single line of megabytes.
#[derive(Debug)]
pub struct Positions<'a> {
    text: &'a str,
    /// The first character at or after each multiple of [`STEP`]: its offset and position.
    marks: Vec<(usize, Position)>,
}

impl<'a> Positions<'a> {
    /// Reads `text` once.
    pub fn new(text: &'a str) -> Positions<'a> {
        let mut marks = Vec::with_capacity(text.len() / STEP + 1);
        let mut position = Position { line: 1, column: 1 };
        marks.push((0, position));
        for (offset, c) in text.char_indices() {
            while offset >= marks.len() * STEP {
                marks.push((offset, position));
            }
            position = position.after(c);
        }
        Positions { text, marks }
    }

    /// The position of the character that starts at, or contains, byte `offset`; past the end, the end.
    pub fn at(&self, offset: usize) -> Position {
        let mut mark = (offset / STEP).min(self.marks.len() - 1);
        // A mark stands on the first character at or after its multiple of STEP, which may be behind `offset`.
        if self.marks[mark].0 > offset {
            mark -= 1;
        }
        let (start, mut position) = self.marks[mark];
        for (at, c) in self.text[start..].char_indices() {
            if start + at + c.len_utf8() > offset {
                break;
            }
            position = position.after(c);
        }
        position
    }
}

impl Position {
    fn after(self, c: char) -> Position {
        match c {
            '\n' => Position { line: self.line + 1, column: 1 },
            _ => Position { line: self.line, column: self.column + 1 },
        }
    }
}

/// Bytes between two marks.
const STEP: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_counting_from_the_start() {
        let text = "aé\n€€ 𝄞x\r\n".repeat(200) + &"ü".repeat(2000);
        let positions = Positions::new(&text);
        let mut expected = Position { line: 1, column: 1 };
        for (offset, c) in text.char_indices() {
            for inside in 0..c.len_utf8() {
                assert_eq!(positions.at(offset + inside), expected, "byte {}", offset + inside);
            }
            expected = expected.after(c);
        }
        assert_eq!(positions.at(text.len()), expected);
        assert_eq!(positions.at(text.len() + 1000), expected);
    }

    #[test]
    fn an_empty_text_has_a_first_position() {
        assert_eq!(Positions::new("").at(0), Position { line: 1, column: 1 });
    }
}
