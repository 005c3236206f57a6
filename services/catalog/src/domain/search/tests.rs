use super::*;
use crate::domain::{Content, Variant};
use souk_contracts::terms::Sku;
use souk_kernel::{SeededEntropy, TypeId, Uuid};

fn id(n: u32) -> ProductId {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    ProductId::from_uuid(Uuid::from_bytes(bytes))
}

fn product(n: u32, title: &str, description: &str, category: &str) -> Product {
    let sku = Sku::try_new(format!("SKU {n}")).expect("valid");
    let content = Content {
        title: title.into(),
        description: description.into(),
        categories: vec![category.into()],
        options: vec![],
        variants: vec![Variant { sku, title: String::new(), option_values: vec![], tax_class: None }],
        media: vec![],
        vendor: "Acme".into(),
        tax_class: None,
    };
    let handle = format!("p{n}").parse().expect("valid");
    Product { id: id(n), handle, status: Status::Published, content: Arc::new(content) }
}

fn index() -> Index {
    let mut index = Index::default();
    for product in [
        product(1, "Red mug", "A mug for tea.", "Kitchen"),
        product(2, "Blue teapot", "Holds a litre of tea. Not a mug.", "Kitchen"),
        product(3, "Crème brûlée set", "Six bowls and a torch", "Kitchen"),
        product(4, "Christmas lantern", "Red glass", "Garden"),
        product(5, "O'Brien lantern", "Brass", "Garden"),
    ] {
        index.put(&product);
    }
    index
}

/// The numbers of the products that are found, best first, and whether the first needed forgiveness.
fn found(index: &Index, query: &str) -> (Vec<u32>, bool) {
    let hits = index.search(query, None, 10);
    let fuzzy = hits.first().is_some_and(|hit| hit.fuzzy);
    let number =
        |hit: &Hit| u32::from_be_bytes(hit.product.uuid().as_bytes()[12..].try_into().expect("four bytes"));
    (hits.iter().map(number).collect(), fuzzy)
}

#[test]
fn the_title_counts_more_than_the_description() {
    let index = index();
    assert_eq!(found(&index, "mug"), (vec![1, 2], false));
    assert_eq!(found(&index, "red"), (vec![1, 4], false));
    assert_eq!(found(&index, "acme").0.len(), 5);
}

#[test]
fn all_words_are_wanted_and_any_only_when_none_has_all() {
    let index = index();
    assert_eq!(found(&index, "red mug"), (vec![1], false));
    assert_eq!(found(&index, "brass torch ").0, [5, 3], "none has both; the shorter text says more");
}

#[test]
fn accents_case_and_apostrophes_do_not_matter() {
    let index = index();
    assert_eq!(found(&index, "CREME brulee"), (vec![3], false));
    assert_eq!(found(&index, "Crème Brûlée"), (vec![3], false));
    assert_eq!(found(&index, "obrien"), (vec![5], false));
    assert_eq!(found(&index, "O’Brien"), (vec![5], false));
}

#[test]
fn spelling_mistakes_are_forgiven_by_length() {
    let index = index();
    assert_eq!(found(&index, "teaopt "), (vec![2], true), "neighbours swapped");
    assert_eq!(found(&index, "lanterm "), (vec![5, 4], true));
    assert_eq!(found(&index, "christmsa "), (vec![4], true));
    assert_eq!(found(&index, "chistmass "), (vec![4], true), "two slips in a long word");
    assert_eq!(found(&index, "lirte "), (vec![2], true), "a short word may share no three letters");
    assert_eq!(found(&index, "taepto "), (vec![], false), "two slips in a short word are too many");
    assert_eq!(found(&index, "mgu "), (vec![], false), "three letters are forgiven nothing");
}

#[test]
fn an_unfinished_last_word_is_completed() {
    let index = index();
    assert_eq!(found(&index, "lan"), (vec![5, 4], false));
    assert_eq!(found(&index, "red la"), (vec![4], false));
    assert_eq!(found(&index, "lan "), (vec![], false), "the space says that it is finished");
    assert_eq!(found(&index, "la red"), (vec![1, 4], false), "an earlier word is not completed: red decides");
}

#[test]
fn a_sku_written_exactly_comes_first() {
    let mut index = index();
    index.put(&product(6, "SKU 1 SKU 1 SKU 1", "", "Kitchen"));
    assert_eq!(found(&index, "SKU 1").0, [1, 6]);
    assert_eq!(found(&index, " SKU 1 ").0, [1, 6]);
    assert_eq!(found(&index, "sku 1").0, [6], "byte for byte");
}

#[test]
fn odd_characters_are_text_and_find_nothing() {
    let index = index();
    for query in ["%", "_", "\"", "' OR 1=1 --", "*", "🎁", "\u{202e}", "AND NOT"] {
        assert!(found(&index, query).0.len() <= 2, "{query}");
    }
    assert_eq!(found(&index, "\"mug\"%🎁"), (vec![1, 2], false));
}

#[test]
fn a_category_narrows_and_a_limit_cuts() {
    let index = index();
    assert_eq!(index.search("red", Some("Garden"), 10).len(), 1);
    assert_eq!(index.search("red", Some("garden"), 10).len(), 0);
    assert_eq!(index.search("acme", None, 3).len(), 3);
}

#[test]
fn what_customers_do_not_see_is_not_found() {
    let mut index = index();
    index.put(&Product { status: Status::Unpublished, ..product(1, "Red mug", "", "Kitchen") });
    index.remove(&id(2));
    index.remove(&id(2));
    assert_eq!(found(&index, "mug"), (vec![], false));
    assert_eq!(found(&index, "SKU 1"), (vec![], false));
    assert_eq!(index.len(), 3);
    assert!(index.is_consistent());
}

#[test]
fn any_order_of_changes_leaves_the_same_index() {
    const WORDS: [&str; 8] = ["red", "blue", "mug", "teapot", "lantern", "glass", "brass", "bowl"];
    let entropy = SeededEntropy::new(7);
    let next = |below: u64| entropy.next_u64() % below;
    let mut index = Index::default();
    let mut last: BTreeMap<u32, Option<Product>> = BTreeMap::new();
    for _ in 0..2_000 {
        let n = u32::try_from(next(20)).expect("small");
        let words: Vec<&str> = (0..3).map(|_| WORDS[usize::try_from(next(8)).expect("small")]).collect();
        let changed = (next(4) > 0).then(|| product(n, &words.join(" "), "", "Kitchen"));
        match &changed {
            Some(product) => index.put(product),
            None => index.remove(&id(n)),
        }
        last.insert(n, changed);
    }
    assert!(index.is_consistent());
    let mut fresh = Index::default();
    last.values().flatten().for_each(|product| fresh.put(product));
    for word in WORDS {
        assert_eq!(index.search(word, None, 100), fresh.search(word, None, 100), "{word}");
    }
}

#[test]
fn logarithms_are_near_enough() {
    // ln 1 = 0, ln 2, ln 10, ln 1000, in thousandths.
    for (x, expected) in [(1_000, 0), (2_000, 693), (10_000, 2_302), (1_000_000, 6_907)] {
        assert!(ln_milli(x).abs_diff(expected) <= 1, "{x}: {}", ln_milli(x));
    }
    assert!(rarity(1_000, 1) > rarity(1_000, 10) && rarity(1_000, 10) > rarity(1_000, 1_000));
    assert!(rarity(1, 1) > 0, "a word that all have still counts");
}

#[test]
fn every_single_slip_in_every_word_of_four_letters_or_more_is_forgiven() {
    let words = ["vase", "lamp", "brown", "kettle", "cushion", "tablecloth"];
    let mut index = Index::default();
    for (n, word) in (0..).zip(words) {
        index.put(&product(n, word, "", "Kitchen"));
    }
    for (n, word) in (0..).zip(words) {
        let chars: Vec<char> = word.chars().collect();
        for i in 1..chars.len() {
            let mut swapped = chars.clone();
            swapped.swap(i - 1, i);
            let mut wrong = chars.clone();
            wrong[i] = 'x';
            let mut missing = chars.clone();
            missing.remove(i);
            let mut doubled = chars.clone();
            doubled.insert(i, 'q');
            // A word that got shorter than four letters is forgiven nothing; a swap at the very start of a short
            // one leaves neither its beginning nor three letters of it.
            let hopeless = |slip: &[char]| slip.len() < 4 || (slip.len() <= 4 && slip[0] != chars[0]);
            for slip in [swapped, wrong, missing, doubled].into_iter().filter(|slip| !hopeless(slip)) {
                let query: String = slip.iter().chain(&[' ']).collect();
                assert!(found(&index, &query).0.contains(&n), "{query}for {word}");
            }
        }
    }
}
