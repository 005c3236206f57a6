//! What a story shows of an answer, and whether an answer is like it.
//!
//! Everything is exact but for three signs: `…` in a text is any text and, alone, any value; `"…": "…"` in an object
//! stands for fields that are not shown; `$NAME` at a text's end is noted under that name where it first occurs, and
//! wherever else it stands it is what was noted.
use super::shell::name_at;
use super::tree::Tree;
use std::collections::BTreeMap;

/// What was noted, by name.
pub type Names = BTreeMap<String, String>;

/// Any text; alone, any value.
const ANY: &str = "…";
/// A noted value that is shorter may be a coincidence.
const TELLING_MIN: usize = 12;

/// The differences, one a line; none when they agree. What is noted is added to the names.
pub fn differences(shown: &Tree, answered: &Tree, names: &mut Names) -> Vec<String> {
    let mut found = Vec::new();
    compare("", shown, answered, names, &mut found);
    found
}

fn compare(at: &str, shown: &Tree, answered: &Tree, names: &mut Names, found: &mut Vec<String>) {
    let here = if at.is_empty() { "the answer" } else { at };
    match (shown, answered) {
        (Tree::Text(pattern), _) if pattern == ANY => {}
        (Tree::Text(pattern), Tree::Text(text)) => {
            if let Err(why) = matches(pattern, text, names) {
                found.push(format!("{here}: {why}"));
            }
        }
        (Tree::Object(fields), Tree::Object(there)) => {
            for (name, value) in fields.iter().filter(|(name, _)| name != ANY) {
                match answered.field(name) {
                    Some(there) => compare(&below(at, name), value, there, names, found),
                    None => found.push(format!("{}: shown as {value}, and not there", below(at, name))),
                }
            }
            let open = fields.iter().any(|(name, _)| name == ANY);
            let more = there.iter().filter(|(name, _)| !open && shown.field(name).is_none());
            found.extend(more.map(|(name, value)| format!("{}: {value} is not shown", below(at, name))));
        }
        (Tree::List(items), Tree::List(there)) => {
            if items.len() != there.len() {
                let (shown, answered) = (items.len(), there.len());
                found.push(format!("{here}: {shown} shown, {answered} answered"));
            }
            for (n, (item, there)) in items.iter().zip(there).enumerate() {
                compare(&format!("{at}[{n}]"), item, there, names, found);
            }
        }
        (shown, answered) => {
            if shown != answered {
                found.push(format!("{here}: shown as {shown}, answered {answered}"));
            }
        }
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Whether a text is like a pattern; notes it when the pattern is a new name.
fn matches(pattern: &str, text: &str, names: &mut Names) -> Result<(), String> {
    if let Some((before, name)) = new_name(pattern, names) {
        let before = with_names(before, names)?;
        let value = text.strip_prefix(&before).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("nothing to note as ${name} in {text:?}"))?;
        names.insert(name.to_owned(), value.to_owned());
        return Ok(());
    }
    let meant = with_names(pattern, names)?;
    if fits(&meant, text) {
        return Ok(());
    }
    let meant = if meant == *pattern { String::new() } else { format!(", that is {meant:?}") };
    Err(format!("shown as {pattern:?}{meant}, answered {text:?}"))
}

/// The name at a pattern's end that nothing was noted under, and what stands before it.
fn new_name<'p>(pattern: &'p str, names: &Names) -> Option<(&'p str, &'p str)> {
    let (before, name) = pattern.rsplit_once('$')?;
    let is_new = !name.is_empty() && name_at(name) == name && !names.contains_key(name);
    is_new.then_some((before, name))
}

fn with_names(pattern: &str, names: &Names) -> Result<String, String> {
    let mut meant = String::new();
    let mut rest = pattern;
    while let Some(dollar) = rest.find('$') {
        let name = name_at(&rest[dollar + 1..]);
        meant.push_str(&rest[..dollar]);
        match name {
            "" => meant.push('$'),
            name => meant.push_str(names.get(name).ok_or(format!("nothing was noted as ${name} before"))?),
        }
        rest = &rest[dollar + 1 + name.len()..];
    }
    meant.push_str(rest);
    Ok(meant)
}

/// Whether a text is the pattern's parts with any text in between.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANY);
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What a story shows of this answer when it is told anew: the fields it showed, in its order, and its signs
/// wherever they hold. What it did not show before is shown whole, with signs for what differs from run to run.
pub fn updated(shown: &Tree, answered: &Tree, names: &mut Names) -> Tree {
    match (shown, answered) {
        (Tree::Text(pattern), _) if pattern == ANY => shown.clone(),
        (Tree::Text(pattern), Tree::Text(text)) if matches(pattern, text, names).is_ok() => shown.clone(),
        (Tree::Object(fields), Tree::Object(there)) => {
            let open = fields.iter().any(|(name, _)| name == ANY);
            let mut all = Vec::new();
            for (name, value) in fields {
                match answered.field(name) {
                    Some(there) => all.push((name.clone(), updated(value, there, names))),
                    None if name == ANY => all.push((name.clone(), value.clone())),
                    None => {}
                }
            }
            let more = there.iter().filter(|(name, _)| !open && shown.field(name).is_none());
            all.extend(more.map(|(name, value)| (name.clone(), signed(value, names))));
            Tree::Object(all)
        }
        (Tree::List(items), Tree::List(there)) => {
            let item = |(n, there): (usize, &Tree)| match items.get(n) {
                Some(item) => updated(item, there, names),
                None => signed(there, names),
            };
            Tree::List(there.iter().enumerate().map(item).collect())
        }
        (_, answered) => signed(answered, names),
    }
}

/// An answer with signs for what differs from run to run.
pub fn signed(answered: &Tree, names: &Names) -> Tree {
    match answered {
        Tree::Text(text) => Tree::Text(signed_text(text, names)),
        Tree::List(items) => Tree::List(items.iter().map(|item| signed(item, names)).collect()),
        Tree::Object(fields) => {
            Tree::Object(fields.iter().map(|(name, value)| (name.clone(), signed(value, names))).collect())
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) => answered.clone(),
    }
}

fn signed_text(text: &str, names: &Names) -> String {
    let mut text = text.to_owned();
    for (name, value) in names.iter().filter(|(_, value)| value.len() >= TELLING_MIN) {
        text = text.replace(value, &format!("${name}"));
    }
    let is_apart = |c: char| !(c.is_ascii_alphanumeric() || "_:.-+".contains(c));
    let words: Vec<&str> = text.split(is_apart).filter(|word| differs(word)).collect();
    let mut signed = text.clone();
    words.iter().for_each(|word| signed = signed.replace(word, ANY));
    signed
}

/// Whether a word is an id, a time, a hash or a token.
fn differs(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_id = word.rsplit_once('_').is_some_and(|(_, id)| {
        id.len() == 26 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    });
    let is_time = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[0].is_ascii_digit();
    let is_long = bytes.len() >= 32 && bytes.iter().any(u8::is_ascii_digit);
    is_id || is_time || is_long
}
