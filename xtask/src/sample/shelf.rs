//! What the made-up shop sells.
use super::Dice;
use std::collections::BTreeSet;

/// As many articles as the real shop had, about.
const ARTICLES_MAX: u32 = 3_900;

/// A thing to sell. The price is in pennies.
#[derive(Clone)]
pub(super) struct Article {
    pub(super) sku: String,
    pub(super) title: String,
    pub(super) pennies: i64,
}

/// Articles that trip up a careless reader. They stand first, where choosing looks most often.
const AWKWARD: [(&str, &str, i64); 10] = [
    ("85123A", "WHITE HEART CANDLE HOLDER", 255),
    ("85123a", "white heart candle holder", 260),
    ("POST", "POSTAGE", 1800),
    ("M", "Manual", 100),
    ("m", "Manual", 101),
    ("DOT", "DOTCOM POSTAGE", 56959),
    ("15056BL", "LACE UMBRELLA, \"EDWARDIAN\", BLACK", 595),
    ("15056bl", "LACE UMBRELLA, SMALL", 495),
    ("BANK CHARGES", "Bank Charges", 1500),
    ("00042", "  SPACES, AROUND  ", 1),
];

const COLOURS: [&str; 8] = ["RED", "BLUE", "IVORY", "PINK", "GREEN", "SILVER", "VINTAGE", "RUSTIC"];
const PATTERNS: [&str; 8] =
    ["DOTTED", "STRIPED", "FLORAL", "GINGHAM", "\"HOME\"", "LACE", "PAISLEY", "PLAIN"];
const THINGS: [&str; 12] = [
    "CAKE TIN",
    "LUNCH BAG",
    "TEA TOWEL",
    "LANTERN",
    "DOORMAT",
    "BUNTING, 5 M",
    "MUG",
    "WALL CLOCK",
    "PHOTO FRAME",
    "HOT WATER BOTTLE",
    "JAM JARS, SET OF 6",
    "T-LIGHT HOLDER",
];

/// All articles, the popular ones first.
pub(super) struct Shelf(Vec<Article>);

impl Shelf {
    /// Enough articles for so many invoices.
    pub(super) fn stock(invoices: u32, dice: &mut Dice) -> Self {
        let awkward = AWKWARD.iter().map(|(sku, title, pennies)| Article {
            sku: (*sku).into(),
            title: (*title).into(),
            pennies: *pennies,
        });
        let mut articles: Vec<Article> = awkward.collect();
        let mut taken: BTreeSet<String> = articles.iter().map(|article| article.sku.clone()).collect();
        let wanted = (20 + invoices / 4).min(ARTICLES_MAX) as usize;
        while articles.len() < wanted {
            let letter = if dice.chance(30) { *dice.pick(&["A", "B", "C", "D", "a"]) } else { "" };
            let sku = format!("{}{letter}", 20_000 + dice.below(70_000));
            if taken.insert(sku.clone()) {
                articles.push(Article { sku, title: title(dice), pennies: price(dice) });
            }
        }
        Self(articles)
    }

    /// An article; the nearer the front, the likelier.
    pub(super) fn choose(&self, dice: &mut Dice) -> Article {
        let reach = 1 + dice.below(self.0.len() as u64);
        let index = usize::try_from(dice.below(reach)).expect("an index of a vector");
        self.0[index].clone()
    }
}

fn title(dice: &mut Dice) -> String {
    format!("{} {} {}", dice.pick(&COLOURS), dice.pick(&PATTERNS), dice.pick(&THINGS))
}

/// Mostly cheap, now and then dear.
fn price(dice: &mut Dice) -> i64 {
    let most = if dice.chance(5) { 20_000 } else { 1_000 };
    i64::try_from(1 + dice.below(most)).expect("at most 20,000")
}
