//! The little of a shell and of curl that a story may use, so that what is tested is what a reader pastes.
use super::golden::Names;
use http::Method;

/// A word of a command: text, and the names of variables in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

/// One `curl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where it begins in the file, from 1.
    pub line: usize,
    pub method: Method,
    /// What stands after `$SOUK`.
    pub path: Word,
    pub headers: Vec<(String, Word)>,
    /// JSON.
    pub body: Option<Word>,
}

/// What stands in a `sh` block, which begins after this line of the file. A refusal names its line.
pub fn commands(lines: &[&str], before: usize) -> Result<Vec<Command>, (usize, String)> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let begins = before + at + 1;
        let refuse = |what: String| (begins, what);
        let (text, used) = joined(&lines[at..]);
        at += used;
        if text.trim().is_empty() {
            continue;
        }
        let (text, here) = match text.split_once("<<") {
            Some((text, mark)) => (text.to_owned(), Some(mark.trim().to_owned())),
            None => (text, None),
        };
        let document = match here {
            Some(mark) => {
                let is_mark = !mark.is_empty() && mark.bytes().all(|b| b.is_ascii_uppercase());
                let end = lines[at..].iter().position(|line| *line == mark);
                let end = end.filter(|_| is_mark);
                let end = end.ok_or_else(|| refuse(format!("no end of the text after <<{mark}")))?;
                let body = lines[at..at + end].join("\n");
                at += end + 1;
                Some(expanded(&body))
            }
            None => None,
        };
        let words = words(&text).map_err(refuse)?;
        all.push(command(begins, words, document).map_err(refuse)?);
    }
    Ok(all)
}

/// A line together with those that it goes on in, and how many they are.
fn joined(lines: &[&str]) -> (String, usize) {
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        match line.strip_suffix('\\') {
            Some(more) => text.push_str(more),
            None => {
                text.push_str(line);
                return (text, n + 1);
            }
        }
    }
    (text, lines.len())
}

/// Words as a shell splits them, of which only quotes and variables are understood.
fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut word = Word::default();
        while let Some(first) = rest.chars().next().filter(|c| !c.is_whitespace()) {
            let (taken, length) = match first {
                '\'' | '"' => {
                    let end = rest[1..].find(first).ok_or("a quote is not closed")?;
                    let inside = &rest[1..=end];
                    if first == '"' && inside.contains(['\\', '`']) {
                        return Err(format!("only variables are understood in double quotes, not {inside}"));
                    }
                    let text = Word(vec![Piece::Text(inside.to_owned())]);
                    (if first == '"' { expanded(inside) } else { text }, end + 2)
                }
                '|' | '&' | ';' | '<' | '>' | '`' | '(' | ')' | '#' | '*' | '~' | '{' | '\\' => {
                    return Err(format!("{first} is more of a shell than a story may use"));
                }
                _ => {
                    let stops = |c: char| c.is_whitespace() || "'\"|&;<>`()#*~{\\".contains(c);
                    let end = rest.find(stops).unwrap_or(rest.len());
                    (expanded(&rest[..end]), end)
                }
            };
            word.0.extend(taken.0);
            rest = &rest[length..];
        }
        all.push(word);
        rest = rest.trim_start();
    }
    Ok(all)
}

/// Text with its variables found: `$` and capitals.
fn expanded(text: &str) -> Word {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let name = name_at(&rest[dollar + 1..]);
        let end = if name.is_empty() { dollar + 1 } else { dollar };
        pieces.push(Piece::Text(rest[..end].to_owned()));
        if !name.is_empty() {
            pieces.push(Piece::Name(name.to_owned()));
        }
        rest = &rest[dollar + 1 + name.len()..];
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Word(pieces)
}

/// The name of a variable that stands at the beginning of this text; empty when there is none.
pub fn name_at(text: &str) -> &str {
    let ends = |c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let name = &text[..text.find(ends).unwrap_or(text.len())];
    if name.starts_with(|c: char| c.is_ascii_uppercase()) { name } else { "" }
}

fn command(line: usize, words: Vec<Word>, document: Option<Word>) -> Result<Command, String> {
    let mut words = words.into_iter();
    let program = words.next().and_then(|word| word.plain()).unwrap_or_default();
    if program != "curl" {
        return Err(format!("a story uses curl alone, not {program:?}"));
    }
    let (mut method, mut path, mut headers, mut body) = (None, None, Vec::new(), None);
    let mut document = document;
    while let Some(word) = words.next() {
        let flag = word.plain().filter(|word| word.starts_with('-')).unwrap_or_default();
        let mut value = || words.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "-s" => {}
            "-X" => {
                let name = value()?.plain().unwrap_or_default();
                let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&name.as_str());
                let parsed = known.then(|| Method::from_bytes(name.as_bytes()).ok()).flatten();
                method = Some(parsed.ok_or(format!("-X {name:?} is no method"))?);
            }
            "-H" => headers.push(value()?.header()?),
            "--json" => {
                let json = value()?;
                let is_document = json.plain().as_deref() == Some("@-");
                let missing = "--json @- needs a text after <<";
                body = Some(if is_document { document.take().ok_or(missing)? } else { json });
            }
            "" if path.is_none() => path = Some(word.below_souk()?),
            _ => return Err(format!("curl {} is more than a story may use", word.shown())),
        }
    }
    if document.is_some() {
        return Err("the text after << is used by nothing".to_owned());
    }
    let default = if body.is_some() { Method::POST } else { Method::GET };
    let path = path.ok_or("curl needs a URL that begins with $SOUK")?;
    Ok(Command { line, method: method.unwrap_or(default), path, headers, body })
}

impl Word {
    /// Its text, when no variable stands in it.
    fn plain(&self) -> Option<String> {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Name(_) => None,
        });
        texts.collect()
    }

    fn shown(&self) -> String {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(name) => format!("${name}"),
        });
        texts.collect()
    }

    /// `Name: value`.
    fn header(&self) -> Result<(String, Word), String> {
        let refuse = || format!("{:?} is no header", self.shown());
        let Some(Piece::Text(first)) = self.0.first() else { return Err(refuse()) };
        let (name, value) = first.split_once(": ").ok_or_else(refuse)?;
        let mut pieces = vec![Piece::Text(value.to_owned())];
        pieces.extend_from_slice(&self.0[1..]);
        Ok((name.to_ascii_lowercase(), Word(pieces)))
    }

    /// The part of a URL after `$SOUK`.
    fn below_souk(&self) -> Result<Word, String> {
        let mut pieces = self.0.iter().filter(|piece| **piece != Piece::Text(String::new()));
        match pieces.next() {
            Some(Piece::Name(name)) if name == "SOUK" => Ok(Word(pieces.cloned().collect())),
            _ => Err(format!("{:?} does not begin with $SOUK", self.shown())),
        }
    }

    /// The text with every variable replaced.
    pub fn said(&self, names: &Names) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(own) => text.push_str(own),
                Piece::Name(name) => {
                    text.push_str(names.get(name).ok_or(format!("nothing was noted as ${name} before"))?);
                }
            }
        }
        Ok(text)
    }
}
