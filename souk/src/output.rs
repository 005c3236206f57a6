//! Results go to standard output, messages to standard error. A reader that closes the pipe early is no
//! reason to panic: the command just ends.
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes a result to standard output; ends the process quietly when nobody reads any more.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => {
            note(&format!("the result cannot be written: {e}"));
            std::process::exit(crate::failure::exit::IO)
        }
        Ok(()) => {}
    }
}

/// Writes a line to standard output.
pub fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Writes a message for the person at the terminal to standard error. It cannot fail.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether a person watches standard error.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Lays rows out in columns; columns that hold only numbers stand right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    let width = |i: usize| {
        rows.iter().map(|row| row[i].chars().count()).chain([header[i].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let is_number =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || ",.-%".contains(c));
    let right: Vec<_> =
        (0..columns).map(|i| !rows.is_empty() && rows.iter().all(|row| is_number(&row[i]))).collect();
    let render = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(i, cell)| {
            let pad = " ".repeat(widths[i] - cell.chars().count());
            if right[i] { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let header: Vec<_> = header.iter().map(|text| (*text).to_owned()).collect();
    let lines = std::iter::once(render(&header)).chain(rows.iter().map(|row| render(row)));
    lines.map(|line| line + "\n").collect()
}

/// So many of a thing, whose plural takes an s: `1 product`, `2,000 products`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count as u64))
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let rows = vec![vec!["orders".to_owned(), "7".to_owned()], vec!["x".to_owned(), "1,234".to_owned()]];
        assert_eq!(table(&["what", "count"], &rows), "what    count\norders      7\nx       1,234\n");
        assert_eq!(thousands(-1_234_567), "-1,234,567");
        assert_eq!(thousands(12), "12");
        assert_eq!([0, 1, 2_000].map(|n| counted(n, "SKU")), ["0 SKUs", "1 SKU", "2,000 SKUs"]);
    }
}
