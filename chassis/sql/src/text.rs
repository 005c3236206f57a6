//! From the portable text to the database's own: `{name}` becomes a table's real name, `$1` becomes `?1`.
//! Done once per text; what stands in quotes or comments is left alone.
use crate::Error;
use std::collections::HashMap;
use std::sync::Arc;

/// Which real table stands behind each `{name}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Arc<HashMap<String, String>>);

impl Names {
    /// No names: a text with `{…}` is refused.
    pub fn none() -> Self {
        Self::default()
    }

    /// From pairs of name and real table.
    pub fn from_pairs<N: Into<String>, T: Into<String>>(pairs: impl IntoIterator<Item = (N, T)>) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(name, table)| (name.into(), table.into())).collect()))
    }

    /// The real table behind `name`.
    pub fn table(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The database's own text for `sql`.
    pub(crate) fn resolve(&self, sql: &str) -> Result<String, Error> {
        let mut out = String::with_capacity(sql.len() + 16);
        let mut rest = sql;
        while let Some(at) = rest.find(['{', '$', '\'', '"', '-']) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let length = match rest.as_bytes()[0] {
                b'{' => self.replace_name(rest, &mut out).ok_or_else(|| unknown_name(rest))?,
                b'$' => replace_placeholder(rest, &mut out),
                b'-' => copy(rest, comment_length(rest), &mut out),
                quote => copy(rest, quoted_length(rest, char::from(quote)), &mut out),
            };
            rest = &rest[length..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Replaces the `{name}` at the start of `rest`; returns how long it was.
    fn replace_name(&self, rest: &str, out: &mut String) -> Option<usize> {
        let end = rest.find('}')?;
        out.push_str(self.table(&rest[1..end])?);
        Some(end + 1)
    }
}

fn unknown_name(rest: &str) -> Error {
    let name = &rest[..rest.find('}').map_or(rest.len(), |end| end + 1)];
    Error::statement(format!("no table is registered for {name}"))
}

fn replace_placeholder(rest: &str, out: &mut String) -> usize {
    let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
    out.push(if digits == 0 { '$' } else { '?' });
    out.push_str(&rest[1..=digits]);
    1 + digits
}

fn copy(rest: &str, length: usize, out: &mut String) -> usize {
    out.push_str(&rest[..length]);
    length
}

/// The length of a quoted piece with its quotes. A doubled quote ends one piece and begins the next, which
/// comes to the same.
fn quoted_length(rest: &str, quote: char) -> usize {
    rest[1..].find(quote).map_or(rest.len(), |end| end + 2)
}

fn comment_length(rest: &str) -> usize {
    if rest.starts_with("--") { rest.find('\n').unwrap_or(rest.len()) } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_placeholders_are_replaced_outside_of_quotes_and_comments_only() {
        let names = Names::from_pairs([("orders", "orders__2"), ("name", "orders__2")]);
        for (portable, own) in [
            (
                "SELECT a - b FROM {orders} WHERE id = $1 AND n > $12",
                "SELECT a - b FROM orders__2 WHERE id = ?1 AND n > ?12",
            ),
            ("CREATE INDEX {name}_by_x ON {name} (x)", "CREATE INDEX orders__2_by_x ON orders__2 (x)"),
            ("SELECT '$1 {x} it''s', \"a$2\", $2", "SELECT '$1 {x} it''s', \"a$2\", ?2"),
            ("SELECT 1 -- {x} $1 isn't\nFROM {orders}", "SELECT 1 -- {x} $1 isn't\nFROM orders__2"),
            ("SELECT 'ü' || $1 || '€'", "SELECT 'ü' || ?1 || '€'"),
        ] {
            assert_eq!(names.resolve(portable).expect("valid"), own);
        }
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = Names::none().resolve("SELECT 1 FROM {orders} x").expect_err("nobody knows it");
        assert!(error.to_string().contains("{orders}"), "{error}");
    }
}
