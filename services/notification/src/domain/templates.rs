//! The built-in texts. A template has a name and versions; a version never changes once something was told with
//! it, so that an inbox shows for ever what it showed at first. A changed text is a new version.
//!
//! Placeholders are `{fact}`. A fact that is missing is an error before anything is told, never a blank; what
//! stands for a placeholder is escaped for the place where it is shown (I-NO-4).
use super::{Category, Facts};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What is not translated is told in this language; every template has it.
pub const FALLBACK_LOCALE: &str = "en";
/// The longest fact.
pub const FACT_CHARS_MAX: usize = 500;
/// The most facts of one message.
pub const FACTS_MAX: usize = 20;

/// A language, perhaps of one country: `de`, `de-AT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Locale(Arc<str>);

impl Locale {
    /// The locale that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let (language, country) = match text.split_once('-') {
            Some((language, country)) => (language, Some(country)),
            None => (text, None),
        };
        let is_language = language.len() == 2 && language.bytes().all(|b| b.is_ascii_lowercase());
        let is_country = country.is_none_or(|c| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase()));
        (is_language && is_country).then(|| Self(text.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a locale"))
    }
}

/// One version of one text, in its languages.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// What it is about, for example `order.confirmed`.
    pub name: &'static str,
    /// From 1.
    pub version: u16,
    /// What can be turned off.
    pub category: Category,
    /// Whether it is also sent by e-mail.
    pub mailed: bool,
    texts: &'static [Text],
}

/// A text in one language.
#[derive(Debug, PartialEq, Eq)]
struct Text {
    locale: &'static str,
    title: &'static str,
    body: &'static str,
}

/// Where a text is shown, which decides how facts are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Plain text of several lines.
    Plain,
    /// One line, such as a mail's subject.
    Line,
    /// A web page.
    Html,
}

/// A text, made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub title: String,
    /// A few.
    pub body: String,
}

/// A fact that a text speaks of and that nobody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFact(pub String);

impl fmt::Display for MissingFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text speaks of {:?}, which was not given", self.0)
    }
}

impl std::error::Error for MissingFact {}

macro_rules! template {
    ($name:literal $version:literal $category:ident $mailed:literal: $($locale:literal $title:literal $body:literal),+ $(,)?) => {
        Template {
            name: $name,
            version: $version,
            category: Category::$category,
            mailed: $mailed,
            texts: &[$(Text { locale: $locale, title: $title, body: $body }),+],
        }
    };
}

/// Every version of every template.
static TEMPLATES: &[Template] = &[
    template!("order.confirmed" 1 Transactional true:
        "en" "Your order is confirmed" "Your order {order_id} of {total} is confirmed. Thank you.",
        "de" "Ihre Bestellung ist bestätigt" "Ihre Bestellung {order_id} über {total} ist bestätigt. Vielen Dank.",
        "fr" "Votre commande est confirmée" "Votre commande {order_id} de {total} est confirmée. Merci."),
    template!("order.rejected" 1 Transactional true:
        "en" "Your order could not be accepted" "Your order {order_id} could not be accepted ({reason}). Nothing was charged.",
        "de" "Ihre Bestellung konnte nicht angenommen werden" "Ihre Bestellung {order_id} konnte nicht angenommen werden ({reason}). Es wurde nichts abgebucht."),
    template!("order.cancelled" 1 Transactional true:
        "en" "Your order is cancelled" "Your order {order_id} is cancelled ({reason}). What was paid goes back.",
        "de" "Ihre Bestellung ist storniert" "Ihre Bestellung {order_id} ist storniert ({reason}). Bezahltes wird erstattet."),
    template!("order.awaiting_customer" 1 Transactional true:
        "en" "Your order waits for you" "Your order {order_id} waits for you to confirm the payment: {action_url}",
        "de" "Ihre Bestellung wartet auf Sie" "Ihre Bestellung {order_id} wartet darauf, dass Sie die Zahlung bestätigen: {action_url}"),
    template!("order.answer_needed" 1 Transactional true:
        "en" "Not all of your order can be sent" "Not all of your order {order_id} can be sent. Please say whether you want the rest for {total}.",
        "de" "Ihre Bestellung kann nicht ganz geliefert werden" "Ihre Bestellung {order_id} kann nicht ganz geliefert werden. Bitte sagen Sie, ob Sie den Rest für {total} möchten."),
    template!("order.line_cancelled" 1 Transactional true:
        "en" "A part of your order is cancelled" "A part of your order {order_id} is cancelled. What was paid for it goes back.",
        "de" "Ein Teil Ihrer Bestellung ist storniert" "Ein Teil Ihrer Bestellung {order_id} ist storniert. Dafür Bezahltes wird erstattet."),
    template!("order.partially_shipped" 1 Progress true:
        "en" "A part of your order is on its way" "A part of your order {order_id} is on its way.",
        "de" "Ein Teil Ihrer Bestellung ist unterwegs" "Ein Teil Ihrer Bestellung {order_id} ist unterwegs."),
    template!("order.shipped" 1 Progress true:
        "en" "Your order is on its way" "Your order {order_id} is on its way.",
        "de" "Ihre Bestellung ist unterwegs" "Ihre Bestellung {order_id} ist unterwegs."),
    template!("order.delivered" 1 Progress false:
        "en" "Your order was delivered" "Your order {order_id} was delivered.",
        "de" "Ihre Bestellung wurde zugestellt" "Ihre Bestellung {order_id} wurde zugestellt."),
    template!("return.approved" 1 Transactional true:
        "en" "Your return is approved" "The return {return_id} of your order {order_id} is approved. You can send the parcel.",
        "de" "Ihre Rücksendung ist genehmigt" "Die Rücksendung {return_id} Ihrer Bestellung {order_id} ist genehmigt. Sie können das Paket absenden."),
    template!("return.rejected" 1 Transactional true:
        "en" "Your return cannot be accepted" "The return {return_id} of your order {order_id} cannot be accepted ({reason}).",
        "de" "Ihre Rücksendung kann nicht angenommen werden" "Die Rücksendung {return_id} Ihrer Bestellung {order_id} kann nicht angenommen werden ({reason})."),
    template!("return.received" 1 Progress false:
        "en" "Your return has arrived" "The return {return_id} of your order {order_id} has arrived.",
        "de" "Ihre Rücksendung ist angekommen" "Die Rücksendung {return_id} Ihrer Bestellung {order_id} ist angekommen."),
    template!("return.resolved" 1 Transactional true:
        "en" "Your return is settled" "The return {return_id} of your order {order_id} is settled: {refund} goes back to you.",
        "de" "Ihre Rücksendung ist abgeschlossen" "Die Rücksendung {return_id} Ihrer Bestellung {order_id} ist abgeschlossen: {refund} werden erstattet."),
    template!("return.declined" 1 Transactional true:
        "en" "Your return is not refunded" "What came back with the return {return_id} of your order {order_id} is not what you bought, so nothing is refunded.",
        "de" "Ihre Rücksendung wird nicht erstattet" "Was mit der Rücksendung {return_id} Ihrer Bestellung {order_id} zurückkam, ist nicht, was Sie gekauft haben; daher wird nichts erstattet."),
    template!("return.expired" 1 Transactional true:
        "en" "Your return has expired" "The return {return_id} of your order {order_id} has expired, since no parcel came.",
        "de" "Ihre Rücksendung ist verfallen" "Die Rücksendung {return_id} Ihrer Bestellung {order_id} ist verfallen, da kein Paket kam."),
    template!("account.notice" 1 Transactional true:
        "en" "A notice about your account" "{notice}",
        "de" "Ein Hinweis zu Ihrem Konto" "{notice}"),
    template!("shop.news" 1 News true:
        "en" "News from the shop" "{news}",
        "de" "Neues aus dem Laden" "{news}"),
];

/// The newest version of a template.
pub fn latest(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().filter(|template| template.name == name).max_by_key(|template| template.version)
}

/// This very version.
pub fn exactly(name: &str, version: u16) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name && template.version == version)
}

impl Template {
    /// Whether all that its texts speak of was given.
    ///
    /// # Errors
    /// The first fact that is missing.
    pub fn complete(&self, facts: &Facts) -> Result<(), MissingFact> {
        let wanted: BTreeSet<&str> = self
            .texts
            .iter()
            .flat_map(|text| placeholders(text.title).chain(placeholders(text.body)))
            .collect();
        let missing = wanted.into_iter().find(|name| facts.get(*name).is_none_or(String::is_empty));
        missing.map_or(Ok(()), |name| Err(MissingFact(name.to_owned())))
    }

    /// The text in a language, or in its language without the country, or in English.
    ///
    /// # Errors
    /// A fact that is missing.
    pub fn render(&self, locale: &Locale, facts: &Facts, channel: Channel) -> Result<Rendered, MissingFact> {
        let text = self.text(locale);
        // A title is one line wherever it is shown.
        let title_channel = if channel == Channel::Html { channel } else { Channel::Line };
        Ok(Rendered {
            title: fill(text.title, facts, title_channel)?,
            body: fill(text.body, facts, channel)?,
        })
    }

    fn text(&self, locale: &Locale) -> &'static Text {
        let language = locale.as_str().get(..2).unwrap_or(FALLBACK_LOCALE);
        let tries = [locale.as_str(), language, FALLBACK_LOCALE];
        let found = tries.iter().find_map(|wanted| self.texts.iter().find(|text| text.locale == *wanted));
        found.expect("a test holds every template to have the fallback locale")
    }
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn fill(text: &str, facts: &Facts, channel: Channel) -> Result<String, MissingFact> {
    let mut pieces = text.split('{');
    let mut filled = escape(pieces.next().unwrap_or_default(), channel);
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
        let fact = facts.get(name).ok_or_else(|| MissingFact(name.to_owned()))?;
        filled.push_str(&escape(fact, channel));
        filled.push_str(&escape(rest, channel));
    }
    Ok(filled)
}

/// Takes away what would have a meaning of its own at that place: control characters and marks that turn the
/// direction of writing everywhere, ends of lines in a line, markup on a page.
fn escape(text: &str, channel: Channel) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match channel {
            _ if turns => {}
            Channel::Plain | Channel::Html if c == '\n' => safe.push(c),
            Channel::Plain | Channel::Line | Channel::Html
                if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') =>
            {
                safe.push(' ');
            }
            Channel::Html => match c {
                '&' => safe.push_str("&amp;"),
                '<' => safe.push_str("&lt;"),
                '>' => safe.push_str("&gt;"),
                '"' => safe.push_str("&quot;"),
                '\'' => safe.push_str("&#39;"),
                _ => safe.push(c),
            },
            Channel::Plain | Channel::Line => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, &str)]) -> Facts {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn locale(text: &str) -> Locale {
        Locale::parse(text).expect("a locale")
    }

    #[test]
    fn every_template_has_the_fallback_and_speaks_of_the_same_in_all_languages() {
        let mut seen = BTreeSet::new();
        for template in TEMPLATES {
            assert!(seen.insert((template.name, template.version)), "{} stands twice", template.name);
            assert!(template.texts.iter().any(|text| text.locale == FALLBACK_LOCALE), "{}", template.name);
            let spoken = |text: &'static Text| -> BTreeSet<_> {
                placeholders(text.body).chain(placeholders(text.title)).collect()
            };
            for text in template.texts {
                assert!(Locale::parse(text.locale).is_some(), "{}", text.locale);
                assert_eq!(spoken(text), spoken(&template.texts[0]), "{} in {}", template.name, text.locale);
            }
            assert_eq!(exactly(template.name, template.version), Some(template));
        }
    }

    #[test]
    fn a_language_falls_back_step_by_step() {
        let confirmed = latest("order.confirmed").expect("there is one");
        let facts = facts(&[("order_id", "ord_1"), ("total", "1.00 GBP")]);
        let title =
            |text: &str| confirmed.render(&locale(text), &facts, Channel::Line).expect("complete").title;
        assert_eq!(title("de"), "Ihre Bestellung ist bestätigt");
        assert_eq!(title("de-AT"), "Ihre Bestellung ist bestätigt");
        assert_eq!(title("fr"), "Votre commande est confirmée");
        assert_eq!(title("ja-JP"), "Your order is confirmed");
        for bad in ["", "d", "DE", "de-at", "de_AT", "deu", "de-", "-AT", "dé"] {
            assert_eq!(Locale::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_missing_fact_is_named_and_never_a_blank() {
        let confirmed = latest("order.confirmed").expect("there is one");
        let missing = |facts: &Facts| confirmed.complete(facts).expect_err("incomplete").0;
        assert_eq!(missing(&facts(&[])), "order_id");
        assert_eq!(missing(&facts(&[("order_id", "ord_1")])), "total");
        assert_eq!(missing(&facts(&[("order_id", "ord_1"), ("total", "")])), "total");
        assert_eq!(
            confirmed.complete(&facts(&[("order_id", "ord_1"), ("total", "1"), ("more", "")])),
            Ok(())
        );
        let failed = confirmed.render(&locale("en"), &facts(&[("total", "1")]), Channel::Plain);
        assert_eq!(failed, Err(MissingFact("order_id".into())));
        assert_eq!(latest("order.unheard_of"), None);
    }

    #[test]
    fn facts_are_escaped_for_the_place_where_they_are_shown() {
        let notice = latest("account.notice").expect("there is one");
        let hostile = facts(&[("notice", "<b>\"x\"&'\r\nBcc: a\u{0}\u{202e}{order_id}")]);
        let body = |channel| notice.render(&locale("en"), &hostile, channel).expect("complete").body;
        assert_eq!(body(Channel::Plain), "<b>\"x\"&' \nBcc: a {order_id}");
        assert_eq!(body(Channel::Line), "<b>\"x\"&'  Bcc: a {order_id}");
        assert_eq!(body(Channel::Html), "&lt;b&gt;&quot;x&quot;&amp;&#39; \nBcc: a {order_id}");
    }
}
