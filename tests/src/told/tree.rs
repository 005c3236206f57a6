//! JSON that keeps the order of its fields, so that an answer can be written as its author wanted it.
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A line of a story is no longer than this when its value can be broken.
const WIDTH_MAX: usize = 100;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    /// In the order in which they stand.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads JSON; an empty text is null, as an answer without a body is.
    pub fn parse(text: &str) -> Result<Tree, String> {
        if text.trim().is_empty() {
            return Ok(Tree::Null);
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The field of an object.
    pub fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Object(fields) => fields.iter().find(|(own, _)| own == name).map(|(_, value)| value),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) => None,
        }
    }

    /// As a story shows it: short values on one line, longer ones broken.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.put(0, 0, &mut out);
        out
    }

    /// `column` is where the value begins, `indent` where its closing bracket stands.
    fn put(&self, column: usize, indent: usize, out: &mut String) {
        let flat = self.to_string();
        let fits = column + flat.chars().count() < WIDTH_MAX;
        match self {
            Tree::List(items) if !fits => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    out.push_str(if n == 0 { "\n" } else { ",\n" });
                    out.push_str(&" ".repeat(indent + 2));
                    item.put(indent + 2, indent + 2, out);
                }
                out.push_str(&format!("\n{}]", " ".repeat(indent)));
            }
            Tree::Object(fields) if !fits => {
                out.push('{');
                for (n, (name, value)) in fields.iter().enumerate() {
                    let name = quoted(name);
                    out.push_str(if n == 0 { "\n" } else { ",\n" });
                    out.push_str(&format!("{}{name}: ", " ".repeat(indent + 2)));
                    value.put(indent + 4 + name.chars().count(), indent + 2, out);
                }
                out.push_str(&format!("\n{}}}", " ".repeat(indent)));
            }
            Tree::Null
            | Tree::Bool(_)
            | Tree::Number(_)
            | Tree::Text(_)
            | Tree::List(_)
            | Tree::Object(_) => out.push_str(&flat),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// On one line.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Null => f.write_str("null"),
            Tree::Bool(yes) => write!(f, "{yes}"),
            Tree::Number(number) => f.write_str(number),
            Tree::Text(text) => f.write_str(&quoted(text)),
            Tree::List(items) => {
                let items: Vec<_> = items.iter().map(Tree::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Tree::Object(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| format!("{}: {value}", quoted(name))).collect();
                write!(f, "{{{}}}", fields.join(", "))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reads)
    }
}

struct Reads;

impl<'de> Visitor<'de> for Reads {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(yes))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(serde_json::Value::from(number).to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Tree::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut all: Vec<(String, Tree)> = Vec::new();
        while let Some((name, value)) = fields.next_entry::<String, Tree>()? {
            if all.iter().any(|(own, _)| *own == name) {
                return Err(A::Error::custom(format!("the field {name} stands twice")));
            }
            all.push((name, value));
        }
        Ok(Tree::Object(all))
    }
}
