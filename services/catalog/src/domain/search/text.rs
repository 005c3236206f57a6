//! Text as search sees it: lower case, without accents, cut into words; and how far two words are apart.

/// A longer word counts up to here.
const WORD_CHARS_MAX: usize = 64;

/// The words of a text, in order: runs of letters and digits, folded. Chinese, Japanese and Korean characters
/// are words by themselves, since nothing separates words there.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if is_ideograph(c) {
            finish(&mut word, &mut words);
            words.push(c.to_string());
        } else if c.is_alphanumeric() {
            fold(c, &mut word);
        } else if !joins_letters(c) {
            finish(&mut word, &mut words);
        }
    }
    finish(&mut word, &mut words);
    words
}

/// Whether the text ends within a word, so that more letters may follow: `red mu`, not `red mug `.
pub fn ends_open(text: &str) -> bool {
    text.chars().next_back().is_some_and(char::is_alphanumeric)
}

/// Apostrophes and combining accents stand within words: `O'Brien` is one word.
fn joins_letters(c: char) -> bool {
    matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}')
}

fn finish(word: &mut String, words: &mut Vec<String>) {
    if let Some((end, _)) = word.char_indices().nth(WORD_CHARS_MAX) {
        word.truncate(end);
    }
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0x20000..=0x3ffff)
}

/// Latin letters with accents, by what remains without them.
const FOLDED: &[(&str, &str)] = &[
    ("àáâãäåāăąǎ", "a"),
    ("çćĉċč", "c"),
    ("ďđð", "d"),
    ("èéêëēĕėęě", "e"),
    ("ĝğġģǧ", "g"),
    ("ĥħ", "h"),
    ("ìíîïĩīĭįıǐ", "i"),
    ("ĵ", "j"),
    ("ķ", "k"),
    ("ĺļľŀł", "l"),
    ("ñńņňŋ", "n"),
    ("òóôõöøōŏőǒ", "o"),
    ("ŕŗř", "r"),
    ("śŝşšș", "s"),
    ("ţťŧț", "t"),
    ("ùúûüũūŭůűųǔ", "u"),
    ("ŵ", "w"),
    ("ýÿŷ", "y"),
    ("źżž", "z"),
    ("ß", "ss"),
    ("æ", "ae"),
    ("œ", "oe"),
    ("þ", "th"),
];

fn fold(c: char, word: &mut String) {
    if c.is_ascii() {
        word.push(c.to_ascii_lowercase());
        return;
    }
    for lower in c.to_lowercase() {
        match FOLDED.iter().find(|(accented, _)| accented.contains(lower)) {
            Some((_, plain)) => word.push_str(plain),
            None if joins_letters(lower) => {}
            None => word.push(lower),
        }
    }
}

/// How many slips a word of this length is forgiven.
pub fn slips_allowed(chars: usize) -> usize {
    match chars {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// The number of slips (a letter missing, too many, wrong, or two neighbours swapped) that turn `a` into `b`,
/// or `None` when there are more than `most`. Optimal string alignment, the restricted form of
/// Damerau-Levenshtein: no piece is changed twice.
pub fn slips(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let width = b.len() + 1;
    let (mut before, mut above, mut row) = (vec![0; width], (0..width).collect::<Vec<_>>(), vec![0; width]);
    for i in 1..=a.len() {
        row[0] = i;
        let mut least = i;
        for j in 1..width {
            let wrong = usize::from(a[i - 1] != b[j - 1]);
            let mut cost = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + wrong);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                cost = cost.min(before[j - 2] + 1);
            }
            row[j] = cost;
            least = least.min(cost);
        }
        if least > most {
            return None;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    Some(above[b.len()]).filter(|slips| *slips <= most)
}

/// The groups of three letters in a word, with its edges marked: `mug` gives `^mu`, `mug`, `ug$`.
pub fn trigrams(word: &str) -> Vec<[char; 3]> {
    let chars: Vec<char> = std::iter::once('^').chain(word.chars()).chain(std::iter::once('$')).collect();
    let mut trigrams: Vec<[char; 3]> = chars.windows(3).map(|w| [w[0], w[1], w[2]]).collect();
    trigrams.sort_unstable();
    trigrams.dedup();
    trigrams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_cut() {
        for (text, expected) in [
            ("Crème BRÛLÉE", vec!["creme", "brulee"]),
            ("O'Brien’s mug", vec!["obriens", "mug"]),
            ("Straße Łódź Ærø", vec!["strasse", "lodz", "aero"]),
            ("e\u{301}te\u{301}", vec!["ete"]),
            ("T-Shirt, 100% cotton_x", vec!["t", "shirt", "100", "cotton", "x"]),
            ("赤いカップ", vec!["赤", "い", "カ", "ッ", "プ"]),
            ("ЧАШКА שלום", vec!["чашка", "שלום"]),
            ("🎁 \"' %", vec![]),
            ("İstanbul", vec!["istanbul"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        assert_eq!(words(&"x".repeat(100))[0].chars().count(), WORD_CHARS_MAX);
    }

    #[test]
    fn slips_are_counted_up_to_a_bound() {
        let slips = |a: &str, b: &str, most| {
            super::slips(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>(), most)
        };
        assert_eq!(slips("teapot", "teapot", 0), Some(0));
        assert_eq!(slips("taepot", "teapot", 1), Some(1), "neighbours swapped");
        assert_eq!(slips("teapt", "teapot", 1), Some(1), "a letter missing");
        assert_eq!(slips("teappot", "teapot", 1), Some(1), "a letter too many");
        assert_eq!(slips("teaxot", "teapot", 1), Some(1), "a letter wrong");
        assert_eq!(slips("tapto", "teapot", 2), Some(2));
        assert_eq!(slips("tapto", "teapot", 1), None);
        assert_eq!(slips("tea", "teapot", 2), None, "too short by far");
        assert_eq!(slips("", "ab", 2), Some(2));
    }
}
