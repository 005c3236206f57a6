//! Read models: products with their variants, categories and prices, promotions with how often they are used, and
//! tax zones in tables, written in the same commit as the events; and the search index in memory, which follows the
//! log by itself.
use crate::domain::price::CurrentPrice;
use crate::domain::product::Products;
use crate::domain::promotion::{Limits, Promotion, PromotionEvent, PromotionId, State, Used, Window};
use crate::domain::redemption::{AskedCode, Coupon, Redemption, RedemptionEvent, UsedCoupon};
use crate::domain::search::{Hit, Index};
use crate::domain::tax::{TaxClass, TaxZones, ZoneName};
use crate::domain::{Handle, PriceEvent, PriceList, Product, Status};
use crate::proto::{self, Filters, PricesBySku};
use souk_contracts::catalog::v1 as pb;
use souk_contracts::terms::{Market, ProductId, Sku};
use souk_decider::RecordEvent;
use souk_eventstore::{EventStore, Position, Recorded, Row, Statement, Table, View};
use souk_kernel::{Currency, Error, Money, Timestamp};
use souk_telemetry::Stop;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// All prices of one SKU in one market that are answered at once.
const HISTORY_MAX: usize = 1_000;
/// Categories that are answered at once.
const CATEGORIES_MAX: usize = 1_000;
/// How many rows an audit reads at once.
const AUDIT_PAGE: usize = 5_000;

const PUBLISHED: &str = "PUBLISHED";
const ARCHIVED: &str = "ARCHIVED";

/// The products.
pub const PRODUCTS: View = View {
    name: "products",
    version: 2,
    tables: &[
        Table {
            name: "product",
            ddl: "CREATE TABLE {name} (product_id TEXT PRIMARY KEY, handle TEXT NOT NULL, vendor TEXT NOT NULL, \
                  status TEXT NOT NULL)",
            indexes: &["CREATE UNIQUE INDEX {name}_by_handle ON {name} (handle)"],
        },
        Table {
            name: "category",
            ddl: "CREATE TABLE {name} (category TEXT NOT NULL, product_id TEXT NOT NULL, \
                  PRIMARY KEY (category, product_id))",
            indexes: &["CREATE INDEX {name}_by_product ON {name} (product_id)"],
        },
        Table {
            name: "variant",
            ddl: "CREATE TABLE {name} (sku TEXT PRIMARY KEY, product_id TEXT NOT NULL, handle TEXT NOT NULL, \
                  title TEXT NOT NULL, status TEXT NOT NULL, tax_class TEXT NOT NULL)",
            indexes: &["CREATE INDEX {name}_by_product ON {name} (product_id)"],
        },
    ],
    project: project_product,
};

/// The prices: the current ones, and all that ever were.
pub const PRICES: View = View {
    name: "prices",
    version: 1,
    tables: &[
        Table {
            name: "price",
            ddl: "CREATE TABLE {name} (sku TEXT NOT NULL, market TEXT NOT NULL, minor_units BIGINT NOT NULL, \
                  currency TEXT NOT NULL, price_version BIGINT NOT NULL, valid_from BIGINT NOT NULL, \
                  PRIMARY KEY (sku, market))",
            indexes: &[],
        },
        Table {
            name: "price_history",
            ddl: "CREATE TABLE {name} (sku TEXT NOT NULL, market TEXT NOT NULL, price_version BIGINT NOT NULL, \
                  minor_units BIGINT NOT NULL, currency TEXT NOT NULL, valid_from BIGINT NOT NULL, \
                  PRIMARY KEY (sku, market, price_version))",
            indexes: &[],
        },
    ],
    project: project_price,
};

/// The promotions, and how often each is used, by all and by each customer. The checks are alarms and not rules: a
/// violated one fails the commit instead of keeping a wrong number.
pub const PROMOTIONS: View = View {
    name: "promotions",
    version: 1,
    tables: &[
        Table {
            name: "promotion",
            ddl: "CREATE TABLE {name} (promotion_id TEXT PRIMARY KEY, code TEXT NOT NULL, valid_from BIGINT NOT NULL, \
                  valid_to BIGINT, disabled_at BIGINT, limit_total BIGINT, limit_per_customer BIGINT, \
                  used BIGINT NOT NULL CHECK (used >= 0 AND (limit_total IS NULL OR used <= limit_total)))",
            indexes: &["CREATE INDEX {name}_by_code ON {name} (code)"],
        },
        Table {
            name: "promotion_use",
            ddl: "CREATE TABLE {name} (promotion_id TEXT NOT NULL, subject TEXT NOT NULL, \
                  used BIGINT NOT NULL CHECK (used >= 0), PRIMARY KEY (promotion_id, subject))",
            indexes: &[],
        },
    ],
    project: project_promotion,
};

/// The names of the tax zones; what is due there is their streams'.
pub const TAX_ZONES: View = View {
    name: "tax_zones",
    version: 1,
    tables: &[Table { name: "tax_zone", ddl: "CREATE TABLE {name} (zone TEXT PRIMARY KEY)", indexes: &[] }],
    project: project_tax_zone,
};

fn project_product(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Products>() else { return };
    match event.as_ref() {
        RecordEvent::Created(product) => write_product(product, out),
        RecordEvent::Replaced(product) => {
            let id = product.id.to_string();
            out.push(Statement::new("DELETE FROM {category} WHERE product_id = $1").arg(id.as_str()));
            out.push(Statement::new("DELETE FROM {variant} WHERE product_id = $1").arg(id));
            write_product(product, out);
        }
        RecordEvent::Retired => {
            for table in [
                "UPDATE {product} SET status = $2 WHERE product_id = $1",
                "UPDATE {variant} SET status = $2 WHERE product_id = $1",
            ] {
                out.push(Statement::new(table).arg(recorded.stream.id()).arg(ARCHIVED));
            }
        }
    }
}

fn write_product(product: &Product, out: &mut Vec<Statement>) {
    const PRODUCT: &str = "INSERT INTO {product} (product_id, handle, vendor, status) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (product_id) DO UPDATE SET vendor = excluded.vendor, status = excluded.status";
    const VARIANT: &str = "INSERT INTO {variant} (sku, product_id, handle, title, status, tax_class) \
         VALUES ($1, $2, $3, $4, $5, $6)";
    const CATEGORY: &str = "INSERT INTO {category} (category, product_id) VALUES ($1, $2)";
    let (id, handle): (Arc<str>, Arc<str>) = (product.id.to_string().into(), product.handle.as_str().into());
    let (content, status) = (&product.content, status_text(product.status));
    out.push(Statement::new(PRODUCT).arg(&id).arg(&handle).arg(&content.vendor).arg(status));
    for variant in &content.variants {
        let (title, class) = (content.sold_title(variant), content.class_of(variant));
        let written = Statement::new(VARIANT).arg(variant.sku.as_str()).arg(&id).arg(&handle);
        out.push(written.arg(title).arg(status).arg(class.as_str()));
    }
    for category in &content.categories {
        out.push(Statement::new(CATEGORY).arg(category).arg(&id));
    }
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Draft => "DRAFT",
        Status::Published => PUBLISHED,
        Status::Unpublished => "UNPUBLISHED",
    }
}

fn project_price(recorded: &Recorded, out: &mut Vec<Statement>) {
    const CURRENT: &str = "INSERT INTO {price} (sku, market, minor_units, currency, price_version, valid_from) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (sku, market) DO UPDATE SET \
         minor_units = excluded.minor_units, currency = excluded.currency, \
         price_version = excluded.price_version, valid_from = excluded.valid_from";
    const HISTORY: &str = "INSERT INTO {price_history} (sku, market, minor_units, currency, price_version, \
         valid_from) VALUES ($1, $2, $3, $4, $5, $6)";
    let Some(event) = recorded.of::<PriceList>() else { return };
    let PriceEvent::PriceSet(set) = event.as_ref();
    for table in [CURRENT, HISTORY] {
        let statement = Statement::new(table)
            .arg(set.sku.as_str())
            .arg(set.market.as_str())
            .arg(set.amount.minor_units())
            .arg(set.amount.currency().code())
            .arg(set.price_version)
            .arg(set.valid_from);
        out.push(statement);
    }
}

fn project_promotion(recorded: &Recorded, out: &mut Vec<Statement>) {
    const CREATE: &str = "INSERT INTO {promotion} (promotion_id, code, valid_from, valid_to, limit_total, \
         limit_per_customer, used) VALUES ($1, $2, $3, $4, $5, $6, 0)";
    const DISABLE: &str = "UPDATE {promotion} SET disabled_at = $2 WHERE promotion_id = $1";
    if let Some(event) = recorded.of::<Promotion>() {
        match event.as_ref() {
            PromotionEvent::PromotionCreated(created) => {
                let terms = &created.terms;
                let created = Statement::new(CREATE)
                    .arg(terms.id.as_str())
                    .arg(terms.code.as_ref().map_or("", |code| code.as_str()))
                    .arg(terms.valid_from)
                    .arg(terms.valid_to)
                    .arg(terms.limits.total.map(NonZeroU32::get))
                    .arg(terms.limits.per_customer.map(NonZeroU32::get));
                out.push(created);
            }
            PromotionEvent::PromotionDisabled(disabled) => {
                out.push(Statement::new(DISABLE).arg(recorded.stream.id()).arg(disabled.at));
            }
        }
    } else if let Some(event) = recorded.of::<Redemption>() {
        match event.as_ref() {
            RedemptionEvent::CouponsRedeemed(e) => count_uses(&e.coupons, &e.subject, 1, out),
            RedemptionEvent::CouponsReleased(e) => count_uses(&e.coupons, &e.subject, -1, out),
            RedemptionEvent::RedemptionRefused(_) => {}
        }
    }
}

fn count_uses(coupons: &[UsedCoupon], subject: &Arc<str>, sign: i64, out: &mut Vec<Statement>) {
    const BY_ALL: &str = "UPDATE {promotion} SET used = used + $2 WHERE promotion_id = $1";
    const BY_CUSTOMER: &str = "INSERT INTO {promotion_use} (promotion_id, subject, used) VALUES ($1, $2, 1) \
         ON CONFLICT (promotion_id, subject) DO UPDATE SET used = {promotion_use}.used + 1";
    const NOT_BY_CUSTOMER: &str =
        "UPDATE {promotion_use} SET used = used - 1 WHERE promotion_id = $1 AND subject = $2";
    let by_customer = if sign > 0 { BY_CUSTOMER } else { NOT_BY_CUSTOMER };
    for coupon in coupons {
        out.push(Statement::new(BY_ALL).arg(coupon.promotion.as_str()).arg(sign));
        out.push(Statement::new(by_customer).arg(coupon.promotion.as_str()).arg(subject));
    }
}

fn project_tax_zone(recorded: &Recorded, out: &mut Vec<Statement>) {
    const ZONE: &str = "INSERT INTO {tax_zone} (zone) VALUES ($1)";
    let Some(event) = recorded.of::<TaxZones>() else { return };
    match event.as_ref() {
        RecordEvent::Created(zone) => out.push(Statement::new(ZONE).arg(zone.zone.as_str())),
        RecordEvent::Replaced(_) | RecordEvent::Retired => {}
    }
}

/// The product that has this handle.
pub async fn product_of(store: &EventStore, handle: &Handle) -> Result<Option<ProductId>, Error> {
    let statement = Statement::new("SELECT product_id FROM {product} WHERE handle = $1").arg(handle.as_str());
    Ok(store.query(statement).await?.first().and_then(|row| row.text(0).parse().ok()))
}

/// The ids of a page of products, in the order of their creation.
pub async fn list(
    store: &EventStore,
    filters: &Filters,
    after: Option<&ProductId>,
    limit: usize,
) -> Result<Vec<ProductId>, Error> {
    const ALL: &str = "SELECT p.product_id FROM {product} p WHERE p.product_id > $1 AND p.status = $2 \
         AND ($3 = '' OR p.vendor = $3) AND ($4 = '' OR EXISTS (SELECT 1 FROM {variant} v JOIN {price} c \
         ON c.sku = v.sku AND c.market = $4 WHERE v.product_id = p.product_id)) ORDER BY p.product_id LIMIT $5";
    const OF_CATEGORY: &str = "SELECT p.product_id FROM {category} g JOIN {product} p ON p.product_id = g.product_id \
         WHERE g.category = $6 AND g.product_id > $1 AND p.status = $2 \
         AND ($3 = '' OR p.vendor = $3) AND ($4 = '' OR EXISTS (SELECT 1 FROM {variant} v JOIN {price} c \
         ON c.sku = v.sku AND c.market = $4 WHERE v.product_id = p.product_id)) ORDER BY g.product_id LIMIT $5";
    let text = if filters.category.is_some() { OF_CATEGORY } else { ALL };
    let statement = Statement::new(text)
        .arg(after.map(ToString::to_string).unwrap_or_default())
        .arg(filters.status.map_or(PUBLISHED, wanted_status))
        .arg(filters.vendor.as_deref().unwrap_or(""))
        .arg(filters.market.as_ref().map_or("", Market::as_str))
        .arg(limit)
        .args(filters.category.as_deref().map(Into::into));
    Ok(store.query(statement).await?.iter().filter_map(|row| row.text(0).parse().ok()).collect())
}

fn wanted_status(status: pb::ProductStatus) -> &'static str {
    match status {
        pb::ProductStatus::Draft => "DRAFT",
        pb::ProductStatus::Unspecified | pb::ProductStatus::Published => PUBLISHED,
        pb::ProductStatus::Unpublished => "UNPUBLISHED",
        pb::ProductStatus::Archived => ARCHIVED,
    }
}

/// The current prices of these products' variants.
pub async fn prices_of(store: &EventStore, products: &[ProductId]) -> Result<PricesBySku, Error> {
    static BY_SIZE: LazyLock<Lists> = LazyLock::new(|| {
        Lists::new(0, |list| {
            format!(
                "SELECT p.sku, p.market, p.minor_units, p.currency, p.price_version, p.valid_from FROM {{variant}} v \
                 JOIN {{price}} p ON p.sku = v.sku WHERE v.product_id IN ({list}) ORDER BY p.sku, p.market"
            )
        })
    });
    let mut prices = PricesBySku::new();
    if products.is_empty() {
        return Ok(prices);
    }
    let ids: Vec<String> = products.iter().map(ToString::to_string).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for row in store.query(BY_SIZE.fill(Vec::new(), &ids)).await? {
        if let Some(price) = read_price(&row, 2) {
            prices.entry(row.get(0)).or_default().push(proto::price(row.text(1), &price));
        }
    }
    Ok(prices)
}

/// What is sold under these SKUs in a market, for those that customers see. In no particular order.
pub async fn sold(store: &EventStore, skus: &[Sku], market: &Market) -> Result<Vec<pb::SoldVariant>, Error> {
    static BY_SIZE: LazyLock<Lists> = LazyLock::new(|| {
        Lists::new(1, |list| {
            format!(
                "SELECT v.sku, v.title, v.handle, p.minor_units, p.currency, p.price_version, p.valid_from \
                 FROM {{variant}} v LEFT JOIN {{price}} p ON p.sku = v.sku AND p.market = $1 \
                 WHERE v.sku IN ({list}) AND v.status = 'PUBLISHED'"
            )
        })
    });
    let skus: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.query(BY_SIZE.fill(vec![market.as_str()], &skus)).await?;
    let sold = |row: &Row| pb::SoldVariant {
        sku: row.get(0),
        title: row.get(1),
        handle: row.get(2),
        price: read_price(row, 3).map(|price| proto::price(market.as_str(), &price)),
    };
    Ok(rows.iter().map(sold).collect())
}

/// What is known of a SKU in a market.
pub struct OnOffer {
    pub sku: String,
    pub title: Arc<str>,
    pub product: Arc<str>,
    pub tax_class: TaxClass,
    /// `None`: not sold in the market.
    pub price: Option<CurrentPrice>,
}

/// What is known of these SKUs in a market, for those that customers see. In no particular order; a statement for
/// hundreds of them.
pub async fn on_offer(store: &EventStore, skus: &[&Sku], market: &Market) -> Result<Vec<OnOffer>, Error> {
    static BY_SIZE: LazyLock<Lists> = LazyLock::new(|| {
        Lists::new(1, |list| {
            format!(
                "SELECT v.sku, v.title, v.product_id, v.tax_class, p.minor_units, p.currency, p.price_version, \
                 p.valid_from FROM {{variant}} v LEFT JOIN {{price}} p ON p.sku = v.sku AND p.market = $1 \
                 WHERE v.sku IN ({list}) AND v.status = 'PUBLISHED'"
            )
        })
    });
    let skus: Vec<&str> = skus.iter().map(|sku| sku.as_str()).collect();
    let mut offers = Vec::with_capacity(skus.len());
    for chunk in skus.chunks(Lists::MAX) {
        let rows = store.query(BY_SIZE.fill(vec![market.as_str()], chunk)).await?;
        offers.extend(rows.iter().map(|row| OnOffer {
            sku: row.get(0),
            title: row.get(1),
            product: row.get(2),
            tax_class: row.text(3).parse().expect("only classes are written"),
            price: read_price(row, 4),
        }));
    }
    Ok(offers)
}

/// The categories of these products.
pub async fn categories_of(
    store: &EventStore,
    products: &[&str],
) -> Result<HashMap<String, Vec<String>>, Error> {
    static BY_SIZE: LazyLock<Lists> = LazyLock::new(|| {
        Lists::new(0, |list| {
            format!("SELECT product_id, category FROM {{category}} WHERE product_id IN ({list})")
        })
    });
    let mut categories: HashMap<String, Vec<String>> = HashMap::new();
    for chunk in products.chunks(Lists::MAX) {
        for row in store.query(BY_SIZE.fill(Vec::new(), chunk)).await? {
            categories.entry(row.get(0)).or_default().push(row.get(1));
        }
    }
    Ok(categories)
}

/// The promotions without a code that hold at a moment.
pub async fn automatic(store: &EventStore, at: Timestamp) -> Result<Vec<PromotionId>, Error> {
    const AUTOMATIC: &str = "SELECT promotion_id FROM {promotion} WHERE code = '' AND disabled_at IS NULL \
         AND valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1) ORDER BY promotion_id";
    Ok(store.query(Statement::new(AUTOMATIC).arg(at)).await?.iter().map(promotion_id).collect())
}

/// Reads the promotions without a code that have not ended, scheduled ones too.
pub fn automatic_open(now: Timestamp) -> Statement {
    const OPEN: &str = "SELECT promotion_id FROM {promotion} WHERE code = '' AND disabled_at IS NULL \
         AND (valid_to IS NULL OR valid_to > $1)";
    Statement::new(OPEN).arg(now)
}

fn promotion_id(row: &Row) -> PromotionId {
    row.text(0).parse().expect("only promotions' ids are written")
}

/// Reads the coupons with these codes, as they stand for a customer. At most [`CODES_MAX`](proto::CODES_MAX).
pub fn coupons(codes: &[AskedCode], subject: &Arc<str>) -> Statement {
    static COUPONS: LazyLock<String> = LazyLock::new(|| {
        let list = (2..2 + proto::CODES_MAX).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ");
        format!(
            "SELECT p.promotion_id, p.code, p.valid_from, p.valid_to, p.disabled_at, p.limit_total, \
             p.limit_per_customer, p.used, u.used FROM {{promotion}} p LEFT JOIN {{promotion_use}} u \
             ON u.promotion_id = p.promotion_id AND u.subject = $1 WHERE p.code IN ({list})"
        )
    });
    /// No coupon has it; the list is filled up with it.
    const NO_CODE: &str = "?";
    let codes = codes.iter().filter_map(|asked| asked.code.as_ref()).map(|code| code.as_str());
    let filled = codes.chain(std::iter::repeat(NO_CODE)).take(proto::CODES_MAX);
    Statement::new(COUPONS.as_str()).arg(subject).args(filled.map(Into::into))
}

/// One of the coupons.
pub fn coupon(row: &Row) -> Coupon {
    let limit = |i| row.get::<Option<u32>>(i).and_then(NonZeroU32::new);
    Coupon {
        promotion: promotion_id(row),
        code: row.text(1).parse().expect("only codes are written, and no code is asked for otherwise"),
        window: Window { valid_from: row.get(2), valid_to: row.get(3), disabled_at: row.get(4) },
        limits: Limits { total: limit(5), per_customer: limit(6) },
        used: Used { by_all: row.get(7), by_customer: row.get::<Option<u64>>(8).unwrap_or_default() },
    }
}

/// How many orders use a promotion.
pub async fn used(store: &EventStore, promotion: &PromotionId) -> Result<u64, Error> {
    const USED: &str = "SELECT used FROM {promotion} WHERE promotion_id = $1";
    let rows = store.query(Statement::new(USED).arg(promotion.as_str())).await?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

/// A page of promotions by their ids, with how many orders use them.
pub async fn promotions(
    store: &EventStore,
    state: Option<State>,
    after: &str,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(PromotionId, u64)>, Error> {
    const ALL: &str = "SELECT promotion_id, used FROM {promotion} WHERE promotion_id > $1 AND ($3 = '' OR $3 = \
         CASE WHEN disabled_at IS NOT NULL THEN 'DISABLED' WHEN valid_from > $4 THEN 'SCHEDULED' \
         WHEN valid_to <= $4 THEN 'ENDED' ELSE 'ACTIVE' END) ORDER BY promotion_id LIMIT $2";
    let state = state.map_or("", |state| match state {
        State::Scheduled => "SCHEDULED",
        State::Active => "ACTIVE",
        State::Ended => "ENDED",
        State::Disabled => "DISABLED",
    });
    let rows = store.query(Statement::new(ALL).arg(after).arg(limit).arg(state).arg(now)).await?;
    Ok(rows.iter().map(|row| (promotion_id(row), row.get(1))).collect())
}

/// Reads the promotions behind this one (at first: behind none) with how often they are used, a page of them. For
/// audits: see [`Uses::note`](crate::invariants::Uses::note).
pub fn uses_behind(promotion: &str) -> Statement {
    const BEHIND: &str =
        "SELECT promotion_id, used FROM {promotion} WHERE promotion_id > $1 ORDER BY promotion_id LIMIT $2";
    Statement::new(BEHIND).arg(promotion).arg(AUDIT_PAGE)
}

/// Reads how often customers use promotions, a page behind this promotion and customer. For audits: see
/// [`Uses::note_customer`](crate::invariants::Uses::note_customer).
pub fn customer_uses_behind(promotion: &str, subject: &str) -> Statement {
    const BEHIND: &str = "SELECT promotion_id, subject, used FROM {promotion_use} \
         WHERE (promotion_id, subject) > ($1, $2) ORDER BY promotion_id, subject LIMIT $3";
    Statement::new(BEHIND).arg(promotion).arg(subject).arg(AUDIT_PAGE)
}

/// A page of tax zones by their names.
pub async fn tax_zones(store: &EventStore, after: &str, limit: usize) -> Result<Vec<ZoneName>, Error> {
    const ZONES: &str = "SELECT zone FROM {tax_zone} WHERE zone > $1 ORDER BY zone LIMIT $2";
    let rows = store.query(Statement::new(ZONES).arg(after).arg(limit)).await?;
    Ok(rows.iter().map(|row| row.text(0).parse().expect("only zones are written")).collect())
}

/// Every price that a SKU had in a market, newest first; `None` when nobody sells the SKU, or, unless `hidden`
/// ones count too, customers cannot see it.
pub async fn price_history(
    store: &EventStore,
    sku: &Sku,
    market: &Market,
    hidden: bool,
) -> Result<Option<Vec<pb::Price>>, Error> {
    const KNOWN: &str = "SELECT 1 FROM {variant} WHERE sku = $1 AND ($2 = 1 OR status = 'PUBLISHED')";
    const HISTORY: &str = "SELECT minor_units, currency, price_version, valid_from FROM {price_history} \
         WHERE sku = $1 AND market = $2 ORDER BY price_version DESC LIMIT $3";
    let known = Statement::new(KNOWN).arg(sku.as_str()).arg(hidden);
    if store.query(known).await?.is_empty() {
        return Ok(None);
    }
    let history = Statement::new(HISTORY).arg(sku.as_str()).arg(market.as_str()).arg(HISTORY_MAX);
    let rows = store.query(history).await?;
    let prices = rows.iter().filter_map(|row| read_price(row, 0));
    Ok(Some(prices.map(|price| proto::price(market.as_str(), &price)).collect()))
}

/// Reads amount, currency, version and start from column `i` on; `None` where there is no price.
fn read_price(row: &Row, i: usize) -> Option<CurrentPrice> {
    let minor_units = row.get::<Option<i64>>(i)?;
    let currency = Currency::parse(row.text(i + 1)).expect("only known currencies are written");
    let amount = Money::new(minor_units, currency);
    Some(CurrentPrice { amount, price_version: row.get(i + 2), valid_from: row.get(i + 3) })
}

/// The categories with how many published products each holds.
pub async fn categories(store: &EventStore) -> Result<Vec<pb::Category>, Error> {
    const CATEGORIES: &str = "SELECT g.category, COUNT(*) FROM {category} g JOIN {product} p \
         ON p.product_id = g.product_id WHERE p.status = 'PUBLISHED' GROUP BY g.category ORDER BY g.category LIMIT $1";
    let rows = store.query(Statement::new(CATEGORIES).arg(CATEGORIES_MAX)).await?;
    Ok(rows.iter().map(|row| pb::Category { name: row.get(0), products: row.get(1) }).collect())
}

/// Statements with a list of values, in a few sizes, so that each is prepared once: a list is filled up to the
/// next size by repeating its last value.
struct Lists(Vec<(usize, String)>);

impl Lists {
    const SIZES: [usize; 5] = [1, 8, 32, 128, Self::MAX];
    /// The longest list of one statement.
    const MAX: usize = 500;

    /// `text` gets the list of placeholders, which begin after the first `before` ones.
    fn new(before: usize, text: impl Fn(&str) -> String) -> Self {
        let list =
            |size: usize| (1..=size).map(|i| format!("${}", before + i)).collect::<Vec<_>>().join(", ");
        Self(Self::SIZES.into_iter().map(|size| (size, text(&list(size)))).collect())
    }

    fn fill(&'static self, before: Vec<&str>, values: &[&str]) -> Statement {
        let (size, text) = self
            .0
            .iter()
            .find(|(size, _)| *size >= values.len())
            .expect("callers bound their lists by the largest size");
        let last = values.last().copied().expect("callers have at least one value");
        let filled = values.iter().copied().chain(std::iter::repeat(last)).take(*size);
        Statement::new(text.as_str()).args(before.into_iter().chain(filled).map(Into::into))
    }
}

/// How long a search waits for the index to have seen what was written before.
const SEARCH_WAIT_MAX: Duration = Duration::from_millis(250);
/// How many events the index takes in before others may search again.
const SEARCH_CHUNK: usize = 256;

/// The search index with how far it has read. It lives as long as the service and begins at the log's start.
pub struct SearchView {
    index: RwLock<Index>,
    position: watch::Sender<Position>,
}

impl Default for SearchView {
    fn default() -> Self {
        Self { index: RwLock::default(), position: watch::Sender::new(Position::START) }
    }
}

impl SearchView {
    /// Follows the log until `stop` is requested.
    pub async fn follow(&self, store: &EventStore, stop: &Stop) -> Result<(), Error> {
        let mut head = store.head();
        loop {
            head.borrow_and_update();
            while self.take_in(store).await? {}
            tokio::select! {
                () = stop.requested() => return Ok(()),
                moved = head.changed() => if moved.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Takes in the next events; whether there were any.
    async fn take_in(&self, store: &EventStore) -> Result<bool, Error> {
        let after = *self.position.borrow();
        let events = store.read_log(after, SEARCH_CHUNK).await?;
        let Some(last) = events.last().map(|event| event.position) else { return Ok(false) };
        {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            events.iter().for_each(|event| apply(&mut index, event));
        }
        self.position.send_replace(last);
        Ok(true)
    }

    /// The products that match, best first. Waits a little for the index to catch up with the log.
    pub async fn search(&self, store: &EventStore, wanted: &proto::Search) -> Vec<Hit> {
        let head = *store.head().borrow();
        let mut position = self.position.subscribe();
        let caught_up = position.wait_for(|position| *position >= head);
        if tokio::time::timeout(SEARCH_WAIT_MAX, caught_up).await.is_err() {
            tracing::warn!(head = head.get(), "search index lags behind");
        }
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.search(&wanted.query, wanted.category.as_deref(), wanted.size)
    }
}

fn apply(index: &mut Index, recorded: &Recorded) {
    let Some(event) = recorded.of::<Products>() else { return };
    match event.as_ref() {
        RecordEvent::Created(product) | RecordEvent::Replaced(product) => index.put(product),
        RecordEvent::Retired => {
            let id = recorded.stream.id().parse::<ProductId>();
            index.remove(&id.expect("a product's stream is named by its id"));
        }
    }
}
