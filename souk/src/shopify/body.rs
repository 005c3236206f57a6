//! A product's text: HTML in files, plain text in the shop. A page can then show it without trusting it.
//!
//! `to_text(to_html(text))` is `text`, byte for byte: what is exported and imported again has not changed.

/// Elements whose content is not for readers.
const UNREADABLE: &[&str] = &["script", "style", "template", "head"];

/// Elements that stand apart from what is around them.
const PARAGRAPHS: &[&str] = &[
    "p",
    "div",
    "ul",
    "ol",
    "table",
    "section",
    "article",
    "blockquote",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
];

/// Elements that begin on a line of their own.
const LINES: &[&str] = &["li", "tr", "dt", "dd", "hr"];

/// The longest name of an entity that is looked up, `&` and `;` not counted.
const ENTITY_BYTES_MAX: usize = 10;

/// The plain text of a body. Without a single tag it is taken as it is, line breaks and all.
pub(super) fn to_text(html: &str) -> String {
    let is_plain = !html.match_indices('<').any(|(at, _)| tag(&html[at..]).is_some());
    let mut text = Text { is_plain, ..Text::default() };
    let mut rest = html;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '<' => text.markup(rest),
            '&' => text.entity(rest),
            _ => None,
        };
        let length = taken.unwrap_or_else(|| text.character(next));
        rest = &rest[length..];
    }
    text.out
}

/// The text so far, and the space that stands before whatever comes next.
#[derive(Default)]
struct Text {
    out: String,
    is_plain: bool,
    pending: Gap,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Breaks(usize),
}

impl Text {
    /// Takes the element or comment at the start of `rest` and says how long it is.
    fn markup(&mut self, rest: &str) -> Option<usize> {
        let tag = tag(rest)?;
        if !tag.closes && UNREADABLE.contains(&tag.name.as_str()) {
            let end = format!("</{}", tag.name);
            let at = find_ignoring_case(rest, &end).unwrap_or(rest.len());
            return Some(at.max(tag.length));
        }
        match (tag.name.as_str(), self.pending) {
            ("br", Gap::Breaks(count)) => self.pending = Gap::Breaks(count + 1),
            ("br", Gap::None | Gap::Space) => self.pending = Gap::Breaks(1),
            (name, before) if PARAGRAPHS.contains(&name) => self.pending = before.max(Gap::Breaks(2)),
            (name, before) if LINES.contains(&name) => self.pending = before.max(Gap::Breaks(1)),
            _ => {}
        }
        if tag.name == "li" && !tag.closes {
            self.push('-');
            self.pending = Gap::Space;
        }
        Some(tag.length)
    }

    /// Takes the entity at the start of `rest`. What it stands for is text, also when it is a space.
    fn entity(&mut self, rest: &str) -> Option<usize> {
        let end = rest.bytes().take(ENTITY_BYTES_MAX + 2).position(|b| b == b';')?;
        let name = &rest[1..end];
        let character = match name.strip_prefix('#') {
            Some(number) => numbered(number)?,
            None => named(name)?,
        };
        self.push(character);
        Some(end + 1)
    }

    /// Takes one character that is neither.
    fn character(&mut self, character: char) -> usize {
        if character.is_ascii_whitespace() && !self.is_plain {
            self.pending = self.pending.max(Gap::Space);
        } else {
            self.push(character);
        }
        character.len_utf8()
    }

    fn push(&mut self, character: char) {
        let is_first = self.out.is_empty();
        match std::mem::take(&mut self.pending) {
            Gap::Space if !is_first => self.out.push(' '),
            Gap::Breaks(count) if !is_first => self.out.extend(std::iter::repeat_n('\n', count)),
            Gap::None | Gap::Space | Gap::Breaks(_) => {}
        }
        self.out.push(character);
    }
}

struct Tag {
    /// In lower case; `!` for comments and declarations.
    name: String,
    closes: bool,
    length: usize,
}

/// The tag at the start of `rest`. `a < b` and `<3` are no tags.
fn tag(rest: &str) -> Option<Tag> {
    if rest.starts_with("<!--") {
        let end = rest.find("-->").map_or(rest.len(), |at| at + 3);
        return Some(Tag { name: "!".to_owned(), closes: false, length: end });
    }
    let inner = rest.strip_prefix('<')?;
    let closes = inner.starts_with('/');
    let inner = inner.strip_prefix(['/', '!']).unwrap_or(inner);
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let name = inner.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    Some(Tag { name, closes, length: end_of_tag(rest)? })
}

/// Behind the `>` that is not inside quotes.
fn end_of_tag(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn find_ignoring_case(text: &str, ascii: &str) -> Option<usize> {
    text.as_bytes().windows(ascii.len()).position(|part| part.eq_ignore_ascii_case(ascii.as_bytes()))
}

fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "bull" => '•',
        "middot" => '·',
        "times" => '×',
        "deg" => '°',
        "frac12" => '½',
        "frac14" => '¼',
        "frac34" => '¾',
        "pound" => '£',
        "euro" => '€',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        _ => return None,
    })
}

/// The HTML of a plain text. Line breaks become `<br>`; white space that HTML would swallow becomes entities.
pub(super) fn to_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let is_inside = rest.len() < text.len();
        let run = &rest[..rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace()).len()];
        if run.is_empty() {
            escape(next, &mut html);
            rest = &rest[next.len_utf8()..];
            continue;
        }
        let is_inside = is_inside && run.len() < rest.len();
        match run {
            " " if is_inside => html.push(' '),
            breaks if is_inside && breaks.bytes().all(|b| b == b'\n') => {
                html.extend(breaks.chars().map(|_| "<br>"))
            }
            other => html.extend(other.bytes().map(|b| format!("&#{b};"))),
        }
        rest = &rest[run.len()..];
    }
    html
}

fn escape(character: char, html: &mut String) {
    match character {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        other => html.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_go_and_what_they_meant_stays() {
        for (html, text) in [
            ("", ""),
            ("plain, with\n\n  its own lines ", "plain, with\n\n  its own lines "),
            ("<p>One.</p>\n<p>Two &amp; three.</p>", "One.\n\nTwo & three."),
            ("<p>One<br/>two<BR>three</p>", "One\ntwo\nthree"),
            ("<div><p>Deep</p></div>", "Deep"),
            ("<ul>\n  <li>red</li>\n  <li>blue</li>\n</ul>", "- red\n- blue"),
            ("Before<ul><li>a</li></ul>after", "Before\n\n- a\n\nafter"),
            ("a <b>bold</b>  move", "a bold move"),
            ("2 < 3 and I <3 you", "2 < 3 and I <3 you"),
            ("<a title=\"a > b\" href='x'>link</a>", "link"),
            ("<style>p { color: red }</style><p>x</p><SCRIPT>alert(1)</SCRIPT>y", "x\n\ny"),
            ("one<!-- hidden > too -->two", "onetwo"),
            ("&eacute;t&eacute; &#8364; &#x2665; &unknown; & &;", "été € ♥ &unknown; & &;"),
            ("caf&#xD800;", "caf&#xD800;"),
            ("never <b closed", "never <b closed"),
        ] {
            assert_eq!(to_text(html), text, "{html:?}");
        }
    }

    proptest! {
        #[test]
        fn text_survives_being_html(text in "[a<>&;#x3 \n\r\t\"'/!é\u{a0}-]{0,40}") {
            prop_assert_eq!(to_text(&to_html(&text)), text);
        }
    }
}
