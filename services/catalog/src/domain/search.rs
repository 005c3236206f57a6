//! An index over published products: words with their weights, ranked by BM25 in whole thousandths, with small
//! spelling mistakes forgiven. A plain value in memory; it is rebuilt from the log whenever the process starts.
//!
//! Deliberately absent: a query language. Every character of a query is text.

pub mod text;

use super::{Product, Status};
use souk_contracts::terms::ProductId;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

/// A longer description is searched up to this many words.
const WORDS_PER_PRODUCT_MAX: usize = 2_000;
/// A query's further words are ignored.
const QUERY_WORDS_MAX: usize = 16;
/// How many words an unfinished last word may stand for.
const COMPLETIONS_MAX: usize = 64;
/// How many words may be meant by a misspelt one.
const CORRECTIONS_MAX: usize = 16;
/// How many similar words are measured exactly for one misspelt word.
const CANDIDATES_MAX: usize = 512;
/// Up to this length a word is also compared with those that begin with the same letter, so many of them.
const SHORT_WORD_CHARS: usize = 5;
const ALIKE_MAX: usize = 4_096;
/// How much longer than the average product is long, at most, in the ranking: bounds the sums.
const LENGTH_RATIO_MAX: u64 = 1_000_000;

/// What a word in the title, a category, the vendor's name or the description counts for.
const WEIGHT_TITLE: u32 = 8;
const WEIGHT_CATEGORY: u32 = 3;
const WEIGHT_VENDOR: u32 = 3;
const WEIGHT_DESCRIPTION: u32 = 1;

/// BM25's two constants, in thousandths: how fast repeating a word stops to count, how much length counts.
const K1: u64 = 1_200;
const B: u64 = 750;

/// What an exact SKU adds: more than any text can reach, so that it comes first.
const SCORE_SKU: u64 = 1_000_000_000;

/// The number of a product's place in the index.
type Slot = u32;
/// The number of a word.
type WordId = u32;

/// A product that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Which product.
    pub product: ProductId,
    /// Higher is better, in thousandths; comparable within one answer only.
    pub score: u64,
    /// Whether a spelling mistake had to be forgiven.
    pub fuzzy: bool,
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_product: HashMap<ProductId, Slot>,
    /// Exact SKU, byte for byte.
    by_sku: HashMap<String, Slot>,
    /// Words in order, so that those with a common beginning are neighbours.
    dictionary: BTreeMap<Arc<str>, WordId>,
    words: Vec<Word>,
    by_trigram: HashMap<[char; 3], Vec<WordId>>,
    /// The sum of all products' lengths.
    length_total: u64,
}

#[derive(Debug)]
struct Entry {
    product: ProductId,
    categories: Vec<String>,
    skus: Vec<String>,
    words: Vec<WordId>,
    /// The sum of its words' weights.
    length: u64,
}

/// A word that some product has or had. Its number stays; without postings it finds nothing.
#[derive(Debug)]
struct Word {
    text: Arc<str>,
    chars: Box<[char]>,
    postings: HashMap<Slot, u32>,
}

/// One word of a query with the indexed words that it stands for.
struct Meant {
    words: Vec<(WordId, Certainty)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// Spelt so.
    Exact,
    /// Begun so.
    Begun,
    /// Meant, with this many slips.
    Slips(usize),
}

impl Certainty {
    /// How much of the word's score counts, in thousandths.
    fn share(self) -> u64 {
        match self {
            Certainty::Exact => 1_000,
            Certainty::Begun => 700,
            Certainty::Slips(1) => 500,
            Certainty::Slips(_) => 300,
        }
    }
}

impl Index {
    /// Takes in a product as it is now; one that customers do not see is taken out.
    pub fn put(&mut self, product: &Product) {
        self.remove(&product.id);
        match product.status {
            Status::Published => self.insert(product),
            Status::Draft | Status::Unpublished => {}
        }
    }

    /// Takes a product out.
    pub fn remove(&mut self, product: &ProductId) {
        let Some(slot) = self.by_product.remove(product) else { return };
        let Some(entry) = self.slots[slot as usize].take() else { return };
        for word in entry.words {
            self.words[word as usize].postings.remove(&slot);
        }
        for sku in entry.skus {
            // A SKU may have moved to another variant list since; only its own entry goes.
            if self.by_sku.get(&sku) == Some(&slot) {
                self.by_sku.remove(&sku);
            }
        }
        self.length_total -= entry.length;
        self.free.push(slot);
    }

    /// How many products can be found.
    pub fn len(&self) -> usize {
        self.by_product.len()
    }

    /// Whether nothing can be found.
    pub fn is_empty(&self) -> bool {
        self.by_product.is_empty()
    }

    /// The products that match `query`, best first, at most `limit`. Products with all words are preferred to
    /// the point that others are answered only when there are none.
    pub fn search(&self, query: &str, category: Option<&str>, limit: usize) -> Vec<Hit> {
        let mut words = text::words(query);
        words.truncate(QUERY_WORDS_MAX);
        let open = text::ends_open(query);
        let last = words.len().saturating_sub(1);
        let meant: Vec<Meant> =
            words.iter().enumerate().map(|(i, word)| self.meant(word, open && i == last)).collect();
        let mut found = self.matches(&meant, true);
        if found.is_empty() {
            found = self.matches(&meant, false);
        }
        if let Some(slot) = self.by_sku.get(query.trim()) {
            let hit = found.entry(*slot).or_default();
            *hit = Found { score: hit.score + SCORE_SKU, exact: true };
        }
        self.best(found, category, limit)
    }

    fn insert(&mut self, product: &Product) {
        let content = &product.content;
        let slot = self.free_slot();
        let mut weights: BTreeMap<WordId, u32> = BTreeMap::new();
        let mut words_left = WORDS_PER_PRODUCT_MAX;
        self.weigh(&content.title, WEIGHT_TITLE, &mut weights, &mut words_left);
        self.weigh(&content.vendor, WEIGHT_VENDOR, &mut weights, &mut words_left);
        for category in &content.categories {
            self.weigh(category, WEIGHT_CATEGORY, &mut weights, &mut words_left);
        }
        for variant in &content.variants {
            let title = content.variant_title(variant);
            self.weigh(&title, WEIGHT_DESCRIPTION, &mut weights, &mut words_left);
        }
        self.weigh(&content.description, WEIGHT_DESCRIPTION, &mut weights, &mut words_left);
        let length = weights.values().map(|weight| u64::from(*weight)).sum();
        for (word, weight) in &weights {
            self.words[*word as usize].postings.insert(slot, *weight);
        }
        let skus: Vec<String> = content.variants.iter().map(|variant| variant.sku.to_string()).collect();
        self.by_sku.extend(skus.iter().map(|sku| (sku.clone(), slot)));
        self.by_product.insert(product.id, slot);
        self.length_total += length;
        let words = weights.into_keys().collect();
        let categories = content.categories.clone();
        self.slots[slot as usize] = Some(Entry { product: product.id, categories, skus, words, length });
    }

    fn free_slot(&mut self) -> Slot {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).expect("a catalog holds fewer than 2^32 products")
        })
    }

    fn weigh(
        &mut self,
        text: &str,
        weight: u32,
        weights: &mut BTreeMap<WordId, u32>,
        words_left: &mut usize,
    ) {
        for word in text::words(text).into_iter().take(*words_left) {
            *words_left -= 1;
            let id = self.word_id(&word);
            let sum = weights.entry(id).or_default();
            *sum = sum.saturating_add(weight);
        }
    }

    fn word_id(&mut self, word: &str) -> WordId {
        if let Some(id) = self.dictionary.get(word) {
            return *id;
        }
        let id = WordId::try_from(self.words.len()).expect("a catalog holds fewer than 2^32 words");
        let text: Arc<str> = word.into();
        self.dictionary.insert(Arc::clone(&text), id);
        for trigram in text::trigrams(word) {
            self.by_trigram.entry(trigram).or_default().push(id);
        }
        self.words.push(Word { text, chars: word.chars().collect(), postings: HashMap::new() });
        id
    }

    /// What a word of the query may stand for. Mistakes are looked for only when it is found as it is nowhere.
    fn meant(&self, word: &str, unfinished: bool) -> Meant {
        let exact = self.dictionary.get(word).filter(|id| !self.words[**id as usize].postings.is_empty());
        let mut words: Vec<(WordId, Certainty)> =
            exact.map(|id| (*id, Certainty::Exact)).into_iter().collect();
        if unfinished {
            words.extend(self.completions(word).into_iter().map(|id| (id, Certainty::Begun)));
        }
        if words.is_empty() {
            words = self.corrections(word);
        }
        Meant { words }
    }

    fn completions(&self, start: &str) -> Vec<WordId> {
        let from = (Bound::Excluded(start), Bound::Unbounded);
        let longer = self.dictionary.range::<str, _>(from).take_while(|(text, _)| text.starts_with(start));
        let in_use = longer.filter(|(_, id)| !self.words[**id as usize].postings.is_empty());
        in_use.map(|(_, id)| *id).take(COMPLETIONS_MAX).collect()
    }

    /// The words within the allowed slips, nearest first.
    fn corrections(&self, word: &str) -> Vec<(WordId, Certainty)> {
        let chars: Vec<char> = word.chars().collect();
        let most = text::slips_allowed(chars.len());
        if most == 0 {
            return Vec::new();
        }
        let measure = |id: WordId| Some((text::slips(&chars, &self.words[id as usize].chars, most)?, id));
        let mut near: Vec<(usize, WordId)> =
            self.similar(word, chars.len(), most).into_iter().filter_map(measure).collect();
        near.sort_unstable_by_key(|(slips, id)| (*slips, &self.words[*id as usize].text));
        near.truncate(CORRECTIONS_MAX);
        near.into_iter().map(|(slips, id)| (id, Certainty::Slips(slips))).collect()
    }

    /// The words in use of nearly this length that share most groups of three letters with this one. A short
    /// word may have none of its groups left after one slip, so those that begin alike are looked at too.
    fn similar(&self, word: &str, chars: usize, most: usize) -> Vec<WordId> {
        let mut shared: HashMap<WordId, u32> = HashMap::new();
        for trigram in text::trigrams(word) {
            for id in self.by_trigram.get(&trigram).into_iter().flatten() {
                *shared.entry(*id).or_default() += 1;
            }
        }
        if chars <= SHORT_WORD_CHARS {
            let start = word.chars().next().map(String::from).unwrap_or_default();
            let from = (Bound::Included(start.as_str()), Bound::Unbounded);
            let alike = self.dictionary.range::<str, _>(from);
            let alike = alike.take_while(|(text, _)| text.starts_with(&start)).take(ALIKE_MAX);
            for (_, id) in alike {
                shared.entry(*id).or_default();
            }
        }
        shared.retain(|id, _| {
            let known = &self.words[*id as usize];
            !known.postings.is_empty() && known.chars.len().abs_diff(chars) <= most
        });
        let mut ranked: Vec<(u32, WordId)> = shared.into_iter().map(|(id, count)| (count, id)).collect();
        ranked.sort_unstable_by_key(|(count, id)| (std::cmp::Reverse(*count), *id));
        ranked.into_iter().take(CANDIDATES_MAX).map(|(_, id)| id).collect()
    }

    /// Every product that has all (or any) of the meant words, with its score.
    fn matches(&self, meant: &[Meant], all: bool) -> HashMap<Slot, Found> {
        let mut found: HashMap<Slot, Found> = HashMap::new();
        for (i, word) in meant.iter().enumerate() {
            let best = self.best_of_word(word);
            if all && i > 0 {
                found.retain(|slot, _| best.contains_key(slot));
            }
            for (slot, one) in best {
                if all && i > 0 && !found.contains_key(&slot) {
                    continue;
                }
                let sum = found.entry(slot).or_insert(Found { score: 0, exact: true });
                sum.score += one.score;
                sum.exact &= one.exact;
            }
        }
        found
    }

    /// For each product the best that one word of the query gives it.
    fn best_of_word(&self, meant: &Meant) -> HashMap<Slot, Found> {
        let mut best: HashMap<Slot, Found> = HashMap::new();
        for (id, certainty) in &meant.words {
            let word = &self.words[*id as usize];
            let rarity = rarity(self.len() as u64, word.postings.len() as u64);
            let exact = !matches!(certainty, Certainty::Slips(_));
            for (slot, weight) in &word.postings {
                let score = self.score(*slot, rarity, *weight) * certainty.share() / 1_000;
                let hit = best.entry(*slot).or_default();
                if score > hit.score {
                    *hit = Found { score, exact };
                }
            }
        }
        best
    }

    /// BM25: rarity × weight·(k1+1) / (weight + k1·(1−b + b·length/average)), in thousandths; at least 1.
    fn score(&self, slot: Slot, rarity: u64, weight: u32) -> u64 {
        let length = self.slots[slot as usize].as_ref().map_or(0, |entry| entry.length);
        let average = (self.length_total / (self.len() as u64).max(1)).max(1);
        let ratio = (length.saturating_mul(1_000) / average).min(LENGTH_RATIO_MAX);
        let damping = K1 * (1_000 - B + B * ratio / 1_000) / 1_000;
        let weight = u64::from(weight.min(1_000_000)) * 1_000;
        (rarity * (weight * (K1 + 1_000) / 1_000) / (weight + damping).max(1)).max(1)
    }

    fn best(&self, found: HashMap<Slot, Found>, category: Option<&str>, limit: usize) -> Vec<Hit> {
        let wanted = |entry: &Entry| category.is_none_or(|c| entry.categories.iter().any(|own| own == c));
        let hit = |(slot, found): (Slot, Found)| {
            let entry = self.slots[slot as usize].as_ref().filter(|entry| wanted(entry))?;
            Some(Hit { product: entry.product, score: found.score, fuzzy: !found.exact })
        };
        let mut hits: Vec<Hit> = found.into_iter().filter_map(hit).collect();
        // What was found as written stands before what had to be guessed.
        hits.sort_unstable_by_key(|hit| (hit.fuzzy, std::cmp::Reverse(hit.score), hit.product));
        hits.truncate(limit);
        hits
    }

    /// Whether the parts of the index agree with each other; for tests.
    pub fn is_consistent(&self) -> bool {
        let taken: HashSet<Slot> = self.by_product.values().copied().collect();
        let lengths: u64 = self.slots.iter().flatten().map(|entry| entry.length).sum();
        taken.len() == self.slots.iter().flatten().count()
            && lengths == self.length_total
            && self.words.iter().all(|word| word.postings.keys().all(|slot| taken.contains(slot)))
            && self.by_sku.values().all(|slot| taken.contains(slot))
    }
}

/// What one product reached.
#[derive(Clone, Copy, Default)]
struct Found {
    score: u64,
    exact: bool,
}

/// How much a word says: ln(1 + (products − with + ½) / (with + ½)), in thousandths.
fn rarity(products: u64, with: u64) -> u64 {
    let quotient_milli = (2 * (products - with.min(products)) + 1) * 1_000 / (2 * with + 1);
    ln_milli(1_000 + quotient_milli)
}

/// The natural logarithm of `x`/1000, in thousandths, for x ≥ 1000: the binary one by repeated squaring.
fn ln_milli(x: u64) -> u64 {
    /// ln 2, in millionths.
    const LN_2: u64 = 693_147;
    const FRACTION_BITS: u32 = 16;
    let whole = (x / 1_000).max(1).ilog2();
    // The mantissa in [1, 2), with 32 binary places.
    let mut mantissa = ((u128::from(x.max(1_000)) << 32) / 1_000) >> whole;
    let mut binary = u64::from(whole);
    for _ in 0..FRACTION_BITS {
        mantissa = (mantissa * mantissa) >> 32;
        binary <<= 1;
        if mantissa >= 2 << 32 {
            mantissa >>= 1;
            binary |= 1;
        }
    }
    (binary * LN_2 / 1_000) >> FRACTION_BITS
}

#[cfg(test)]
mod tests;
